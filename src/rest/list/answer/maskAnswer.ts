import { elements, JsonDocument, type Span } from '../../../json/bytes.js'
import { compiledPath, type JsonPath } from '../../../json/path.js'
import { DataError } from '../../../model/errors.js'
import type { ApiRequest } from '../../api.js'
import { jsonBody } from '../../body/jsonBody.js'
import type { JsonText } from '../../body/jsonText.js'
import { isListHeader } from '../../evidence/envelope.js'
import { bodyText } from '../../http/answerCondition.js'
import type { OwnedResponse } from '../../http/exchange.js'
import type { RecordMask } from '../../mask/recordMask.js'
import type { ListContext, ListReader } from '../listReader.js'
import { NO_CONTENT, TEXT_CHANGED, tellTextChanged } from './readAnswer.js'
import { listsBefore } from './rowShape.js'
import { detectSelector, isKeyOf, pathOfKeys } from './selector.js'

type Headers = Readonly<Record<string, string>>

const RATE_LIMIT = /^(?:x-)?rate-?limit(?:-|$)/

/**
 * The headers of an answer that is masked: those that tell of the list, the time and limits, and those that the document
 * names. Others may repeat what is masked. A paginator of one's own may go by any, so that it keeps all.
 */
function maskedHeaders({ resource: { endpoint } }: ListReader, headers: Headers): Headers {
  const { paginator, retry, responseActions, job } = endpoint
  if (paginator.kind === 'custom') return headers
  const named = new Set(['content-type', 'date', 'retry-after'])
  // The name of a header is the value of some key of the paginator.
  const values = paginator.kind === 'declared' ? Object.values(paginator.config) : []
  for (const value of values) if (typeof value === 'string') named.add(value.toLowerCase())
  if (job?.handleHeader !== undefined) named.add(job.handleHeader.toLowerCase())
  for (const { waitFrom } of [retry, ...responseActions]) if (waitFrom?.in === 'header') named.add(waitFrom.at)
  return Object.fromEntries(
    Object.entries(headers).filter(([name]) => named.has(name) || isListHeader(name) || RATE_LIMIT.test(name)),
  )
}

/** The header of an answer that was masked, with the digest of the mask. */
const MASKED = 'x-sluice-mask'

/**
 * An answer as it is journaled and read: JSON with masked values. Beside the records, and where it is not known which
 * values are records, a path holds at every depth, and so it does in answers about an export job. An answer that cannot be masked keeps no body
 * but texts of the document, and no answer keeps headers that nothing goes by.
 */
export async function maskAnswer(
  mask: RecordMask,
  reader: ListReader,
  context: ListContext,
  request: ApiRequest,
  response: OwnedResponse,
  isAboutJob: boolean,
): Promise<OwnedResponse> {
  if ((response.fromJournal || response.isRecorded === true) && response.headers[MASKED] !== undefined)
    return recorded(mask, reader, context, response)
  const headers = { ...maskedHeaders(reader, response.headers), [MASKED]: mask.digest }
  // The body of a page that is empty may be a list of nothing, by its format.
  if (response.body.length === 0 && response.status !== 200) return { ...response, headers }
  const text: { isChanged?: true } = {}
  const changed = (why: string): void => {
    text.isChanged = true
    tellTextChanged(reader, context, response, why)
  }
  const masked = await maskedBody(mask, reader, context, request, response, { isAboutJob, changed })
  // A body that goes on keeps its connection until nobody wants the rest.
  if (response.following === undefined) response.release()
  return {
    ...response,
    headers: {
      ...headers,
      'content-type': 'application/json',
      ...(text.isChanged && { [TEXT_CHANGED]: 'true' }),
      ...(masked?.isBlank === true && { [NO_CONTENT]: 'true' }),
    },
    body: masked?.text ?? knownTexts(reader, response),
    release: () => response.release(),
  }
}

/**
 * Of a body that cannot be masked, the texts that the document looks for in it: what they tell of an answer is known by
 * it, and nobody's.
 */
function knownTexts({ resource: { endpoint, incremental } }: ListReader, response: OwnedResponse): Uint8Array {
  const conditions = [...endpoint.responseActions, ...(endpoint.adapt?.when ?? [])]
  const wanted = [...conditions.map(({ content }) => content), incremental?.token?.expired.body]
  if (wanted.every(text => text === undefined)) return new Uint8Array()
  const body = bodyText(response)
  return Buffer.from(wanted.filter(text => text !== undefined && body.includes(text)).join('\n'))
}

