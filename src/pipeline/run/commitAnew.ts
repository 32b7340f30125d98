import type { CursorRange } from '../../model/cursorRange.js'
import { rangeText } from '../../model/cursorRange.js'
import type { CommitPlan, CommittedView } from '../../model/destination.js'
import { DestinationError } from '../../model/errors.js'
import type { LoadIds } from '../../model/loadId.js'
import { resolveContract } from '../../schema/contracts.js'
import { propagateRootKey } from '../../schema/rootKey.js'
import type { ReadonlyColumn, ReadonlySchema, Schema } from '../../schema/schemaTypes.js'
import { bumpVersion, cloneSchema } from '../../schema/stored/document.js'
import { storedSchema } from '../look/dataset.js'
import type { WindowToLoad } from './incremental/windowToLoad.js'
import type { OpenLoadInput, StateOn } from './load.js'
import { withSchemaName } from './prepare.js'

/** Another load gave a column another type. The rows have to be made again, from the pages in the journal. */
export class OutdatedSchema extends DestinationError {}

/** Another process took the id of this load. The window has to be read again, for a load with another id. */
export class TakenLoadId extends DestinationError {}

/** Others have committed the window, or parts of it. */
export class LoadedMeanwhile extends DestinationError {
  readonly done: readonly CursorRange[]

  constructor(done: readonly CursorRange[], window: WindowToLoad, destination: string) {
    const message = `${window.resource}: another process has loaded the window ${rangeText(window)} meanwhile; nothing was committed a second time`
    super('destination_locked', message, { destination, transient: true })
    this.done = done
  }
}

export interface MadePlan {
  readonly loadId: string
  /** What to commit, made from what was committed when the load began. */
  readonly plan: CommitPlan
  readonly stateOn: StateOn
}

interface Making extends Pick<OpenLoadInput, 'setup' | 'prepared'> {
  readonly window: WindowToLoad
  readonly ids: LoadIds
}

/**
 * What to commit of a window, made from what is committed now. Other windows may have been committed since the load
 * began, by other processes too. Rejects with {@link OutdatedSchema} if the rows do not fit what they have left, and
 * with {@link LoadedMeanwhile} if the window is one of them.
 */
export async function commitAnew(making: Making, made: MadePlan, now: CommittedView): Promise<CommitPlan> {
  const { setup, prepared, window, ids } = making
  const { loadId, plan, stateOn } = made
  const committed = await now.committed(setup.name, setup.source.name)
  if (committed === undefined) return plan
  const state = committed.state === undefined ? prepared.state : withSchemaName(committed.state, setup.source.name)
  const there = await window.ledger.look(now, state)
  if (await now.hasLoad(loadId)) {
    // The commit recognises its own repetition by the id.
    if (await window.ledger.hasLoad(now, loadId)) return plan
    throw new TakenLoadId('destination_locked', `The load id ${loadId} is taken, again and again; run again`, {
      destination: setup.destination.name,
      transient: true,
    })
  }
  const others = there.covered.within(window)
  if (others.length > 0) throw new LoadedMeanwhile(others, window, setup.destination.name)
  const schema = schemaOn(making, plan.schema, storedSchema(committed))
  const next = stateOn(state, there)
  const isOlder = committed.loadId !== undefined && Number(committed.loadId) > Number(loadId)
  return {
    ...plan,
    schema,
    state: next,
    ...(plan.window !== undefined && {
      window: { ...plan.window, backfill: there.backfill ?? plan.window.backfill, number: there.nextNumber },
    }),
    ...(isOlder && { laterLoadId: ids.next(committed.loadId) }),
  }
}

/** The stored schema with the tables and columns that this load adds. */
function schemaOn({ setup, prepared }: Making, own: ReadonlySchema, stored: Schema | undefined): ReadonlySchema {
  if (stored === undefined || stored.version_hash === prepared.storedHash) return own
  const merged = cloneSchema(stored)
  const { name: destination } = setup.destination
  for (const [name, table] of cloneSchema(own).tables) {
    const there = merged.tables.get(name)
    if (there === undefined) {
      merged.tables.set(name, table)
      continue
    }
    if (Object.values(resolveContract(stored, name)).some(mode => mode !== 'evolve')) throw outdated(destination, name)
    for (const [columnName, column] of table.columns) {
      const known = there.columns.get(columnName)
      if (known?.data_type === undefined) there.columns.set(columnName, column)
      else if (column.data_type !== undefined && !isAlike(known, column))
        throw outdated(destination, `${name}.${columnName}`)
    }
  }
  for (const table of merged.tables.values()) propagateRootKey(merged, table)
  bumpVersion(merged)
  return merged
}

const TYPE = ['data_type', 'precision', 'scale', 'timezone', 'nullable'] as const

function isAlike(one: ReadonlyColumn, other: ReadonlyColumn): boolean {
  return TYPE.every(key => one[key] === other[key])
}

function outdated(destination: string, what: string): OutdatedSchema {
  return new OutdatedSchema(
    'destination_locked',
    `Other windows have changed ${what} while this one was read, again and again; load fewer at the same time`,
    { destination, transient: true },
  )
}
