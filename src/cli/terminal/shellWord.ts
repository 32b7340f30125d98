/** The text as a shell takes it for one word. */
export function shellWord(text: string): string {
  return /^[\w./@%+=:-]+$/.test(text) ? text : inQuotes(text)
}

export function inQuotes(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}
