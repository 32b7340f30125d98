/** Longer texts are rare, and would fill the memory. */
const LONGEST = 500
const MOST = 5_000

/**
 * The same pure function, which remembers what it gave for a text. Memory is bounded, since an API may name any number of things: when
 * too many texts are known, all are forgotten.
 */
export function remembered<Value>(of: (text: string) => Value): (text: string) => Value {
  const known = new Map<string, Value>()
  return text => {
    const found = known.get(text)
    if (found !== undefined || known.has(text)) return found as Value
    const value = of(text)
    if (text.length > LONGEST) return value
    if (known.size >= MOST) known.clear()
    known.set(text, value)
    return value
  }
}
