/** Percent-encoded but for letters, digits and `-_.~!'()*`. Half of a surrogate pair, which no text can hold, is U+FFFD. */
export function uriComponent(text: string): string {
  return encodeURIComponent(Buffer.from(text).toString())
}

/** Percent-encoded by RFC 3986: only letters, digits and `-._~` stay as they are. */
export function percentEncoded(text: string): string {
  return uriComponent(text).replace(/[!'()*]/g, percent)
}

function percent(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase()}`
}
