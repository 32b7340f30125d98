import { JsonDocument, textAt, valueAt } from '../../../json/bytes.js'
import { compiledPath, type JsonPath } from '../../../json/path.js'
import type { JsonValue } from '../../../json/value.js'
import { DataError, RequestError } from '../../../model/errors.js'
import type { ListEnd } from '../../../model/source.js'
import type { ApiPage, ApiRequest, ApiResponse, RecordField } from '../../api.js'
import { BodyFormatError } from '../../body/bodyError.js'
import { jsonBody } from '../../body/jsonBody.js'
import { errorOf } from '../../evidence/answerError.js'
import { declaredKeys } from '../../evidence/declaredKeys.js'
import { type Envelope, envelopeOf, saysEmpty } from '../../evidence/envelope.js'
import { because } from '../../evidence/evidence.js'
import { nearPlace } from '../../evidence/nearPlace.js'
import { retriedFor } from '../../http/answerCondition.js'
import type { OwnedResponse } from '../../http/exchange.js'
import {
  bodyExcerpt,
  declaredError,
  type ListContext,
  type ListReader,
  listError,
  statusError,
  tellGuess,
} from '../listReader.js'
import { tellOnce } from '../tellOnce.js'
import { hasToken } from '../tokenWindow.js'
import { type AnswerJudgement, isRecordable } from './responseActions.js'
import { type ShapeState, shaped } from './rowShape.js'
import {
  describeBody,
  detectSelector,
  fieldsOf,
  hasList,
  hasMoreInside,
  isKeyOf,
  namesOf,
  nothing,
  pathOfKeys,
  type Selection,
  select,
  withoutNulls,
} from './selector.js'

/** An answer after reading. */
export interface Reading {
  readonly response: OwnedResponse
  /** The answer as paginators see it. */
  readonly page: ApiPage
  readonly selection: Selection
  /** Undefined if there was no body, or if it was not read. */
  readonly document: JsonDocument | undefined
  /** What the answer says outside its records. */
  readonly envelope: Envelope
  /** The body has nothing that shows a list, not even an empty one. Default: no. */
  readonly isBlank?: boolean
  /** The error for a first page with nothing at the selector. It is raised unless another list of the resource has something there. */
  readonly failure?: DataError | undefined
  readonly flow: Flow
}

/** How the list goes on after an answer. */
type Flow =
  /** As the paginator says. */
  | { readonly kind: 'continue'; readonly doubt?: ListEnd | undefined }
  /** Continues with the request that would follow a full page. `path`: the response action's key path. */
  | { readonly kind: 'skip'; readonly path: string }
  /** Ends the list. The page is kept or left out. */
  | {
      readonly kind: 'end'
      readonly keep: boolean
      readonly end: ListEnd
      /** The end if the page before says that there is more. */
      readonly early?: ListEnd
    }
  /** The list must be read from its start again. `path`: the response action's key path. */
  | { readonly kind: 'reset'; readonly path: string }

/** How one list is read: what changes from page to page. */
export interface ReadingState extends ShapeState {
  selector: JsonPath | undefined
  /** Whether any answer so far had a list at the records' place. */
  hasList: boolean
  /** Whether each answer is a file of an export job, so that one without content is an empty file. */
  areFiles?: boolean
}

