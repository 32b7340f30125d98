import {
  type JsonDocument,
  kindAt,
  members,
  type Span,
  skipSpace,
  skipValue,
  textAt,
  valueAt,
} from '../../json/bytes.js'
import { separatorsOf } from '../../json/skip.js'
import type { JsonValue } from '../../json/value.js'
import { isJsonObject } from '../../json/value.js'
import type { Selection } from '../list/answer/selector.js'
import { beginningOf, briefValue } from './briefValue.js'
import { bareName, hintKind } from './pagingHints.js'

/** A member outside the records that reports a failure. */
export interface AnswerError {
  readonly key: string
  readonly text: string
  /** The body is nevertheless known to be a record. */
  readonly isOfRecord: boolean
}

const MOST_TEXT = 200

/**
 * The failure that a body reports at its top: a non-empty `error` or similar, `success: false`, `status: "error"`. An
 * error that reports success, as in `{"code": 0, "message": "success"}`, does not count. In a body that may itself be a
 * record, only `error` and `errors` count.
 */
export function errorOf(document: JsonDocument, isRecord: boolean): AnswerError | undefined {
  if (document.kind(document.root) !== 'object') return undefined
  const members = document.members(document.root)
  for (const [key, span] of members) {
    const name = bareName(key)
    const isLeft = !isRecord && LEFT_UNDONE.test(name) && ['array', 'object'].includes(document.kind(span))
    const isError = isLeft || (isRecord ? /^errors?$/.test(name) : ERROR.test(name))
    if (!isError && (isRecord || !FLAG.test(name))) continue
    const value = briefValue(document, span)
    if (isError ? nothingFailed(value) : value === undefined || !saysFailed(name, value)) continue
    const text = beginningOf(document, span, MOST_TEXT)
    return { key, text, isOfRecord: isRecord && hasRecord([...members.keys()]) }
  }
  return undefined
}

const ERROR = /^(?:err(?:or)?(?:s|no|code|msg|message|description|details?)?|exceptions?|faults?)$/
/** Lists and maps of what the API did not do. A number may count things of the API, such as builds that failed. */
const LEFT_UNDONE = /^(?:failures?|failed(?:ids|items|keys|records|requests)?|unprocessed(?:ids|items|keys|records)?)$/
const FLAG =
  /^(?:success|ok|succeeded|(?:is|was)success(?:ful)?|stat|status|result|(?:status|http)?code|httpstatus|statustext)$/

/** Whether a flag, a word in its place, an HTTP status or a code in words such as `E_TIMEOUT` reports a failure. */
function saysFailed(name: string, value: JsonValue): boolean {
  if (typeof value === 'number') return value >= 400 && value < 600
  if (typeof value !== 'string') return value === false
  const words = value.replaceAll(/[\s_-]+/g, ' ').trim()
  return FAILED.test(value.trim()) || (name.endsWith('code') && FAILED_CODE.test(words) && !NOTHING.test(words))
}

const FAILED_CODE =
  /\b(?:err(?:or)?|fail(?:ed|ure)?|exception|time(?:d ?)?out|unavailable|exceeded|throttled|throttling|denied|unauthori[sz]ed|forbidden|internal|aborted)\b/i

const FAILED =
  /^(?:false|error|fail(?:ed|ure)?|[45]\d\d|partial.*|incomplete|time(?:d[ _-]?)?out|throttled|(?:rate[ _-]?)?limited|(?:service[ _-]?)?unavailable|busy|retry|degraded|aborted|interrupted|cancell?ed|pending|processing)$/i

const NOTHING =
  /^(?:0+|2\d\d|false|null|nil|no|none|n\/a|-|ok(?:ay)?|no errors?|success(?:ful(?:ly)?)?|(?:request|operation) (?:was )?(?:success(?:ful)?|succeeded|ok))?[.!]?$/i

/** Whether a value in the place of an error says that nothing failed. */
function nothingFailed(value: JsonValue | undefined): boolean {
  // So much is said of no success.
  if (value === undefined) return false
  if (value === null || value === false) return true
  if (typeof value === 'string') return NOTHING.test(value.trim())
  if (Array.isArray(value)) return value.every(nothingFailed)
  if (!isJsonObject(value)) return NOTHING.test(String(value))
  const members = Object.entries(value)
  const telling = members.filter(([key]) => TELLING.test(bareName(key)))
  return (telling.length > 0 ? telling : members).every(([, inner]) => inner === undefined || nothingFailed(inner))
}

/** Members of an error that show whether there was one. Others may always be there, such as the request's number. */
const TELLING = /(?:code|errno|status|message|msg|description|details?|reason|title|text)$/

/** Members that are usual in errors. */
const OF_ERRORS =
  /^(?:_?id|uuid|jsonrpc|err.*|code|status.*|type|title|details?|message|reason|instance|path|time.*|date|trace.*|request.*|documentation.*|help|links?|success|ok|data|results?|meta|version|method|url)$/

