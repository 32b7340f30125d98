/** `1,234 B`, `12 kB`, `1.2 MB`: units of 1,000, the same in the command and in the studio. */
export function byteText(bytes: number): string {
  if (bytes < 10_000) return `${bytes.toLocaleString('en-US')} B`
  if (bytes < 1_000_000) return `${(bytes / 1_000).toFixed(0)} kB`
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(2)} GB`
}
