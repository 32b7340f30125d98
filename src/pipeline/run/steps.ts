import { elements, JsonBytesError, valueAt } from '../../json/bytes.js'
import { JsonSyntaxError } from '../../json/parse.js'
import { joinRecords } from '../../json/records.js'
import { type JsonObject, type JsonValue, keepNumberLiterals } from '../../json/value.js'
import { stringifyJson } from '../../json/write.js'
import { DataError, EnvironmentError, RequestError } from '../../model/errors.js'
import type { Page, ProcessingStep, Resource } from '../../model/source.js'
import { functionError, isPromise, isRecord, shownResult, unheard } from '../../model/userFunction.js'

export interface Stepped {
  readonly records: Uint8Array
  readonly dropped: number
}

/** The resource that the steps belong to. */
type StepsOwner = Pick<Resource, 'name' | 'path'>

/**
 * Runs the steps on every record, in order. Steps get parsed objects. If there are only filters, the kept records keep
 * their original bytes. A step that fails or returns an invalid value is a DataError `user_function`. It names the
 * resource, the step's key path and the record's keys.
 */
export function runSteps(owner: StepsOwner, steps: readonly ProcessingStep[], records: Uint8Array): Stepped {
  let stepped: Stepped = { records, dropped: 0 }
  for (let from = 0; from < steps.length; ) {
    const step = steps[from] as ProcessingStep
    if ('reshape' in step) {
      stepped = { ...stepped, records: reshapedBy(owner, step, stepped.records) }
      from += 1
      continue
    }
    const end = steps.findIndex((other, index) => index > from && 'reshape' in other)
    const next = end < 0 ? steps.length : end
    const made = runFunctions(owner, steps.slice(from, next) as readonly RecordStep[], stepped.records)
    stepped = { records: made.records, dropped: stepped.dropped + made.dropped }
    from = next
  }
  return stepped
}

type ReshapeStep = Extract<ProcessingStep, { reshape: unknown }>
type RecordStep = Exclude<ProcessingStep, ReshapeStep>

function reshapedBy({ name, path }: StepsOwner, step: ReshapeStep, records: Uint8Array): Uint8Array {
  try {
    return step.reshape(records)
  } catch (error) {
    // A record that is no JSON is the API's fault.
    throw isBadJson(error) ? error : functionError(name, step.path ?? path, error)
  }
}

function runFunctions(owner: StepsOwner, steps: readonly RecordStep[], records: Uint8Array): Stepped {
  const spans = elements(records, 0)
  if (steps.every(step => 'filter' in step)) {
    const kept = spans.filter(span => applySteps(owner, steps, valueAt(records, span)).length > 0)
    return {
      records: kept.length === spans.length ? records : joinRecords(records, kept),
      dropped: spans.length - kept.length,
    }
  }
  const maker = steps.findLastIndex(step => !('filter' in step))
  let dropped = 0
  const texts: string[] = []
  for (const span of spans) {
    const made = applySteps(owner, steps, valueAt(records, span))
    if (made.length === 0) dropped += 1
    for (const record of made) texts.push(recordText(owner, steps, maker, record))
  }
  return { records: Buffer.from(`[${texts.join(',')}]`), dropped }
}

function applySteps(owner: StepsOwner, steps: readonly RecordStep[], record: JsonValue): readonly JsonValue[] {
  let current: readonly JsonValue[] = [record]
  for (const [index, step] of steps.entries()) {
    const next: JsonValue[] = []
    for (const value of current) {
      for (const made of applyStep(owner, index, step, value as JsonObject)) {
        // A copy of a record loses the original digits of its numbers.
        if (made !== value) keepNumberLiterals(value, made)
        next.push(made)
      }
    }
    current = next
  }
  return current
}

