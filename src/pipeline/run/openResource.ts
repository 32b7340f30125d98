import type { JsonValue } from '../../json/value.js'
import { shortened } from '../../model/errors.js'
import type { RunEvent } from '../../model/events.js'
import type { CursorState } from '../../model/pipelineState.js'
import type { IncrementalHint, IncrementalWindow, Resource } from '../../model/source.js'
import type { Naming } from '../../schema/naming.js'
import type { Schema } from '../../schema/schemaTypes.js'
import type { PipelineSetup } from '../setup.js'
import { ExpectationCheck } from './expectationCheck.js'
import type { FrozenWindows } from './incremental/frozenWindows.js'
import { losesEqual, trackToken } from './incremental/heldCursors.js'
import { type CursorTracker, trackCursor } from './incremental/incremental.js'
import { PartEnds } from './incremental/listParts.js'
import { ParentChanges } from './incremental/parentChanges.js'
import { ParentCursorTracker } from './incremental/parentCursors.js'
import type { PartitionRange } from './incremental/partitions.js'
import type { WindowToLoad } from './incremental/windowToLoad.js'
import { meter } from './meter.js'
import { appendsAny, type PlannedResource, parentOf } from './plan/planResources.js'
import type { OpenResource } from './plan/tablePlans.js'
import type { Prepared } from './prepare.js'

interface Opening {
  readonly setup: PipelineSetup
  readonly prepared: Prepared
  readonly windows: FrozenWindows
  readonly window?: WindowToLoad | undefined
}

/** What counts and judges the records of one resource while they are read. */
export function openResource(planned: PlannedResource, input: Opening, emit: (event: RunEvent) => void): OpenResource {
  const { prepared, windows } = input
  const { resource } = planned
  const { name, expect } = resource
  return {
    planned,
    meter: meter(name, mergesTwice(planned, prepared.schema, prepared.naming)),
    cursor: cursorOf(planned, input, emit),
    expectations: expect === undefined ? undefined : new ExpectationCheck(expect),
    changes: changesOf(resource, input),
    isPart: windows.partitions.size > 0,
    part: partOf(resource, windows.partitions.get(name)),
  }
}

/** Undefined: the resource has no cursor, or the run does not use it. */
function cursorOf(
  planned: PlannedResource,
  { setup, windows }: Opening,
  emit: (event: RunEvent) => void,
): CursorTracker | undefined {
  const { resource } = planned
  const { incremental, name } = resource
  const frozen = windows.byResource.get(name)
  if (incremental === undefined || frozen === undefined) return undefined
  let isTold = false
  const doubtful = (value: JsonValue, other: JsonValue): void => {
    if (isTold) return
    isTold = true
    const message = doubtMessage(incremental, name, value, other)
    emit({ type: 'warning', code: 'cursor_order', resource: name, namesResource: true, message })
  }
  const track = (window: IncrementalWindow, stored: CursorState | undefined): CursorTracker =>
    incremental.isToken === true
      ? trackToken(window, stored)
      : trackCursor(incremental, window, stored, {
          primaryKey: resource.hints.primaryKey,
          holdsBack: appendsAny(planned) && losesEqual(resource),
          doubtful,
        })
  const parent = parentOf(setup.source, resource)
  return frozen.byParent === undefined || parent === undefined
    ? track(frozen.window, frozen.stored)
    : new ParentCursorTracker(incremental, parent, frozen.byParent, track)
}

function changesOf(resource: Resource, { setup, windows, window }: Opening): ParentChanges | undefined {
  const parent = parentOf(setup.source, resource)
  if (resource.parentChanged === undefined || parent === undefined) return undefined
  return new ParentChanges(resource.parentChanged, {
    resource,
    parent,
    source: setup.source,
    known: windows.parentsRead.get(resource.name),
    isWindow: window !== undefined,
  })
}

function partOf(resource: Resource, range: PartitionRange | undefined): PartEnds | undefined {
  if (range?.by !== 'pages' || resource.counted === undefined) return undefined
  return new PartEnds(range, resource, resource.counted)
}

function doubtMessage(
  { cursorPath, path }: IncrementalHint,
  resource: string,
  one: JsonValue,
  other: JsonValue,
): string {
  const [value, beside] = [one, other].map(text => JSON.stringify(shortened(String(text), 60)))
  const areNumbers = [one, other].every(number => Number.isFinite(Number(number)))
  const how = areNumbers ? 'as numbers, though they read as times in two units' : 'as texts'
  return (
    `${resource}: \`${cursorPath}\` has the value ${value} beside ${beside} (${path}.cursor_path), which are compared ${how}: ` +
    'newer records may be taken for old ones. Choose a cursor of numbers of one unit or ISO times, or bring its values into such a form with a `map` step.'
  )
}

/** Whether records that arrive twice become one row, as do those of the child lists requested for each of them. */
function mergesTwice(
  { resource, loaded, disposition, children }: PlannedResource,
  schema: Schema,
  naming: Naming,
): boolean {
  const { tableName = resource.name, primaryKey = [] } = resource.hints
  const table = typeof tableName === 'function' ? undefined : schema.tables.get(naming.tablesPath(tableName))
  const strategy = disposition.strategy ?? table?.['x-merge-strategy']
  const isMerged = disposition.disposition === 'merge' && disposition.deduplicated !== true && strategy !== 'scd2'
  const areMerged = !loaded || (isMerged && primaryKey.length > 0 && typeof tableName === 'string')
  return areMerged && children.every(child => mergesTwice(child, schema, naming))
}