/** Applies the response actions, checks the status, decodes the body and selects the records. `number` is 1-based. */
export async function readAnswer(
  reader: ListReader,
  context: ListContext,
  state: ReadingState,
  request: ApiRequest,
  { response, action, entry }: AnswerJudgement,
  number: number,
): Promise<Reading> {
  const path = entry?.path ?? ''
  const { responseActions, retry } = reader.resource.endpoint
  const refuse = (why: string): RequestError => {
    const attempts = isRecordable(responseActions, retry, response) ? undefined : 1
    if (action === 'fail' && entry?.message !== undefined)
      return declaredError(reader, request, response, entry.message, path, attempts)
    return statusError(reader, request, response, why, attempts)
  }
  const without = (flow: Flow): Reading => dropped(reader, context, request, response, flow)
  const stopped = (keep: boolean): Flow => ({
    kind: 'end',
    keep: keep || entry?.provesEnd === true,
    end: entry?.provesEnd === true ? because('end_declared', path) : because('stopped', path),
  })
  switch (action) {
    case 'ignore':
      return without({ kind: 'end', keep: false, end: because('ignored', response.status, path) })
    case 'skip_page':
      return without({ kind: 'skip', path })
    case 'empty':
      if (entry?.provesEnd !== true) return without({ kind: 'continue', doubt: because('taken_as_empty', path) })
      // Records that are left out speak against the end that the document declares.
      if (response.status < 300 && (await bringsRecords(reader, context, state, request, response)))
        return without({ kind: 'end', keep: false, end: because('taken_as_empty', path) })
      return without(stopped(true))
    case 'reset_pagination':
      return without({ kind: 'reset', path })
    case 'fail':
      throw refuse(`${path} makes it an error`)
    case 'retry':
      throw refuse(`asking again, as ${path} says, did not help`)
    case 'refresh_auth':
      throw refuse(notRenewed(reader, path))
    case 'stop':
      if (response.status < 300) break
      return without(stopped(false))
    default: {
      const by = response.status < 300 ? retriedFor(response, retry) : undefined
      if (by !== undefined) throw refuse(`asking again, as \`${by}\` says, did not help`)
    }
  }
  // Any remaining 3xx has no page: no request was conditional, and redirects were followed.
  if (response.status >= 300) throw statusError(reader, request, response)
  // With any other status, an empty body may be a list that was lost on the way.
  if (response.status === 204 || response.status === 205) {
    const page = answerPage(request, response, nothing, undefined, () => 'nothing')
    const isFile = state.areFiles === true
    const flow: Flow = isFile
      ? { kind: 'continue' }
      : { kind: 'end', keep: true, end: because('no_content'), early: because('content_missing') }
    const selection: Selection = { ...nothing, met: isFile ? 'list' : 'null' }
    return { response, page, selection, document: undefined, envelope: {}, isBlank: isFile, flow }
  }
  const { document, isChanged, isBlank } = await parsed(reader, context, state, request, response)
  return guarded(reader, request, response, () => {
    const selection = nodesOf(reader, context, selected(reader, context, state, document))
    // A list that was guessed may be that of the errors, which are no records.
    const isOfErrors = selection.isGuess === true && document.kind(document.root) === 'object' && hasErrors(document)
    if (!isOfErrors) refuseManyRecords(reader, request, response, selection)
    const page = answerPage(request, response, selection, document, () => bodyExcerpt(reader, response))
    const envelope = envelopeOf(response.headers, document, selection, request, tokenPathOf(reader))
    // The document knows this answer: its error is no news about the list.
    if (action === 'stop' && selection.count === 0 && envelope.error !== undefined) return without(stopped(false))
    const doubt = isChanged ? keyDoubt(reader, page, selection) : undefined
    const flow: Flow = action === 'stop' ? stopped(true) : { kind: 'continue', doubt }
    const isMissing = number === 1 && selection.met === 'nothing'
    const failure = isMissing ? selectorError(reader, document, response) : undefined
    if (failure !== undefined && context.parent === undefined && context.parents === undefined) throw failure
    return { response, page, selection, document, envelope, isBlank, failure, flow }
  })
}

/** Records of one answer. Each takes memory of its own beside its bytes, however short it is. */
const MOST_RECORDS = 1 << 23

function refuseManyRecords(
  { resource: { name } }: ListReader,
  { method }: ApiRequest,
  { url }: ApiResponse,
  { count: records }: Selection,
): void {
  if (records <= MOST_RECORDS) return
  const problem = `${method} ${url} was answered with ${records} records, and ${MOST_RECORDS} are the most that are taken into memory at once`
  throw new RequestError('response_too_large', `${name}: ${problem}; ask for smaller pages`, {
    resource: name,
    method,
    url,
  })
}