function applyStep(owner: StepsOwner, index: number, step: RecordStep, record: JsonObject): Iterable<JsonValue> {
  try {
    if ('filter' in step) return passes(step.filter(record)) ? [record] : []
    if ('map' in step) return [madeRecord(step.map(record))]
    return madeRecords(step.yield_map(record))
  } catch (error) {
    throw functionError(owner.name, placeOf(owner, index, step), error, { record })
  }
}

function placeOf({ path }: StepsOwner, index: number, step: RecordStep): string {
  return step.path ?? `${path}.processing_steps[${index}].${Object.keys(step)[0]}`
}

function passes(result: unknown): boolean {
  if (typeof result === 'boolean') return result
  throw new TypeError(`it returned ${shownResult(result)}, expected true or false${hint(result)}`)
}

function madeRecord(result: unknown): JsonObject {
  if (isRecord(result)) return result
  throw new TypeError(`it returned ${shownResult(result)}, expected the record as an object${hint(result)}`)
}

function madeRecords(result: unknown): JsonObject[] {
  if (typeof result !== 'object' || result === null || !(Symbol.iterator in result)) {
    const isAsync =
      isPromise(result) || (typeof result === 'object' && result !== null && Symbol.asyncIterator in result)
    unheard(result)
    const what = isAsync && !isPromise(result) ? 'an async generator' : shownResult(result)
    throw new TypeError(`it returned ${what}, expected a list of records or a generator${isAsync ? ASYNC_HINT : ''}`)
  }
  const records: JsonObject[] = []
  for (const record of result as Iterable<unknown>) records.push(madeRecord(record))
  return records
}

const ASYNC_HINT = '; it must not be async'

function hint(result: unknown): string {
  unheard(result)
  if (isPromise(result)) return ASYNC_HINT
  return result === undefined ? '; does it lack a `return`?' : ''
}

/** The record as JSON. If JSON cannot hold a value, the step that made it is to blame. */
function recordText(owner: StepsOwner, steps: readonly RecordStep[], maker: number, record: JsonValue): string {
  try {
    return stringifyJson(record)
  } catch (error) {
    throw functionError(owner.name, placeOf(owner, maker, steps[maker] as RecordStep), error, { record })
  }
}

/**
 * Adds the resource and the request of the page to the error. The code that reads, changes or types records knows
 * neither.
 */
export function located(thrown: unknown, { name, path: place }: Resource, { from }: Page): unknown {
  const error = isBadJson(thrown) ? badRecord(thrown) : thrown
  if (!isRecords(error, name)) return error
  const address = from === undefined ? '' : ` (${from.method} ${from.url})`
  // The failure of a user's function already names the resource.
  const isNamed = error.code === 'user_function'
  const message = `${isNamed ? '' : `${name}: `}${error.message}${address}`
  if (error instanceof EnvironmentError) return new EnvironmentError(message, { code: 'memory', cause: error.cause })
  if (error instanceof DataError) {
    return new DataError(error.code as DataCode, message, {
      resource: name,
      path: error.path ?? place,
      cause: error.cause,
    })
  }
  return new RequestError(error.code as RequestCode, message, {
    resource: name,
    method: from?.method,
    url: from?.url,
    status: error.status,
    path: error.path,
    cause: error.cause,
  })
}

/** Whether a record could not be parsed: a page is parsed only as far as its list needs it. */
function isBadJson(error: unknown): error is SyntaxError {
  return error instanceof JsonSyntaxError || error instanceof JsonBytesError
}

function badRecord({ message }: SyntaxError): RequestError {
  return new RequestError('response_format', `A record cannot be read as JSON: ${message} of its text`)
}

/** Whether the error is about records of this resource, not about a request. */
function isRecords(error: unknown, resource: string): error is RequestError | DataError | EnvironmentError {
  if (error instanceof EnvironmentError) return error.code === 'memory'
  if (error instanceof DataError) return error.resource === undefined || error.resource === resource
  return error instanceof RequestError && error.resource === undefined
}

type DataCode = ConstructorParameters<typeof DataError>[0]
type RequestCode = ConstructorParameters<typeof RequestError>[0]
