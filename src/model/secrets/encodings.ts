import { percentEncoded } from '../texts/percentEncoding.js'

/** What follows a text in base64: more, nothing, or padding. */
export type Base64End = (typeof BASE64_ENDS)[number]
export const BASE64_ENDS = ['Within', 'Ended', 'Padded'] as const

const NOT_ASCII = /[\u0080-\uffff]/g

/** Changes an encoder's output into another common form of it. */
type Variant = 'lower' | 'upper' | 'capital' | 'url'

interface Encoder {
  readonly write: (text: string) => string
  readonly variants?: readonly Variant[]
}

const VARIANTS: Readonly<Record<Variant, (written: string) => string>> = {
  lower: written => written.replace(/%[0-9A-F]{2}/g, code => code.toLowerCase()),
  upper: written => written.replace(/\\u[0-9a-f]{4}/g, code => `\\u${code.slice(2).toUpperCase()}`),
  capital: written => written.toUpperCase(),
  url: written => written.replaceAll('+', '-').replaceAll('/', '_'),
}

/**
 * The output of well-known encoders, by names that a journal can store. With a name, a removed secret is put back in
 * the same spelling. The meaning of a name never changes.
 */
const ENCODERS: Readonly<Record<string, Encoder>> = {
  plain: { write: text => text },
  json: { write: json },
  jsonAscii: { write: text => json(text).replace(NOT_ASCII, escapedUnit), variants: ['upper'] },
  jsonSlash: { write: text => json(text).replaceAll('/', '\\/') },
  jsonSlashAscii: { write: text => json(text).replace(NOT_ASCII, escapedUnit).replaceAll('/', '\\/') },
  jsonHtml: { write: text => json(text).replace(/[<>&]/g, escapedUnit), variants: ['upper'] },
  jsonHtmlQuote: { write: text => json(text).replace(/[<>&']/g, escapedUnit), variants: ['upper'] },
  jsonTwice: { write: text => json(json(text)) },
  jsonTwiceAscii: { write: text => json(json(text).replace(NOT_ASCII, escapedUnit)), variants: ['upper'] },
  uri: { write: encodeURIComponent, variants: ['lower'] },
  percentEncoded: { write: percentEncoded, variants: ['lower'] },
  uriTilde: { write: text => percentEncoded(text).replaceAll('~', '%7E'), variants: ['lower'] },
  uriSlash: { write: text => percentEncoded(text).replaceAll('%2F', '/'), variants: ['lower'] },
  uriTwice: { write: text => encodeURIComponent(encodeURIComponent(text)) },
  form: { write: form, variants: ['lower'] },
  formSpace: { write: text => form(text).replaceAll('+', '%20'), variants: ['lower'] },
  formTwice: { write: text => encodeURIComponent(form(text)) },
  query: { write: text => text.replace(/[^!$-;=?-~]/gu, encodeURIComponent) },
  queryQuote: { write: text => text.replace(/[^!$-&(-;=?-~]/gu, percentEncoded) },
  percent: {
    write: text => Buffer.from(text).toString('hex').toUpperCase().replace(/../g, '%$&'),
    variants: ['lower'],
  },
  html: { write: text => text.replace(/[&<>"']/g, character => `&#${character.charCodeAt(0)};`) },
  htmlText: { write: text => text.replace(/[&<>]/g, namedEntity) },
  htmlQuote: { write: text => text.replace(/[&<>"]/g, namedEntity) },
  htmlDecimal: { write: text => text.replace(/[&<>"]/g, namedEntity).replaceAll("'", '&#39;') },
  htmlPadded: { write: text => text.replace(/[&<>"]/g, namedEntity).replaceAll("'", '&#039;') },
  htmlHex: { write: text => text.replace(/[&<>"]/g, namedEntity).replaceAll("'", '&#x27;') },
  htmlNumbers: {
    write: text => text.replace(/[&<>]/g, namedEntity).replaceAll("'", '&#39;').replaceAll('"', '&#34;'),
  },
  utf16: { write: text => utf16(text).toString('latin1') },
  utf16Big: { write: text => utf16(text).swap16().toString('latin1') },
  hex: { write: text => Buffer.from(text).toString('hex'), variants: ['capital'] },
  ...Object.fromEntries(
    ([0, 1, 2] as const).flatMap(before =>
      BASE64_ENDS.map(end => [
        `base64${end}At${before}`,
        { write: (text: string) => base64(text, before, end), variants: ['url'] as const },
      ]),
    ),
  ),
}

/** The text as written by the encoder of this name. Undefined if there is none. A lone surrogate becomes U+FFFD. */
export function written(text: string, name: string): string | undefined {
  const [base = '', variant = ''] = name.split('.')
  const encoder = Object.hasOwn(ENCODERS, base) ? ENCODERS[base] : undefined
  if (encoder === undefined) return undefined
  const plain = encoder.write(Buffer.from(text).toString())
  if (variant === '') return plain
  return Object.hasOwn(VARIANTS, variant) ? VARIANTS[variant as Variant](plain) : undefined
}

/** Name of the encoder that writes `text` as `spelled`. Undefined if none is known. */
export function encoderOf(text: string, spelled: string): string | undefined {
  for (const base in ENCODERS) {
    for (const variant of ['', ...(ENCODERS[base]?.variants ?? [])]) {
      const name = variant === '' ? base : `${base}.${variant}`
      if (written(text, name) === spelled) return name
    }
  }
  return undefined
}

/**
 * The base64 characters for a text that begins `before` bytes after a multiple of three. Only those that depend on
 * nothing else are included. If nothing follows the text, its last character and padding are included too.
 */
export function base64(text: string | Uint8Array, before: 0 | 1 | 2, end: Base64End): string {
  const bytes = Buffer.concat([Buffer.alloc(before), Buffer.from(text as string)])
  const from = Math.ceil((before * 8) / 6)
  const whole = bytes.toString('base64').slice(from)
  if (end === 'Padded') return whole
  return end === 'Ended' ? whole.replace(/=+$/, '') : whole.slice(0, Math.floor((bytes.length * 8) / 6) - from)
}

export function utf16(text: string): Buffer {
  return Buffer.from(text, 'utf16le')
}

function json(text: string): string {
  return JSON.stringify(text).slice(1, -1)
}

function escapedUnit(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`
}

function form(text: string): string {
  return new URLSearchParams({ '': text }).toString().slice(1)
}

function namedEntity(character: string): string {
  const names: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }
  return names[character] ?? character
}
