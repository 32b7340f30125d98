import { inspect } from 'node:util'
import { describe, expect, it, test, vi } from 'vitest'
import { scrubber } from '../../src/model/secrets/scrubber.js'
import { Secret } from '../../src/model/secrets/secret.js'
import fc from '../properties.js'

// Every cut of every spelling is much work for a slow machine.
vi.setConfig({ testTimeout: 120_000 })

const RUNS = Number(process.env.SLUICE_PROPERTY_RUNS ?? 300)

const SECRETS = [
  'plainletters0123',
  "a!b'c(d)e*f~g",
  'q"u\\o\\\\t"e-1',
  'per%cent%41%zz%20x',
  'tilde~~x~12',
  'üml日本語äöß€',
  '😀key😀value',
  'sp ace+plus&amp;<b>',
  '/sl/ash//=?',
  `-----BEGIN KEY-----\nMIIE+abc/def==\n-----END KEY-----\n`,
]

const hex = (code: number, digits: number): string => code.toString(16).padStart(digits, '0')
const json = (text: string): string => JSON.stringify(text).slice(1, -1)
const ascii = (text: string): string => text.replace(/[\u0080-\uffff]/g, unit => `\\u${hex(unit.charCodeAt(0), 4)}`)
const uri = encodeURIComponent
/** As UTF-8 carries it. */
const wellFormed = (text: string): string => Buffer.from(text).toString()
const strict = (text: string): string =>
  [...Buffer.from(text)].map(byte => (isUnreserved(byte) ? String.fromCharCode(byte) : `%${hex(byte, 2)}`)).join('')
