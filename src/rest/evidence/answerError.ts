import { type JsonDocument, textAt } from '../../json/bytes.js'
import type { JsonValue } from '../../json/value.js'
import { isJsonObject } from '../../json/value.js'
import { bareName } from './pagingHints.js'

/** A member beside the records that says that something failed. */
export interface AnswerError {
  readonly key: string
  readonly text: string
  /** The body is known to be a record all the same. */
  readonly isOfRecord: boolean
}

const MOST_TEXT = 200

/**
 * What a body says of a failure, at its top: `error` and its kin with something in them, `success: false`,
 * `status: "error"`. Errors that say that nothing failed, as `{"code": 0, "message": "success"}`, are none. Of a body that
 * may be a record itself only `error` and `errors` count.
 */
export function errorOf(document: JsonDocument, isRecord: boolean): AnswerError | undefined {
  if (document.kind(document.root) !== 'object') return undefined
  const members = document.members(document.root)
  for (const [key, span] of members) {
    const name = bareName(key)
    const isError = isRecord ? /^errors?$/.test(name) : ERROR.test(name)
    if (!isError && (isRecord || !FLAG.test(name))) continue
    const value = document.value(span)
    if (isError ? nothingFailed(value) : !saysFailed(value)) continue
    const text = textAt(document.bytes, span).slice(0, MOST_TEXT)
    return { key, text, isOfRecord: isRecord && hasRecord([...members.keys()]) }
  }
  return undefined
}

const ERROR = /^err(?:or)?(?:s|no|code|msg|message|description|details?)?$/
const FLAG = /^(?:success|ok|succeeded|(?:is|was)success(?:ful)?|stat|status|result)$/

/** Of a flag, or a word in its place. */
function saysFailed(value: JsonValue): boolean {
  return value === false || (typeof value === 'string' && /^(?:false|error|fail(?:ed|ure)?)$/i.test(value))
}

const NOTHING =
  /^(?:0+|2\d\d|false|null|nil|no|none|n\/a|-|ok(?:ay)?|no errors?|success(?:ful(?:ly)?)?|(?:request|operation) (?:was )?(?:success(?:ful)?|succeeded|ok))?[.!]?$/i

/** Numbers, words and objects of them that stand where an error would be. */
function nothingFailed(value: JsonValue): boolean {
  if (value === null || value === false) return true
  if (typeof value === 'string') return NOTHING.test(value.trim())
  if (Array.isArray(value)) return value.every(nothingFailed)
  if (!isJsonObject(value)) return NOTHING.test(String(value))
  const members = Object.entries(value)
  const telling = members.filter(([key]) => TELLING.test(bareName(key)))
  return (telling.length > 0 ? telling : members).every(([, inner]) => inner === undefined || nothingFailed(inner))
}

/** Members of an error that tell whether there was one; others may be there always, as the number of the request. */
const TELLING = /(?:code|errno|status|message|msg|description|details?|reason|title|text)$/

/** Members that errors have. */
const OF_ERRORS =
  /^(?:_?id|uuid|jsonrpc|err.*|code|status.*|type|title|details?|message|reason|instance|path|time.*|date|trace.*|request.*|documentation.*|help|links?|success|ok|data|results?|meta|version|method|url)$/

/** An identity and members that no error has: a thing whose own trouble is told. */
function hasRecord(keys: readonly string[]): boolean {
  const names = keys.map(bareName)
  return names.some(name => /^(?:id|uuid|guid|key)$/.test(name)) && names.some(name => !OF_ERRORS.test(name))
}
