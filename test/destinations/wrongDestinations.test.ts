import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { CommitPlan, Connection, Destination, Load } from '../../src/destinationDoor.js'
import { duckdb } from '../../src/index.js'
import { testDestination } from '../../src/testing/testDestination.js'

/** `testDestination` finds what a destination does wrong: DuckDB with one mistake each. */
type Mistake = (connection: Connection) => Partial<Connection>

const mistakes: Readonly<Record<string, Mistake>> = {
  'forgets the state': connection => loading(connection, plan => ({ ...plan, state: undefined })),
  'appends where it should replace': connection =>
    loading(connection, plan => ({
      ...plan,
      tables: plan.tables.map(table => (table.disposition === 'replace' ? { ...table, disposition: 'append' } : table)),
    })),
  'appends where it should merge': connection =>
    loading(connection, plan => ({
      ...plan,
      tables: plan.tables.map(table => (table.disposition === 'merge' ? { ...table, disposition: 'append' } : table)),
    })),
  'drops nothing': connection => loading(connection, plan => ({ ...plan, drop: [] })),
  'truncates nothing': connection => loading(connection, plan => ({ ...plan, truncate: [] })),
  'knows every load': () => ({ hasLoad: async () => true }),
  'has never committed anything': () => ({ committed: async () => undefined }),
  'sees no table': () => ({ inspect: async () => new Map() }),
  'counts one row too many': connection => ({ count: async table => (await connection.count(table)) + 1 }),
  'reads without an order': connection => ({ read: query => connection.read({ ...query, orderBy: undefined }) }),
  'commits what was aborted': connection => ({
    async begin(plan) {
      const load = await connection.begin(plan)
      return replaced(load, { abort: async () => {} })
    },
  }),
  'lets go of a pipeline that the next load holds': connection => {
    const holders = new Map<string, Load>()
    return {
      async begin(plan) {
        const load = await connection.begin(plan)
        holders.set(plan.pipeline, load)
        return replaced(load, { abort: async () => await holders.get(plan.pipeline)?.abort() })
      },
    }
  },
}

test.each(Object.entries(mistakes))('one that %s fails', { timeout: 120_000 }, async (_, mistake) => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-wrong-'))
  let made = 0
  try {
    const cases = await testDestination({
      name: 'wrong',
      async create() {
        made += 1
        return { destination: wrong(duckdb(join(folder, `${made}.duckdb`)), mistake), dispose: async () => {} }
      },
    })
    const failed: string[] = []
    for (const { name, run } of cases) {
      if (failed.length > 0) break
      await run().catch(() => failed.push(name))
    }
    expect(failed).toHaveLength(1)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})

function wrong(destination: Destination, mistake: Mistake): Destination {
  return replaced(destination, {
    async connect(...args) {
      const connection = await destination.connect(...args)
      return replaced(connection, mistake(connection))
    },
  })
}

/** A load whose commit gets another plan. */
function loading(connection: Connection, change: (plan: CommitPlan) => CommitPlan): Partial<Connection> {
  return {
    async begin(plan) {
      const load = await connection.begin(plan)
      return replaced<Load>(load, { commit: final => load.commit(change(final)) })
    },
  }
}

/** The same object with other members; methods keep their own. */
function replaced<Kind extends object>(of: Kind, members: Partial<Kind>): Kind {
  return new Proxy(of, {
    get(target, key) {
      if (key in members) return members[key as keyof Kind]
      const value: unknown = Reflect.get(target, key)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}
