/** `1,234,567`, whatever the machine's language. */
export function amount(value: number | bigint): string {
  return value.toLocaleString('en-US', { maximumFractionDigits: 0 })
}

/** `1 page`, `2 pages`, `0 retries`. */
export function counted(value: number, one: string, many = `${one}s`): string {
  return `${amount(value)} ${value === 1 ? one : many}`
}

/** `120 ms`, `1.4 s`, `2 min 5 s`. */
export function duration(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`
  if (ms < 59_950) return `${(ms / 1_000).toFixed(1)} s`
  const seconds = Math.round(ms / 1_000)
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`
}

/** `1,234 B`, `1.2 MB`. */
export function bytes(value: number): string {
  if (value < 10_000) return `${amount(value)} B`
  if (value < 1_000_000) return `${(value / 1_000).toFixed(0)} kB`
  return value < 1e9 ? `${(value / 1e6).toFixed(1)} MB` : `${(value / 1e9).toFixed(2)} GB`
}

/** Items a second over `ms` milliseconds, as `1,234/s`; empty while there is too little time to tell. */
export function rate(items: number, ms: number): string {
  return ms < 50 || items === 0 ? '' : `${amount(Math.round((items * 1_000) / ms))}/s`
}
