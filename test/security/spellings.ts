const json = (text: string): string => JSON.stringify(text).slice(1, -1)
const bytesOf = (text: string): readonly number[] => [...Buffer.from(text)]
const hex = (code: number, digits = 2): string => code.toString(16).padStart(digits, '0')

/** How APIs write a text that they repeat. */
export const ENCODERS: readonly ((text: string) => string)[] = [
  text => text,
  encodeURIComponent,
  text => encodeURIComponent(text).replace(/%../g, code => code.toLowerCase()),
  text => encodeURIComponent(encodeURIComponent(text)),
  text =>
    bytesOf(text)
      .map(byte => (/\w/.test(String.fromCharCode(byte)) ? String.fromCharCode(byte) : `%${hex(byte)}`))
      .join(''),
  text => new URLSearchParams({ '': text }).toString().slice(1),
  json,
  text => json(json(text)),
  text => json(text).replace(/[^ -~]/g, unit => `\\u${hex(unit.charCodeAt(0), 4)}`),
  text => text.replace(/[&<>"']/g, mark => `&#${mark.charCodeAt(0)};`),
  text => text.replace(/[&<>"']/g, mark => `&#x${hex(mark.charCodeAt(0))};`),
  text => Buffer.from(text).toString('base64'),
  text => Buffer.from(`user:${text}`).toString('base64url'),
  text => Buffer.from(text).toString('hex'),
  text => text.replace(/[\s\S]/g, unit => `%u${hex(unit.charCodeAt(0), 4)}`),
]

/** The ways in which a reader could still make out the secret; each as text and as bytes. */
export function traces(secret: string, ...echoes: readonly string[]): readonly string[] {
  const texts = [secret, ...echoes, ...ENCODERS.map(spell => spell(secret))]
  const spelled = texts.flatMap(text => [text, json(text), json(json(text)), encodeURIComponent(text)])
  // Base64 ends in a character that belongs to its neighbours too.
  const bare = spelled.map(text => text.replace(/=+$/, '').slice(0, -1)).filter(text => text.length >= 8)
  return [...new Set([...bare, ...bare.map(text => Buffer.from(text).toString('latin1'))])]
}