async function bringsRecords(
  reader: ListReader,
  context: ListContext,
  state: ReadingState,
  request: ApiRequest,
  response: OwnedResponse,
): Promise<boolean> {
  try {
    const { document } = await parsed(reader, context, state, request, response)
    return selected(reader, context, state, document).count > 0
  } catch {
    // An answer that ends a list may be a text.
    return false
  }
}

/** Why an answer after which new credentials were asked for is refused. */
export function notRenewed({ auth }: ListReader, path: string): string {
  if (auth?.renew !== undefined) return `new credentials, as ${path} says, did not help`
  return `${path} asks for new credentials, but \`auth\` has none to fetch: use a type that fetches a token`
}

function dropped(
  reader: ListReader,
  { emit }: ListContext,
  request: ApiRequest,
  response: OwnedResponse,
  flow: Flow,
): Reading {
  const resource = reader.resource.name
  const message = `${resource}: the answer ${response.status} of ${response.url} was ignored, as a response action says`
  emit({ type: 'warning', code: 'ignored_response', resource, namesResource: true, message })
  const page = answerPage(request, response, nothing, undefined, () => bodyExcerpt(reader, response))
  return { response, page, selection: { ...nothing, met: 'null' }, document: undefined, envelope: {}, flow }
}

/** The place of the sync token, as places in answers are written. Undefined if it is not a chain of keys. */
function tokenPathOf({ resource: { incremental } }: ListReader): string | undefined {
  if (incremental?.token === undefined) return undefined
  const { steps } = compiledPath(incremental.hint.cursorPath)
  return steps?.every(step => typeof step === 'string') === true ? pathOfKeys(steps) : undefined
}

async function parsed(
  reader: ListReader,
  context: ListContext,
  state: ReadingState,
  request: ApiRequest,
  response: OwnedResponse,
): Promise<{ readonly document: JsonDocument; readonly isChanged: boolean; readonly isBlank: boolean }> {
  try {
    let isChanged = isTextChanged(response)
    const changed = (why: string): void => {
      isChanged = true
      tellTextChanged(reader, context, response, why)
    }
    // What was masked is JSON.
    const { format, encoding } = reader.mask === undefined ? reader.resource.endpoint.reading : {}
    const hasSelector = state.selector !== undefined
    const isPart = (response.offset ?? 0) > 0
    // In a CSV, no line may stand for no rows, where a number says so too.
    const isNone = saysEmpty(response.headers)
    const reading = { format, encoding, hasSelector, isPart, isNone, changed }
    const { text, isBlank } = await jsonBody(response.body, response.headers, request.url, reading)
    return { document: new JsonDocument(text), isChanged, isBlank: isBlank || NO_CONTENT in response.headers }
  } catch (error) {
    throw notJson(reader, request, response, error)
  }
}

/** The header of an answer that was masked, if its text could not be read as it is. */
export const TEXT_CHANGED = 'x-sluice-text-changed'

/** The header of an answer that was masked, if its body had no content. */
export const NO_CONTENT = 'x-sluice-no-content'

function isTextChanged({ headers }: ApiResponse): boolean {
  return headers[TEXT_CHANGED] !== undefined
}

/** Tells, once in a run, that the text of an answer could not be read as it is. */
export function tellTextChanged(
  { resource: { name } }: ListReader,
  context: ListContext,
  response: ApiResponse,
  why: string,
): void {
  const message = `${name}: the text of the answer of ${response.url} was changed: ${why}, so U+FFFD stands where it could not be read`
  tellOnce(context, 'text', { type: 'warning', code: 'text_changed', resource: name, namesResource: true, message })
}

