import { createHash } from 'node:crypto'
import type { JsonObject, JsonValue } from '../../../json/value.js'
import { stringifyJson } from '../../../json/write.js'
import { type CursorState, cursorState, type PipelineState } from '../../../model/pipelineState.js'
import type { IncrementalWindow, Source } from '../../../model/source.js'
import { flattenPlan, type PlannedResource } from '../plan/planResources.js'
import { openWindow } from './cursorValue.js'
import { type ParentsRead, parentsRead } from './parentChanges.js'
import { type ParentCursors, parentCursors } from './parentCursors.js'
import type { PartitionRange } from './partitions.js'

/** The incremental windows of one run, by resource, and the state they were opened from. */
export interface FrozenWindows {
  readonly byResource: ReadonlyMap<
    string,
    {
      readonly window: IncrementalWindow
      readonly stored: CursorState | undefined
      /** The stored cursors of a resource that has one for each record of its parent. */
      readonly byParent?: ParentCursors | undefined
    }
  >
  /** By resource: records of the parent whose lists were read by earlier runs. */
  readonly parentsRead: ReadonlyMap<string, ParentsRead>
  /** By resource: the records of the parent whose lists are read. Absent: all. */
  readonly partitions: ReadonlyMap<string, PartitionRange>
  /** Changes when any window changes. Answers recorded for other windows cannot be reused. */
  readonly fingerprint: string
}

/** Opens the window of every resource that loads incrementally. Resources that are replaced start from the beginning. */
export function freezeWindows(roots: readonly PlannedResource[], state: PipelineState, source: Source): FrozenWindows {
  type Frozen = FrozenWindows['byResource'] extends ReadonlyMap<string, infer One> ? One : never
  const byResource = new Map<string, Frozen>()
  const read = new Map<string, ParentsRead>()
  for (const planned of flattenPlan(roots)) {
    const { resource, disposition } = planned
    const { incremental } = resource
    const known = resource.parentChanged === undefined ? undefined : parentsRead(planned, state, source)
    if (known !== undefined) read.set(resource.name, known)
    if (incremental === undefined) continue
    const isAnew = disposition.disposition === 'replace'
    if (incremental.isPerParent === true) {
      const byParent = isAnew ? {} : parentCursors(state, source.name, resource)
      byResource.set(resource.name, { window: openWindow(incremental, undefined), stored: undefined, byParent })
      continue
    }
    const stored = isAnew ? undefined : cursorState(state, source.name, resource.name, incremental.cursorPath)
    byResource.set(resource.name, { window: openWindow(incremental, stored), stored })
  }
  const windows = flattenPlan(roots).map(({ resource, loaded }) => [
    resource.name,
    loaded,
    (byResource.get(resource.name)?.window as JsonValue | undefined) ?? null,
  ])
  const hash = createHash('sha256').update(stringifyJson(windows))
  for (const [name, { byParent }] of byResource) {
    if (byParent !== undefined) hash.update(stringifyJson([name, byParent as unknown as JsonValue]))
  }
  for (const [name, known] of read) hash.update(stringifyJson([name, known as unknown as JsonValue]))
  const partitions = new Map(
    flattenPlan(roots).flatMap(({ resource, partition }) =>
      partition === undefined ? [] : [[resource.name, partition] as const],
    ),
  )
  for (const [name, partition] of partitions) hash.update(stringifyJson([name, partition as unknown as JsonValue]))
  return { byResource, parentsRead: read, partitions, fingerprint: hash.digest('base64') }
}

/** The windows as the journal stores them, so that a replay can read its pages after the cursors have moved on. */
export function windowsDocument({ byResource }: FrozenWindows): JsonObject {
  return Object.fromEntries([...byResource].map(([name, frozen]) => [name, frozen as unknown as JsonObject]))
}

/** The partitions, as the journal stores them. Absent where nothing is cut by them. */
export function partitionsDocument({ partitions }: FrozenWindows): { readonly partitions?: JsonObject } {
  return partitions.size === 0 ? {} : { partitions: Object.fromEntries(partitions) as unknown as JsonObject }
}

/** What was known of the parents, as the journal stores it. Absent where nothing was. */
export function parentsDocument({ parentsRead: read }: FrozenWindows): { readonly parents_read?: JsonObject } {
  if (read.size === 0) return {}
  return { parents_read: Object.fromEntries([...read].map(([name, known]) => [name, known as unknown as JsonObject])) }
}