/** Whether the object is a record with an error of its own: it has an identity, and members that no error has. */
function hasRecord(keys: readonly string[]): boolean {
  const names = keys.map(bareName)
  return names.some(name => /^(?:id|uuid|guid|key)$/.test(name)) && names.some(name => !OF_ERRORS.test(name))
}

/** How much of the end of a list is searched for the name of an error. */
const LAST_BYTES = 4096
const MAY_FAIL = /"(?:err|exception)/i
const FAILURE = /^(?:err(?:or)?s?|exception)$/

/** Longest element that may be a trailer. */
const LONGEST_TRAILER = 1024

/**
 * What an element of a list says of the list, if it is none of its records. Lines of JSON may have one between them, or
 * end with one.
 *
 * - A failure: it has an error, and nothing that a record beside it has. Alone, it has nothing but what errors have, and no time.
 * - A trailer: it has only what envelopes and errors have, and nothing that a record beside it has.
 */
export function errorAmong(selection: Selection): AnswerError | undefined {
  try {
    return elementAsError(selection)
  } catch (error) {
    // Whoever reads the records says better what is damaged.
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

function elementAsError({ met, records, count, separators }: Selection): AnswerError | undefined {
  if (met !== 'list' || count === 0) return undefined
  if (count === 1) return mayFail(records) ? errorIn(records, 0, undefined) : undefined
  const commas = separators ?? separatorsOf(records)
  const second = commas[0] ?? 0
  const first = errorIn(records, 0, second)
  if (first !== undefined) return first
  const usual = firstName(records, 0)
  for (const comma of commas) {
    // Nearly always an element of another kind begins with another name.
    if (usual !== undefined && beginsWith(records, comma, usual)) continue
    const found = errorIn(records, comma, 0)
    if (found !== undefined) return found
  }
  return undefined
}

/** The error that the element behind `comma` is, compared with the one behind `other`. */
function errorIn(records: Uint8Array, comma: number, other: number | undefined): AnswerError | undefined {
  const start = skipSpace(records, comma + 1)
  if (kindAt(records, start) !== 'object') return undefined
  const keys = [...members(records, start).keys()]
  const failing = keys.some(name => FAILURE.test(bareName(name)))
  const trails = other !== undefined && keys.length > 0 && keys.every(speaksOfList)
  if (!failing && !trails) return undefined
  const span = elementAfter(records, comma)
  const value = valueAt(records, span)
  if (!isJsonObject(value)) return undefined
  const failure = keys.find(name => FAILURE.test(bareName(name)) && !nothingFailed(value[name] ?? null))
  const isFailure = failure !== undefined && !keys.some(name => OF_RECORDS.test(bareName(name)))
  const isTrailer = trails && span.end - span.start <= LONGEST_TRAILER
  const key = isFailure ? failure : keys[0]
  if ((!isFailure && !isTrailer) || key === undefined || !isOther(records, keys, other)) return undefined
  return { key, text: textAt(records, span).slice(0, MOST_TEXT), isOfRecord: true }
}

/** Whether an element with these keys is of another kind than the one behind `other`. */
function isOther(records: Uint8Array, keys: readonly string[], other: number | undefined): boolean {
  if (other === undefined) return keys.every(name => OF_ERRORS.test(bareName(name)) || FAILURE.test(bareName(name)))
  const start = skipSpace(records, other + 1)
  if (kindAt(records, start) !== 'object') return false
  const beside = members(records, start)
  return keys.every(name => !beside.has(name))
}

/** The name of the first member of the element behind `comma`, with its quotation marks. */
function firstName(records: Uint8Array, comma: number): Uint8Array | undefined {
  const start = skipSpace(records, comma + 1)
  if (kindAt(records, start) !== 'object') return undefined
  const name = skipSpace(records, start + 1)
  return records[name] === QUOTE ? records.subarray(name, skipValue(records, name)) : undefined
}

function beginsWith(records: Uint8Array, comma: number, name: Uint8Array): boolean {
  const at = skipSpace(records, skipSpace(records, comma + 1) + 1)
  for (let index = 0; index < name.length; index++) if (records[at + index] !== name[index]) return false
  return true
}

const QUOTE = 0x22

function mayFail(records: Uint8Array): boolean {
  return MAY_FAIL.test(textAt(records, { start: Math.max(0, records.length - LAST_BYTES), end: records.length }))
}

function speaksOfList(name: string): boolean {
  return hintKind(name) !== undefined || OF_TRAILERS.test(bareName(name))
}

const OF_TRAILERS = /^(?:code|details?|message|msg|reason|status(?:code|message)?|success|ok)$/

/** The element behind the opening bracket of a list, or behind a comma in it. */
function elementAfter(records: Uint8Array, at: number): Span {
  const start = skipSpace(records, at + 1)
  return { start, end: skipValue(records, start) }
}

const OF_RECORDS = /^(?:_?id|uuid|guid|key|time.*|date|created.*|updated.*)$/

/** A message in an answer, outside its records. */
export interface Remark {
  readonly key: string
  readonly text: string
  /** Its words report a problem. */
  readonly isTrouble: boolean
}

/**
 * The message of an answer, at its top or in its `meta`. Undefined if there is none, or if it only says that all is
 * well or that nothing was found.
 */
export function remarkOf(document: JsonDocument): Remark | undefined {
  if (document.kind(document.root) !== 'object') return undefined
  for (const [key, span] of membersAtTop(document)) {
    if (!REMARK.test(bareName(key))) continue
    const value = briefValue(document, span)
    const text = typeof value === 'string' ? value.slice(0, MOST_TEXT) : beginningOf(document, span, MOST_TEXT)
    if (nothingFailed(value) || EMPTY.test(text.trim())) continue
    return { key, text, isTrouble: TROUBLE.test(text) || hasCode(document) }
  }
  return undefined
}

/** Whether the answer has a number for what happened. 0 and 1 are usual for success, as HTTP's 2xx are. */
function hasCode(document: JsonDocument): boolean {
  const code = membersAtTop(document).find(([key]) => /^(?:status|result|response)?code$/.test(bareName(key)))
  return code !== undefined && /^"?(?!(?:0*[01]|2\d\d)"?$)\d+"?$/.test(textAt(document.bytes, code[1]))
}

const REMARK =
  /^(?:message|msg|messages|details?|description|reason|warnings?|notices?|notes?|hint|info|alert|statusmessage)$/

const EMPTY =
  /^(?:(?:there (?:are|is|were|was) )?(?:no|0|zero|not any)(?: \w+){0,3} (?:data|results?|records?|items?|entries|rows|pages?|matches|found|available|exist|left|more)(?: (?:were|was|is|are))?(?: (?:found|available|left|exist|returned|match\w*|to show|to display))?(?: (?:for|in|on|with|that|your|this)\b.{0,60})?|nothing (?:found|more|left)|(?:data |records? )?not found|empty(?: (?:list|result|page))?|(?:the )?(?:list|page|results?|(?:result|data) ?set) (?:is|was) empty|(?:no errors?, ?)?end of (?:the )?(?:list|results|data))[.!]?$/i

const TROUBLE =
  /\b(?:retr(?:y|ying)|again|later|time(?:d[ -]?)?out|timeout|fail(?:ed|ure|s)?|errors?|unavailable|busy|throttl\w*|too many|rate limit\w*|partial\w*|incomplete|exceeded|denied|degraded|overload\w*|maintenance|expired|unauthori[sz]ed|forbidden|abort\w*|interrupted|could not|cannot|can't|unable|went wrong|not ready|still|pending|slow down|wait|permissions?|not (?:allowed|authori[sz]ed|enabled|permitted)|insufficient|invalid|suspended|blocked|disabled|deactivated|revoked|restricted|locked|quotas?|limit reached|connection|refused|rejected|unreachable|offline|outage|lost)\b/i

/** The flag or message by which an answer says that it is incomplete. */
export function partOf(document: JsonDocument): string | undefined {
  if (document.kind(document.root) !== 'object') return undefined
  for (const [key, span] of membersAtTop(document)) {
    const name = bareName(key)
    if (PART.test(name) && /^(?:true|"true"|"yes"|1)$/i.test(textAt(document.bytes, span))) return key
    if (REMARK.test(name) && CUT_SHORT.test(beginningOf(document, span, MOST_TEXT))) return key
  }
  return failedShards(document) ? '_shards.failed' : undefined
}

const PART =
  /^(?:is)?(?:partial|partial(?:results?|data|success|failure)|timedout|timeout|throttled|ratelimited|incomplete(?:results?|data|response)?|degraded|interrupted|aborted|terminatedearly|earlyterminated)$/

/** Words for an answer or a list that was cut short. */
const CUT_SHORT =
  /\btruncated\b(?! (?:text|to fit|values?))|\bcut (?:off|short)\b|\b(?:incomplete|partial) (?:data|list|results?|response)\b|\b(?:data|list|results?|response) (?:is|are|was|were|may be|might be) (?:incomplete|partial)\b|\bonly (?:the )?(?:first|top) \d+\b|\blimited to (?:the )?(?:(?:first|top) )?\d+ (?:entries|items|records|results|rows)\b(?! per page)/i

/** Elasticsearch: some parts of an index did not answer. */
function failedShards(document: JsonDocument): boolean {
  const shards = document.members(document.root).get('_shards')
  if (shards === undefined || document.kind(shards) !== 'object') return false
  const failed = document.members(shards).get('failed')
  return failed !== undefined && Number(document.value(failed)) > 0
}

/** Members of the body and of its `meta`. */
function membersAtTop(document: JsonDocument): (readonly [string, Span])[] {
  const members = [...document.members(document.root)]
  const metas = members.filter(
    ([key, span]) => /^meta(?:data)?$/.test(bareName(key)) && document.kind(span) === 'object',
  )
  return [...members, ...metas.flatMap(([, meta]) => [...document.members(meta)])]
}
