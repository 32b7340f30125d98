import type { Committed, LoadPlan } from '../../model/destination.js'
import { DestinationError } from '../../model/errors.js'
import type { SqlSession } from './sqlSession.js'
import { readCommitted } from './systemStatements.js'

/** A committed state that a pipeline has read before it loads. */
interface Told {
  readonly schemaName: string
  readonly version: string
}

/**
 * What pipelines were told of their cursors before they had a lock, or where there is none. Another run may have moved
 * the cursors since, and then a load must not be committed.
 */
export class ToldStates {
  readonly #told = new Map<string, Told>()

  add(pipeline: string, schemaName: string, committed: Committed | undefined): void {
    this.#told.set(pipeline, { schemaName, version: versionOf(committed) })
  }

  /**
   * The check for a load that begins now. Call the result where no other run can commit. It fails with
   * `destination_locked` if the cursors were moved, unless by this very load. One of several loads is planned again
   * there instead.
   */
  take(plan: LoadPlan, place: string): (session: SqlSession) => Promise<void> {
    const before = this.#told.get(plan.pipeline)
    this.#told.delete(plan.pipeline)
    return async session => {
      if (before === undefined || plan.part !== undefined) return
      const now = await readCommitted(session, plan.pipeline, before.schemaName)
      // The commit recognises a repeated load by its id.
      if (versionOf(now) === before.version || now?.loadId === plan.loadId) return
      throw new DestinationError(
        'destination_locked',
        `Another run of pipeline ${plan.pipeline} committed into ${place} after this one began; run again`,
        { destination: place, transient: true },
      )
    }
  }
}

/** Changes with every change of the pipeline's cursors. */
function versionOf(committed: Committed | undefined): string {
  const { _state_version, _version_hash } = committed?.state ?? {}
  return `${_state_version} ${_version_hash}`
}
