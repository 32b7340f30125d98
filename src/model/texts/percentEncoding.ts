/** Percent-encoded but for letters, digits and `-_.~!'()*`. Half of a surrogate pair, which no text can hold, is U+FFFD. */
export function uriComponent(text: string): string {
  return encodeURIComponent(Buffer.from(text).toString())
}

/** Percent-encoded by RFC 3986: only letters, digits and `-._~` stay as they are. */
export function percentEncoded(text: string): string {
  return uriComponent(text).replace(/[!'()*]/g, percent)
}

/** Parameters encoded by RFC 3986 and sorted, as signatures of AWS and OAuth 1.0a need them. Without `?`. */
export function sortedQuery(pairs: Iterable<readonly [name: string, value: string]>): string {
  return [...pairs]
    .map(([name, value]) => [percentEncoded(name), percentEncoded(value)] as const)
    .sort(([a, b], [c, d]) => compare(a, c) || compare(b, d))
    .map(pair => pair.join('='))
    .join('&')
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b)
}

function percent(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase()}`
}
