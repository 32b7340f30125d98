import type { JsonValue } from '../../json/value.js'
import type { Committed } from '../../model/destination.js'
import type { Expectations } from '../../model/expectations.js'
import { cursorState } from '../../model/pipelineState.js'
import { scrubbedFailure } from '../../model/secrets/scrubber.js'
import type { DispositionHint, ResourceDescription } from '../../model/source.js'
import { stateAfterSettling, stateOf } from '../run/gone/goneTables.js'
import { freezeWindows } from '../run/incremental/frozenWindows.js'
import { flattenPlan, planResources, withTableDispositions } from '../run/plan/planResources.js'
import { namingOf } from '../run/prepare.js'
import type { PipelineSetup } from '../setup.js'
import { isThere, storedSchema } from './dataset.js'

export interface PlanOptions {
  readonly signal?: AbortSignal | undefined
  /** Names of the resources to load. Default: those that the source selects. */
  readonly select?: readonly string[] | undefined
}

/** What a run would do, as far as Sluice can tell without asking the API. */
export interface PipelinePlan {
  readonly pipeline: string
  readonly source: string
  readonly destination: string
  /** Not yet normalised. */
  readonly dataset: string
  /** The load whose state the run would start from. Undefined: from the beginning. */
  readonly startsFrom: string | undefined
  /** Resources that take part, parents first. */
  readonly resources: readonly PlannedList[]
  /** What a run would reject with, as secrets or variables are missing. Placeholders stand for them in the requests. */
  readonly missing?: string | undefined
}

/** How one resource would be read. */
export interface PlannedList {
  readonly resource: string
  /** Key path in the document. */
  readonly path: string
  readonly parent: string | undefined
  /** False: the run reads it only for its children. */
  readonly loaded: boolean
  readonly writeDisposition: DispositionHint
  readonly primaryKey: readonly string[]
  readonly mergeKey: readonly string[]
  readonly cursor: PlannedCursor | undefined
  /** What a run must bring. */
  readonly expect: Expectations | undefined
  /** Undefined if it sends no request: the document holds the records, or a function makes them. */
  readonly request: ResourceDescription | undefined
}

/** Where incremental loading would start. */
export interface PlannedCursor {
  readonly cursorPath: string
  /** Undefined: from the beginning. */
  readonly startValue: JsonValue | undefined
  readonly endValue: JsonValue | undefined
  readonly because: 'state' | 'initial_value' | 'nothing'
  /** Number of the parent's records that have a cursor of their own. Absent: one cursor for all. */
  readonly parents?: number | undefined
}

/**
 * The plan of a run: its resources, their first requests, and the state at the destination that it would start from.
 * Sends no request to the API and writes nothing. Rejects as the run would, if the document or the state is invalid.
 */
export async function describePipeline(setup: PipelineSetup, options: PlanOptions): Promise<PipelinePlan> {
  const { source, destination } = setup
  const planned = planResources(source, destination, { select: options.select })
  const committed = await committedState(setup, options.signal)
  const roots = withTableDispositions(planned, namingOf(setup, storedSchema(committed)))
  const state = stateOf(setup, committed)
  const windows = freezeWindows(roots, state, source)
  const resources = flattenPlan(roots).map(({ resource, loaded, disposition }): PlannedList => {
    const { name, path, parent, hints, incremental } = resource
    const frozen = windows.byResource.get(name)
    const hasMoved =
      frozen?.stored !== undefined &&
      incremental !== undefined &&
      cursorState(state, source.name, name, incremental.cursorPath)?.last_value != null
    const unmoved = frozen?.window.startValue == null ? 'nothing' : 'initial_value'
    return {
      resource: name,
      path,
      parent,
      loaded,
      writeDisposition: disposition,
      primaryKey: hints.primaryKey ?? [],
      mergeKey: hints.mergeKey ?? [],
      cursor:
        incremental === undefined || frozen === undefined
          ? undefined
          : {
              cursorPath: incremental.cursorPath,
              startValue: frozen.window.startValue,
              endValue: frozen.window.endValue,
              because: hasMoved ? 'state' : unmoved,
              ...(frozen.byParent === undefined ? {} : { parents: Object.keys(frozen.byParent).length }),
            },
      expect: resource.expect,
      request: resource.describe?.(frozen?.window),
    }
  })
  return {
    pipeline: setup.name,
    source: source.name,
    destination: destination.name,
    dataset: setup.datasetName,
    startsFrom: committed?.loadId,
    resources,
    missing: missingIn(setup),
  }
}

function missingIn({ source, scrubber }: PipelineSetup): string | undefined {
  try {
    source.requireSecrets?.()
    return undefined
  } catch (error) {
    return (scrubbedFailure(error, scrubber) as Error).message
  }
}

async function committedState(setup: PipelineSetup, signal: AbortSignal | undefined): Promise<Committed | undefined> {
  if (!(await isThere(setup))) return undefined
  await using connection = await setup.destination.connect(setup.datasetName, signal)
  const committed = await connection.committed(setup.name, setup.source.name)
  return committed && { ...committed, state: await stateAfterSettling(setup, connection, committed) }
}
