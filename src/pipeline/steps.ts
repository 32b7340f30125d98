import { DataError, SluiceError } from '../core/errors.js'
import type { JsonObject, JsonValue } from '../core/json.js'
import { elements, valueAt } from '../core/jsonBytes.js'
import type { ProcessingStep } from '../core/source.js'
import { encodeRecords, joinRecords } from './records.js'

export interface Stepped {
  readonly records: Uint8Array
  readonly dropped: number
}

/**
 * Runs the steps on every record, in order. Records pass as parsed objects; where only filters run, the bytes of the
 * records that stay are kept as they came. An error in a step names the resource, the step and the record.
 */
export function runSteps(resource: string, steps: readonly ProcessingStep[], records: Uint8Array): Stepped {
  if (steps.length === 0) return { records, dropped: 0 }
  const spans = [...elements(records, 0)]
  if (steps.every(step => 'filter' in step)) {
    const kept = spans.filter(span => applySteps(resource, steps, valueAt(records, span)).length > 0)
    return {
      records: kept.length === spans.length ? records : joinRecords(records, kept),
      dropped: spans.length - kept.length,
    }
  }
  let dropped = 0
  const output: JsonValue[] = []
  for (const span of spans) {
    const made = applySteps(resource, steps, valueAt(records, span))
    if (made.length === 0) dropped += 1
    output.push(...made)
  }
  return { records: encodeRecords(output), dropped }
}

function applySteps(resource: string, steps: readonly ProcessingStep[], record: JsonValue): readonly JsonValue[] {
  let current: readonly JsonValue[] = [record]
  for (const [index, step] of steps.entries()) {
    const next: JsonValue[] = []
    for (const value of current) next.push(...applyStep(resource, index, step, value as JsonObject))
    current = next
  }
  return current
}

function applyStep(resource: string, index: number, step: ProcessingStep, record: JsonObject): Iterable<JsonValue> {
  try {
    if ('filter' in step) return step.filter(record) ? [record] : []
    if ('map' in step) return [step.map(record)]
    return [...step.yield_map(record)]
  } catch (error) {
    if (error instanceof SluiceError) throw error
    const kind = Object.keys(step)[0]
    throw new DataError(
      'user_function',
      `${resource}: processing_steps[${index}].${kind} failed on a record with the keys ${Object.keys(record ?? {})
        .slice(0, 20)
        .join(', ')}: ${error instanceof Error ? error.message : String(error)}`,
      { resource, path: `processing_steps[${index}]`, cause: error },
    )
  }
}
