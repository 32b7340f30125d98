import { type JsonDocument, type Span, textAt } from '../../json/bytes.js'
import type { JsonValue } from '../../json/value.js'

/** What an API says beside its records is short. Longer values would be objects of ten times their size. */
const LONGEST_BYTES = 1 << 20

/** A value beside the records. Undefined if it is too long to be something that an API says. */
export function briefValue(document: JsonDocument, span: Span): JsonValue | undefined {
  return span.end - span.start > LONGEST_BYTES ? undefined : document.value(span)
}

/** The beginning of a value as it is written, of at most so many characters. */
export function beginningOf({ bytes }: JsonDocument, { start, end }: Span, most: number): string {
  // A character is at most four bytes.
  return textAt(bytes, { start, end: Math.min(end, start + 4 * most) }).slice(0, most)
}