/** An answer that an earlier process masked. What was dropped then cannot be seen any more. */
function recorded(
  mask: RecordMask,
  { resource }: ListReader,
  { notes }: ListContext,
  response: OwnedResponse,
): OwnedResponse {
  // A recording is masked by more than the document says, and with a salt that nobody needs to have.
  if (response.isRecorded !== true && response.headers[MASKED] !== mask.digest) {
    const message = `${resource.name}: the journal holds answers that another \`mask\` or \`mask_salt\` changed; load them again`
    throw new DataError('journal', message, { resource: resource.name, path: resource.path })
  }
  for (const { path } of resource.mask?.rules ?? []) notes.paths.set(path, true)
  return response
}

/** Undefined if the body is not what it should be, so that nobody knows where its values are. */
async function maskedBody(
  mask: RecordMask,
  reader: ListReader,
  context: ListContext,
  request: ApiRequest,
  response: OwnedResponse,
  { isAboutJob, changed }: { readonly isAboutJob: boolean; readonly changed: (why: string) => void },
): Promise<JsonText | undefined> {
  const isAnswer = response.status < 300
  try {
    // What an API says of an export job is JSON without records.
    const { format, encoding, keyColumn } = isAboutJob ? {} : reader.resource.endpoint.reading
    const isPart = (response.offset ?? 0) > 0
    const reading = { format, encoding, changed, isPart, hasSelector: reader.selector !== undefined }
    const { text: bytes, isBlank } = await jsonBody(response.body, response.headers, request.url, reading)
    const document = new JsonDocument(bytes)
    const records =
      isAnswer && !isAboutJob
        ? recordsOf(
            document,
            reader.selector,
            keyColumn !== undefined && listsBefore(reader.selector) === undefined,
          ).map(({ start }) => start)
        : []
    const isTold = records.length > 0
    // A body that is no object is the list, or the record.
    const isGuess = !isAboutJob && reader.selector === undefined && document.kind(document.root) === 'object'
    const masked = mask.apply(bytes, document.root, { records, isGuess }, isTold ? context.notes.paths : undefined)
    // The memory of the body is given back. A body with a byte order mark is a part of it.
    return { text: masked.buffer === response.body.buffer ? Uint8Array.from(masked) : masked, isBlank }
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

/** Every value that may be a record. With a guessed selector these are the objects of the list that it finds. */
function recordsOf(document: JsonDocument, selector: JsonPath | undefined, areMembers: boolean): readonly Span[] {
  const { root } = document
  const unfolded = (span: Span): readonly Span[] => {
    const kind = document.kind(span)
    if (kind === 'array') return elements(document.bytes, span.start)
    return areMembers && kind === 'object' ? [...document.members(span).values()] : [span]
  }
  if (selector !== undefined) {
    const found = document.locate(selector) ?? []
    const key = isKeyOf(document, selector) ? document.locate(compiledPath(pathOfKeys([selector.text]))) : undefined
    return (key ?? found).flatMap(unfolded)
  }
  if (document.kind(root) !== 'object') return unfolded(root)
  const { path } = detectSelector(document)
  if (path === undefined || path.text === '$') return []
  return (document.locate(path) ?? []).flatMap(unfolded).filter(span => document.kind(span) === 'object')
}
/** Headers of an answer that are another with every answer, and headers of the transfer. */
const PASSING =
  /^(?:age|alt-svc|cache-control|cf-.*|connection|date|etag|expires|keep-alive|nel|pragma|report-to|retry-after|server|server-timing|strict-transport-security|vary|via|x-(?:amzn?|cache|powered-by|request|response-time|runtime|served|trace).*|.*(?:request|trace|correlation)-?id)$/

/** Those that reading a list needs, for a recording: none that tell of a moment, a limit or a server. */
export function neededHeaders(reader: ListReader, headers: Headers): Headers {
  const { job, paginator } = reader.resource.endpoint
  const kept = maskedHeaders(reader, headers)
  const named = paginator.kind === 'declared' ? Object.values(paginator.config) : []
  const wanted = new Set([
    ...named.filter(value => typeof value === 'string').map(value => value.toLowerCase()),
    MASKED,
    TEXT_CHANGED,
    NO_CONTENT,
  ])
  if (job !== undefined) for (const name of [job.handleHeader ?? 'location', 'location']) wanted.add(name.toLowerCase())
  return Object.fromEntries(
    Object.entries(headers).filter(
      ([name]) => wanted.has(name) || (name in kept && !PASSING.test(name) && !RATE_LIMIT.test(name)),
    ),
  )
}