const isUnreserved = (byte: number): boolean => /[A-Za-z0-9]/.test(String.fromCharCode(byte))
const form = (text: string): string => new URLSearchParams({ '': text }).toString().slice(1)
const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#039;',
}
const html = (text: string): string => text.replace(/[&<>"']/g, mark => entities[mark] ?? mark)

const ENCODERS: Readonly<Record<string, (text: string) => string>> = {
  'as it is': text => text,
  encodeURIComponent: uri,
  'the same in lower case': text => uri(text).replace(/%../g, code => code.toLowerCase()),
  'all that is no letter or digit': strict,
  'every byte': text => [...Buffer.from(text)].map(byte => `%${hex(byte, 2).toUpperCase()}`).join(''),
  twice: text => uri(uri(text)),
  'three times': text => uri(uri(uri(text))),
  form,
  'form, twice': text => uri(form(text)),
  'a query': text => new URL(`http://x/?${text.replace(/[#\t\n]/g, uri)}`).search.slice(1),
  JSON: json,
  'JSON twice': text => json(json(text)),
  'JSON three times': text => json(json(json(text))),
  'JSON in ASCII': text => ascii(json(text)),
  'JSON in ASCII, upper case': text =>
    ascii(json(text)).replace(/\\u..../g, code => `\\u${code.slice(2).toUpperCase()}`),
  'JSON in ASCII twice': text => json(ascii(json(text))),
  'JSON with slashes escaped': text => json(text).replaceAll('/', '\\/'),
  'JSON that is safe in HTML': text => json(text).replace(/[<>&']/g, mark => `\\u${hex(mark.charCodeAt(0), 4)}`),
  'every unit as \\u': text => text.replace(/[\s\S]/g, unit => `\\u${hex(unit.charCodeAt(0), 4)}`),
  'JSON in a query': text => uri(json(text)),
  HTML: html,
  'HTML by number': text => [...text].map(character => `&#${character.codePointAt(0)};`).join(''),
  'HTML by hexadecimal number': text =>
    [...text].map(character => `&#x${hex(character.codePointAt(0) ?? 0, 2)};`).join(''),
  'HTML twice': text => html(html(text)),
  'JSON in HTML': text => html(json(text)),
  hexadecimal: text => Buffer.from(text).toString('hex'),
  HEXADECIMAL: text => Buffer.from(text).toString('hex').toUpperCase(),
  'every unit as %u': text => text.replace(/[\s\S]/g, unit => `%u${hex(unit.charCodeAt(0), 4)}`),
  'quoted-printable': text => lines(quotedPrintable(text), 75),
  'quoted-printable, every byte': text => [...Buffer.from(text)].map(byte => `=${hex(byte, 2).toUpperCase()}`).join(''),
  'a query in HTML, percent signs by number': text => strict(text).replaceAll('%', '&#37;'),
  'a query in HTML, percent signs by name': text => strict(text).replaceAll('%', '&percnt;'),
  'a Buffer in JSON': text => [...Buffer.from(text)].join(','),
  'bytes as Go prints them': text => [...Buffer.from(text)].join(' '),
  'a Buffer as Node prints it': text => [...Buffer.from(text)].map(byte => hex(byte, 2)).join(' '),
  'bytes with colons': text => [...Buffer.from(text)].map(byte => hex(byte, 2).toUpperCase()).join(':'),
  'bytes taken for latin1': text => Buffer.from(text).toString('latin1'),
  'bytes taken for latin1, in a query': text => uri(Buffer.from(text).toString('latin1')),
}

function quotedPrintable(text: string): string {
  return [...Buffer.from(text)]
    .map(byte =>
      byte === 0x3d || byte < 0x20 || byte > 0x7e ? `=${hex(byte, 2).toUpperCase()}` : String.fromCharCode(byte),
    )
    .join('')
}

/** Breaks lines softly, not inside of an encoded byte. */
function lines(text: string, length: number): string {
  return text.replace(new RegExp(`(?:[^=]|=..){${length}}(?=.)`, 'gs'), line => `${line}=\r\n`)
}

/** Base64 has bits of its neighbours in its first and last character: the value's own must be gone. */
const BASE64: Readonly<Record<string, (text: string) => string>> = {
  alone: text => Buffer.from(text).toString('base64'),
  'behind one byte': text => Buffer.from(`:${text}`).toString('base64'),
  'behind two bytes': text => Buffer.from(`u:${text}:`).toString('base64url'),
  'with a user': text => `Basic ${Buffer.from(`user:${text}`).toString('base64')}`,
  'in a query': text => uri(Buffer.from(`user:${text}`).toString('base64')),
  'around JSON': text => Buffer.from(JSON.stringify({ key: text })).toString('base64'),
  'around a query': text => Buffer.from(`?key=${uri(text)}`).toString('base64url'),
}

describe.each(SECRETS)('the secret %j', secret => {
  const known = scrubber([new Secret(secret)])

  it.each(Object.entries(ENCODERS))('is recognised: %s', (_name, encode) => {
    expect(known.text(`before ${encode(secret)} after`)).toBe('before *** after')
    expect(Buffer.from(known.bytes(Buffer.from(`[${encode(secret)}]`))).toString()).toBe('[***]')
  })

  it.each(Object.entries(BASE64))('is recognised in base64 %s', (_name, encode) => {
    const spelled = encode(secret)
    const clean = known.text(spelled)
    expect(clean).toContain('***')
    // Of four bytes in a row not one is left to be read.
    const left = spelled.length - clean.replace('***', '').length
    expect(left).toBeGreaterThanOrEqual(Math.floor((Buffer.byteLength(secret) * 4) / 3) - 2)
  })

  it.each(Object.entries(ENCODERS))('leaves no half at a cut: %s', (_name, encode) => {
    const spelled = encode(secret)
    for (let cut = 1; cut < spelled.length; cut++) {
      for (const mark of ['…', '"…', '...', '"...']) {
        const clean = known.text(`it begins "x: ${spelled.slice(0, cut)}${mark}`)
        const left = longestCommon(clean.slice('it begins "x: '.length), spelled.slice(0, cut))
        // Three characters of the value may stay, each of them as long as its spelling.
        expect(left.length).toBeLessThanOrEqual(longestOf(encode, secret))
      }
    }
  })

  it('comes back out of a sealed text in each spelling that is put back, and is never there', () => {
    const body = Buffer.from(JSON.stringify(Object.entries(ENCODERS).map(([name, encode]) => [name, encode(secret)])))
    const sealed = known.seal(body)
    expect(Buffer.from(sealed.bytes).toString()).toBe(known.text(body.toString()))
    const { bytes, whole } = known.unseal(JSON.parse(JSON.stringify(sealed), revived))
    if (whole) expect(Buffer.from(bytes)).toEqual(body)
    expect(JSON.stringify(sealed.seals)).not.toContain(secret)
    expect(scrubber().unseal(sealed).whole).toBe(false)
  })
})

describe('a line that ends anywhere', () => {
  const secret = 'sk_live_51Hqp0eZvKYlo2Cé+=/4'
  const known = scrubber([new Secret(secret)])
  const inLines = (text: string, first: number, lineEnd: string): string =>
    [text.slice(0, first), ...(text.slice(first).match(/.{1,64}/g) ?? [])].join(lineEnd)

  it.each<[string, string]>([
    ['base64', Buffer.from(`user:${secret}`).toString('base64')],
    ['base64url', Buffer.from(`k=${secret};`).toString('base64url')],
    ['base64 of JSON', Buffer.from(JSON.stringify({ key: secret })).toString('base64')],
    ['hexadecimal', Buffer.from(secret).toString('hex')],
  ])('hides no value in %s', (_name, spelled) => {
    for (let first = 1; first < spelled.length; first++) {
      for (const lineEnd of ['\n', '\r\n ', '\\n']) {
        const clean = known.text(inLines(spelled, first, lineEnd))
        expect(clean).toContain('***')
        expect(clean.length).toBeLessThan(spelled.length - secret.length)
      }
    }
  })

  it('hides no value in quoted-printable', () => {
    const spelled = quotedPrintable(secret)
    for (let cut = 1; cut < spelled.length; cut++) {
      if (/=.?$/.test(spelled.slice(0, cut))) continue
      expect(known.text(`x ${spelled.slice(0, cut)}=\r\n${spelled.slice(cut)} y`)).toBe('x *** y')
    }
  })
})

describe('what becomes of a value on its way', () => {
  const EURO = '\u20ac5-kl\u00fc\u00b2-geheim\u2026'
  test.each<readonly [string, string, string]>([
    ['blanks are made one', 'two  blanks\tand a tab', 'two blanks and a tab'],
    ['line breaks are changed', 'line one\nline two', 'line one\r\nline two'],
    ['line breaks are taken out', 'line one\r\nline two', 'line oneline two'],
    ['a line break at the end is cut off', 'from-a-file-0123\n', 'from-a-file-0123'],
    ['blanks around it are cut off', '  padded key value ', 'padded key value'],
    ['it is composed', 'e\u0301clair-a\u0308-key', '\u00e9clair-\u00e4-key'],
    ['it is decomposed', '\u00e9clair-\u00e4-key', 'e\u0301clair-a\u0308-key'],
    ['it is in capitals', 'schl\u00fcssel-\u00e9t\u00e9', 'SCHL\u00dcSSEL-\u00c9T\u00c9'],
    ['entities of HTML 4', EURO, '&euro;5-kl&uuml;&sup2;-geheim&hellip;'],
    ['escape() of JavaScript', '\u65e5\u672c\ud83d\ude00 key', escape('\u65e5\u672c\ud83d\ude00 key')],
    ['a literal of SQL', "it's o'clock", "it''s o''clock"],
    ['a backslash in the path of a URL', 'one\\two\\three', new URL('http://x/one\\two\\three').pathname.slice(1)],
    ['a name of SQL, a field of CSV', 'say "so" twice', 'say ""so"" twice'],
    ['a word of a shell', "it's o'clock", "it'\\''s o'\\''clock"],
    ['UTF-16', 'key-0123-four', Buffer.from('key-0123-four', 'utf16le').toString()],
    ['UTF-16, the other way round', 'key-0123-four', Buffer.from('key-0123-four', 'utf16le').swap16().toString()],
  ])('%s', (_name, secret, spelled) => {
    expect(scrubber([new Secret(secret)]).text(`before ${spelled}, after`)).toBe('before ***, after')
  })

  test.each<readonly [string, string, (secret: string) => Buffer]>([
    ['base64', 'plainletters0123', secret => Buffer.from(Buffer.from(`user:${secret}`).toString('base64'))],
    ['UTF-16', 'plainletters0123', secret => Buffer.from(`<${secret}>`, 'utf16le')],
    ['latin1', 'kl\u00fcgstes-Geheimnis', secret => Buffer.from(`user:${secret}`, 'latin1')],
  ])('base64 around %s', (_name, secret, encode) => {
    const spelled = encode(secret).toString('base64')
    const clean = scrubber([new Secret(secret)]).text(spelled)
    expect(clean).toContain('***')
    expect(clean.length).toBeLessThan(26)
  })

  test('blanks without end are read once', () => {
    const text = `a${' '.repeat(2_000_000)}b`
    expect(scrubber([new Secret('a b c d e f g')]).text(text)).toBe(text)
  })
})

function revived(key: string, value: unknown): unknown {
  return key === 'bytes' ? Buffer.from(value as Buffer) : value
}

/** How far two texts agree. */
function longestCommon(one: string, other: string): string {
  let end = 0
  while (end < one.length && one[end] === other[end]) end++
  return one.slice(0, end)
}

function longestOf(encode: (text: string) => string, secret: string): number {
  return encode([...secret].slice(0, 4).join('')).length
}

describe('spellings that nobody has listed', () => {
  const character = fc.oneof(
    fc.constantFrom(...`abcXYZ0189!'()*~"\\%&<>+/ =?#;:@-_.ü日😀\n`),
    fc.string({ unit: 'grapheme', minLength: 1, maxLength: 1 }),
  )
  const secrets = fc.array(character, { minLength: 8, maxLength: 30 }).map(parts => parts.join(''))
  /** Each character in a way of its own. */
  const ways: readonly ((character: string) => string)[] = [
    text => text,
    text => uri(wellFormed(text)),
    text => strict(text),
    text => [...Buffer.from(text)].map(byte => `%${hex(byte, 2)}`).join(''),
    text => uri([...Buffer.from(text)].map(byte => `%${hex(byte, 2)}`).join('')),
    text => [...text].map(one => `&#${one.codePointAt(0)};`).join(''),
    text => text.replace(/[\s\S]/g, unit => `\\u${hex(unit.charCodeAt(0), 4)}`),
    text => json(text),
    text => json(json(text)),
  ]

  test('any mixture is recognised', () => {
    fc.assert(
      fc.property(secrets, fc.array(fc.nat(ways.length - 1), { minLength: 1, maxLength: 30 }), (secret, choices) => {
        fc.pre(secret.trim().length >= 8)
        const spelled = [...secret]
          .map((one, index) => ways[choices[index % choices.length] ?? 0]?.(one) ?? one)
          .join('')
        const clean = scrubber([new Secret(secret)]).text(`<${spelled}>`)
        expect(clean.startsWith('<***')).toBe(true)
        expect(clean.length).toBeLessThanOrEqual(5)
      }),
      { numRuns: RUNS },
    )
  })

  test('what is sealed comes back, or says that it does not', () => {
    fc.assert(
      fc.property(
        secrets,
        fc.array(fc.constantFrom(...Object.values(ENCODERS)), { maxLength: 4 }),
        (secret, encoders) => {
          const known = scrubber([new Secret(secret)])
          const body = Buffer.from(encoders.map(encode => encode(wellFormed(secret))).join(' , '))
          const sealed = known.seal(body)
          const { bytes, whole } = known.unseal(sealed)
          if (whole) expect(Buffer.from(bytes)).toEqual(body)
          else expect(Buffer.from(bytes).toString()).toContain('***')
        },
      ),
      { numRuns: RUNS },
    )
  })
})

describe('what is no secret stays', () => {
  it.each([
    ['a short one', ['abc', '1'], 'abc 1 abc%31'],
    ['other words', ['sk_live_0123456789'], 'sk_test_0123456789 and sk_live of 2024...'],
    ['a part in the middle of a text', ['abcdefghijkl'], 'abcdefgh ijkl'],
  ])('%s', (_what, secrets, text) => {
    expect(scrubber(secrets.map(one => new Secret(one))).text(text)).toBe(text)
  })
})

describe('hostile texts', () => {
  const known = scrubber([new Secret('\\%&key"\\\\abc'), new Secret('%%%%%%%%'), new Secret('&amp;&amp;')])
  it.each([
    ['backslashes', '\\'],
    ['percent signs', '%25'],
    ['encoded backslashes', '%5C'],
    ['entities', '&amp;'],
    ['halves of entities', '&#'],
    ['halves of pairs', '\\ud83d'],
    ['cuts', '...'],
    ['beginnings at cuts', '\\%&k…'],
  ])('%s without end are read through', (_what, part) => {
    expect(known.text(part.repeat(20_000)).length).toBeGreaterThan(0)
  })
})

it.each([
  ['one by one', 'ordinary words… '],
  ['in a row', '…'],
])('leaves no half of a secret behind many cuts %s', (_what, part) => {
  const known = scrubber([new Secret('sk_live_0123456789')])
  for (const times of [1, 63, 64, 65, 1000]) {
    expect(known.text(`${part.repeat(times)}key sk_live_01234…`)).not.toContain('live_')
  }
})

it('breaks no list of ordinary numbers, and reads a list in which numbers stand alone on their lines', () => {
  const known = scrubber(['12345678', 'ABCDEFGHIJ', 'aaaaaaaaaa', 'abcd'].map(one => new Secret(one)))
  const numbers = JSON.stringify(Array.from({ length: 256 }, (_, number) => number))
  const fills = JSON.stringify(Array(64).fill(97))
  expect(known.text(numbers + fills + numbers.replaceAll(',', ' '))).toBe(
    numbers + fills + numbers.replaceAll(',', ' '),
  )
  const text = JSON.stringify([...Buffer.from('sk_live_0123456789')], null, 2).replace(
    /\n {2}(?!115,|95,\n {2}108)/g,
    '',
  )
  expect(scrubber([new Secret('sk_live_0123456789')]).text(text)).toMatch(/^\[\s*\*\*\*\s*\]$/)
})

it.each([
  [
    'as Node prints a long Buffer',
    (secret: string) => new Uint8Array(Buffer.from(`Bearer ${'x'.repeat(26)}${secret}`)),
  ],
  ['as Node prints a short Buffer', (secret: string) => Buffer.from(`Bearer ${secret}`)],
])('leaves no bytes %s', (_name, bytes) => {
  const secret = 'sk_live_0123456789abcdef'
  for (const printed of [inspect(bytes(secret)), inspect(Buffer.from(bytes(secret)))]) {
    const clean = scrubber([new Secret(secret)]).text(printed)
    expect(clean).toContain('***')
    expect(clean).not.toMatch(/115,\s107,\s95,|73 6b 5f/)
  }
})

it('takes a secret with half a surrogate pair', () => {
  const secret = 'lone\ud800half'
  const known = scrubber([new Secret(secret)])
  for (const text of [secret, JSON.stringify(secret), uri(wellFormed(secret)), Buffer.from(secret).toString('base64')])
    expect(known.text(text)).toMatch(/^"?\*\*\*"?$/)
})

it.each(['\n', '\r\n', '\\n', '\\r\\n', '\\\\n', '%0A', '%0d%0a', '\n '])(
  'is recognised in base64 that is broken into lines by %j',
  lineEnd => {
    const long = `sk_live_${'51Hqp0eZvKYlo2C/+=é'.repeat(6)}`
    const scrub = scrubber([new Secret(long)])
    for (const before of ['', 'a', 'ab', 'user:']) {
      for (const length of [60, 64, 76]) {
        const line = new RegExp(`.{${length}}`, 'g')
        const lines = Buffer.from(before + long)
          .toString('base64')
          .replace(line, part => part + lineEnd)
        expect(scrub.text(`key ${lines} is wrong`)).toMatch(/^key .{0,12}\*\*\*[=\W\dadnrAD]{0,12} is wrong$/s)
      }
    }
  },
)
