import { createHash } from 'node:crypto'

/** Bytes of a segment beyond which a name is shortened: file systems allow 255, and a layout may join several names. */
const LONGEST_BYTES = 120

/**
 * A name as one segment of a path: letters, digits, `_`, `-`, `~`, `=` and inner dots and spaces stay, everything else is percent-encoded. Long
 * names are cut and end in `~` and a digest. Different names give different segments, none is `.` or `..`.
 */
export function segment(name: string): string {
  let encoded = ''
  for (const character of name.normalize('NFC')) {
    encoded += /[\p{L}\p{N}_.=~ -]/u.test(character) ? character : percent(character)
  }
  encoded = encoded.replace(/^[. ]|[. ]$|^init$/g, found => percent(found[0] ?? '') + found.slice(1))
  if (Buffer.byteLength(encoded) <= LONGEST_BYTES) return encoded
  let end = 0
  for (const character of encoded) {
    if (Buffer.byteLength(encoded.slice(0, end + character.length)) > 90) break
    end += character.length
  }
  return `${encoded.slice(0, end)}~${createHash('sha256').update(name).digest('hex').slice(0, 20)}`
}

function percent(character: string): string {
  return [...Buffer.from(character)].map(byte => `%${byte.toString(16).padStart(2, '0').toUpperCase()}`).join('')
}
