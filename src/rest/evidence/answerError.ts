import { type JsonDocument, type Span, textAt } from '../../json/bytes.js'
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
const FLAG =
  /^(?:success|ok|succeeded|(?:is|was)success(?:ful)?|stat|status|result|(?:status|http)?code|httpstatus|statustext)$/

/** Of a flag, or a word in its place, or a status of HTTP. */
function saysFailed(value: JsonValue): boolean {
  if (typeof value === 'number') return value >= 400 && value < 600
  return value === false || (typeof value === 'string' && FAILED.test(value.trim()))
}

const FAILED =
  /^(?:false|error|fail(?:ed|ure)?|[45]\d\d|partial.*|incomplete|time(?:d[ _-]?)?out|throttled|(?:rate[ _-]?)?limited|(?:service[ _-]?)?unavailable|busy|retry|degraded|aborted|interrupted|cancell?ed|pending|processing)$/i

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

/** A sentence of an answer, beside its records. */
export interface Remark {
  readonly key: string
  readonly text: string
  /** It tells of trouble by its words. */
  readonly isTrouble: boolean
}

/**
 * What an answer says in words, at its top or in its `meta`. Undefined where it says nothing, or only that all is well or
 * that nothing was found.
 */
export function remarkOf(document: JsonDocument): Remark | undefined {
  if (document.kind(document.root) !== 'object') return undefined
  for (const [key, span] of membersAtTop(document)) {
    if (!REMARK.test(bareName(key))) continue
    const value = document.value(span)
    const text = (typeof value === 'string' ? value : textAt(document.bytes, span)).slice(0, MOST_TEXT)
    if (nothingFailed(value) || EMPTY.test(text.trim())) continue
    return { key, text, isTrouble: TROUBLE.test(text) }
  }
  return undefined
}

const REMARK =
  /^(?:message|msg|messages|details?|description|reason|warnings?|notices?|notes?|hint|info|alert|statusmessage)$/

const EMPTY =
  /^(?:(?:there (?:are|is|were|was) )?(?:no|0|zero|not any)(?: \w+){0,3} (?:data|results?|records?|items?|entries|rows|pages?|matches|found|available|exist|left|more)(?: (?:were|was|is|are))?(?: (?:found|available|left|exist|returned|match\w*|to show|to display))?(?: (?:for|in|on|with|that|your|this)\b.{0,60})?|nothing (?:found|more|left)|(?:data |records? )?not found|empty(?: (?:list|result|page))?|(?:the )?(?:list|page|results?|(?:result|data) ?set) (?:is|was) empty|(?:no errors?, ?)?end of (?:the )?(?:list|results|data))[.!]?$/i

const TROUBLE =
  /\b(?:retr(?:y|ying)|again|later|time(?:d[ -]?)?out|timeout|fail(?:ed|ure|s)?|errors?|unavailable|busy|throttl\w*|too many|rate limit\w*|partial\w*|incomplete|exceeded|denied|degraded|overload\w*|maintenance|expired|unauthori[sz]ed|forbidden|abort\w*|interrupted|could not|cannot|can't|unable|went wrong|not ready|still|pending|slow down|wait)\b/i

/** Flags that say that an answer is not all that there is. */
export function partOf(document: JsonDocument): string | undefined {
  if (document.kind(document.root) !== 'object') return undefined
  for (const [key, span] of membersAtTop(document)) {
    if (PART.test(bareName(key)) && /^(?:true|"true"|"yes"|1)$/i.test(textAt(document.bytes, span))) return key
  }
  return failedShards(document) ? '_shards.failed' : undefined
}

const PART =
  /^(?:is)?(?:partial|partial(?:results?|data|success|failure)|timedout|timeout|throttled|ratelimited|incomplete|degraded|interrupted|aborted|terminatedearly|earlyterminated)$/

/** With Elasticsearch: parts of an index that did not answer. */
function failedShards(document: JsonDocument): boolean {
  const shards = document.members(document.root).get('_shards')
  if (shards === undefined || document.kind(shards) !== 'object') return false
  const failed = document.members(shards).get('failed')
  return failed !== undefined && Number(document.value(failed)) > 0
}

/** Members of the body, and of its `meta`. */
function membersAtTop(document: JsonDocument): (readonly [string, Span])[] {
  const members = [...document.members(document.root)]
  const metas = members.filter(
    ([key, span]) => /^meta(?:data)?$/.test(bareName(key)) && document.kind(span) === 'object',
  )
  return [...members, ...metas.flatMap(([, meta]) => [...document.members(meta)])]
}
