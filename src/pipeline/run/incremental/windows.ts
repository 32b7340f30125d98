import { createHash } from 'node:crypto'
import type { JsonObject, JsonValue } from '../../../json/value.js'
import { stringifyJson } from '../../../json/write.js'
import type { CursorState, PipelineState } from '../../../model/pipelineState.js'
import { cursorState } from '../../../model/pipelineState.js'
import type { IncrementalWindow } from '../../../model/source.js'
import { flattenPlan, type PlannedResource } from '../planResources.js'
import { openWindow } from './incremental.js'

/** The incremental windows of one run, by resource, and the state they were opened from. */
export interface FrozenWindows {
  readonly byResource: ReadonlyMap<
    string,
    { readonly window: IncrementalWindow; readonly stored: CursorState | undefined }
  >
  /** Changes when any window changes. Answers recorded for other windows cannot be reused. */
  readonly fingerprint: string
}

/** Opens the window of every resource that loads incrementally. Resources that are replaced start from the beginning. */
export function freezeWindows(roots: readonly PlannedResource[], state: PipelineState, source: string): FrozenWindows {
  const byResource = new Map<string, { window: IncrementalWindow; stored: CursorState | undefined }>()
  for (const { resource, disposition } of flattenPlan(roots)) {
    const { incremental } = resource
    if (incremental === undefined) continue
    const stored =
      disposition.disposition === 'replace'
        ? undefined
        : cursorState(state, source, resource.name, incremental.cursorPath)
    byResource.set(resource.name, { window: openWindow(incremental, stored), stored })
  }
  const windows = flattenPlan(roots).map(({ resource, loaded }) => [
    resource.name,
    loaded,
    (byResource.get(resource.name)?.window as JsonValue | undefined) ?? null,
  ])
  return { byResource, fingerprint: createHash('sha256').update(stringifyJson(windows)).digest('base64') }
}

/** The windows as the journal stores them, so that a replay can read its pages after the cursors have moved on. */
export function windowsDocument({ byResource }: FrozenWindows): JsonObject {
  return Object.fromEntries([...byResource].map(([name, frozen]) => [name, frozen as unknown as JsonObject]))
}