/** Of an answer whose text was changed: the doubt about records that are merged by keys in which U+FFFD may stand for anything. */
function keyDoubt({ resource }: ListReader, page: ApiPage, { records }: Selection): ListEnd | undefined {
  const { hints } = resource
  const { disposition = 'merge' } = hints.writeDisposition ?? {}
  const keys = disposition === 'merge' ? [...(declaredKeys(resource) ?? []), ...(hints.mergeKey ?? [])] : []
  if (keys.length === 0 || !Buffer.from(records.buffer, records.byteOffset, records.length).includes(REPLACEMENT))
    return undefined
  // A key that a step makes is not in the record yet.
  const changed = keys.find(
    key => page.fields?.(key).some(field => field === undefined || field.text.includes(REPLACEMENT)) ?? true,
  )
  return changed === undefined ? undefined : because('key_text_changed', changed)
}

const REPLACEMENT = '\ufffd'

/** Damage in a body may show only when it is read. */
function guarded<Result>(reader: ListReader, request: ApiRequest, response: OwnedResponse, look: () => Result): Result {
  try {
    return look()
  } catch (error) {
    throw notJson(reader, request, response, error)
  }
}

/** The error for a body that is not JSON. Errors of other kinds are returned unchanged. */
export function notJson(
  reader: ListReader,
  request: ApiRequest,
  response: ApiResponse & Pick<OwnedResponse, 'offset'>,
  error: unknown,
): unknown {
  if (!(error instanceof SyntaxError)) return error
  const type = response.headers['content-type']?.split(';')[0]
  const wanted = error instanceof BodyFormatError ? error.format : 'JSON'
  const named = type === undefined ? '' : ` although its type is ${type}`
  const problem =
    wanted !== 'JSON' || /json/i.test(type ?? 'json')
      ? `the answer is not ${wanted}${wanted === 'JSON' ? named : ''}: ${error.message}`
      : `the answer is not JSON but ${type}: ${error.message}`
  if (reader.mask !== undefined && response.body.length === 0) {
    const unreadable = 'the answer is empty, or cannot be read as JSON, so that nothing in it could be masked'
    return listError(reader, 'response_format', unreadable, { request, status: response.status })
  }
  const part = response.offset === undefined ? 'it' : `the part of it behind byte ${response.offset}, where this is,`
  const begins = bodyExcerpt(reader, response)
  return listError(reader, 'response_format', `${problem}; ${part} begins ${begins}`, {
    request,
    status: response.status,
  })
}

function selected(reader: ListReader, context: ListContext, state: ReadingState, document: JsonDocument): Selection {
  const { reading } = reader.resource.endpoint
  if (state.selector === undefined) {
    const { path, why, sticks } = detectSelector(document)
    // Null instead of a list is an empty list. A body with errors is not.
    if (path === undefined) return hasErrors(document) ? nothing : { ...nothing, met: 'null' }
    tellGuess(reader, context, { what: 'data_selector', guess: path.text, why })
    if (sticks) state.selector = path
    const found = select(document, path)
    return { ...(found === undefined ? nothing : shaped(document, found, path, reading, state)), isGuess: true }
  }
  const found = select(document, state.selector)
  const selection = found === undefined ? undefined : shaped(document, found, state.selector, reading, state)
  if (selection?.met === 'list') state.hasList = true
  // After lists, an object may be a list of one. No other value is a record.
  if (selection?.met === 'record' && state.hasList && !isFilledObject(document, selection)) return nothing
  if (selection !== undefined) return selection
  if (isWithoutChanges(reader, context, document)) return { ...nothing, met: 'list' }
  // A path that chooses among values may match none of them.
  return state.selector.choosesFrom(valueAt(document.bytes, document.root)) ? { ...nothing, met: 'list' } : nothing
}

/**
 * Whether the API says, by a new sync token and no list at all, that nothing changed since the last one. The document
 * must say that the list may be missing.
 */
function isWithoutChanges(reader: ListReader, { window }: ListContext, document: JsonDocument): boolean {
  const { endpoint, incremental } = reader.resource
  if (endpoint.dataSelectorRequired || incremental === undefined || !hasToken(reader, window)) return false
  const token = document.first(pathIn(document, incremental.hint.cursorPath))
  return token !== undefined && token !== null && !hasList(document)
}

/** The nodes of a Relay connection, without those that are null. Other selections stay as they are. */
function nodesOf({ resource }: ListReader, context: ListContext, selection: Selection): Selection {
  if (resource.endpoint.isConnection !== true || selection.count === 0) return selection
  if (resource.completeNested.length === 0 && hasMoreInside(selection)) {
    const { name } = resource
    const message = `${name}: a record has a connection of its own with more pages ("hasNextPage": true), which are not read; ask for more of it at once, or read it by a resource of its own`
    tellOnce(context, 'nested', { type: 'warning', code: 'other', resource: name, namesResource: true, message })
  }
  return withoutNulls(selection)
}

function isFilledObject(document: JsonDocument, { within }: Selection): boolean {
  return within !== undefined && document.kind(within) === 'object' && document.members(within).size > 0
}

function hasErrors(document: JsonDocument): boolean {
  return [...document.members(document.root).keys()].some(key => /^errors?$/i.test(key))
}

/** The error for a first answer without a match for the document's selector. Undefined if a match is not required. */
function selectorError(reader: ListReader, document: JsonDocument, response: ApiResponse): DataError | undefined {
  const { endpoint, name } = reader.resource
  if (!endpoint.dataSelectorRequired || endpoint.dataSelector === undefined) return undefined
  const path = `${endpoint.path}.data_selector`
  const shown = bodyExcerpt(reader, response)
  const failure = errorOf(document, false)
  if (failure !== undefined) {
    const found = `the first answer of ${response.url} reports a failure in ${JSON.stringify(failure.key)}, and has nothing at ${JSON.stringify(endpoint.dataSelector)}`
    const message = `${path}: ${found}; it begins ${shown}; correct the request, or say by \`response_actions\` or \`retry.when\` what such an answer means`
    return new DataError('selector', reader.scrubber.text(message), { resource: name, path })
  }
  const body = reader.scrubber.text(describeBody(document, endpoint.dataSelector, shown))
  const text = JSON.stringify(endpoint.dataSelector)
  const message = `${path}: ${text} matches nothing in the first answer of ${response.url}: ${body}`
  return new DataError('selector', message, { resource: name, path })
}

/** An answer with its records counted. `document` is undefined if there is no body to read. */
export function answerPage(
  request: ApiRequest,
  response: ApiResponse,
  selection: Selection,
  document: JsonDocument | undefined,
  excerpt: () => string,
): ApiPage {
  const fields = new Map<string, readonly (RecordField | undefined)[]>()
  return {
    request,
    status: response.status,
    headers: response.headers,
    records: selection.count,
    excerpt,
    fields(path) {
      const known = fields.get(path)
      if (known !== undefined) return known
      const found = fieldsOf(selection, path)
      fields.set(path, found)
      return found
    },
    names: index => namesOf(selection, index),
    first: path => document?.first(pathIn(document, path)),
    near: path => (document === undefined ? undefined : nearPlace(document, path)),
    text: path => (document === undefined ? undefined : scalarText(document, pathIn(document, path))),
  }
}

/** A path without a match may be one key of the body that contains dots, as in `@odata.nextLink`. */
function pathIn(document: JsonDocument, text: string): JsonPath {
  const path = compiledPath(text)
  return isKeyOf(document, path) ? compiledPath(pathOfKeys([text])) : path
}

function scalarText(document: JsonDocument, path: JsonPath): string | undefined {
  const span = document.locate(path)?.[0]
  if (span === undefined) return textOf(document.first(path))
  return document.kind(span) === 'number' ? textAt(document.bytes, span) : textOf(document.value(span))
}

function textOf(value: JsonValue | undefined): string | undefined {
  return value === undefined || value === null || typeof value === 'object' ? undefined : String(value)
}
