import { deepEqual, equal, rejects } from 'node:assert/strict'
import type { TablePlan } from '../../model/destination.js'
import type { Receipt } from '../../model/receipt.js'
import { readSchema } from '../../schema/stored/document.js'
import type { CaseTable } from '../testDataset.js'
import { commitPlan, rowsOf, runLoad, stageRecords, testSchema, testState, withConnection } from '../testDataset.js'

const APPEND: readonly TablePlan[] = [{ table: 'orders', disposition: 'append' }]
const schema = testSchema({ orders: { columns: { id: 'bigint' } } })
const orders = (...ids: number[]) => ({ orders: ids.map(id => ({ id })) })

export const commitCases: CaseTable = {
  async 'a new dataset has nothing'(destination) {
    await withConnection(destination, async connection => {
      equal(await connection.committed('p', 'api'), undefined)
      equal(await connection.hasLoad('1.1'), false)
      deepEqual([...(await connection.inspect()).keys()], [])
    })
  },

  async 'a commit leaves the tables that dlt leaves'(destination) {
    await withConnection(destination, async connection => {
      const at = 1_704_067_200_123_456n
      await runLoad(connection, schema, {
        loadId: '1.1',
        records: orders(1),
        tables: APPEND,
        state: testState(1, 'a'),
        committedAt: at,
      })
      deepEqual(await rowsOf(connection, '_dlt_loads'), [
        {
          load_id: '1.1',
          schema_name: 'api',
          status: '0n',
          inserted_at: '2024-01-01T00:00:00.123Z',
          schema_version_hash: schema.version_hash,
        },
      ])
      const versions = await rowsOf(connection, '_dlt_version', [
        'version',
        'engine_version',
        'schema_name',
        'version_hash',
      ])
      deepEqual(versions, [
        { version: '1n', engine_version: '11n', schema_name: 'api', version_hash: schema.version_hash },
      ])
      deepEqual(
        await rowsOf(connection, '_dlt_pipeline_state', [
          'version',
          'engine_version',
          'pipeline_name',
          'version_hash',
          '_dlt_load_id',
        ]),
        [{ version: '1n', engine_version: '4n', pipeline_name: 'p', version_hash: 'hash-1', _dlt_load_id: '1.1' }],
      )
    })
  },

  async 'the state and the schema of the last commit come back'(destination) {
    await withConnection(destination, async connection => {
      await runLoad(connection, schema, { loadId: '1.1', records: orders(1), tables: APPEND, state: testState(1, 'a') })
      await runLoad(connection, schema, { loadId: '1.2', records: orders(2), tables: APPEND, state: testState(2, 'b') })
      const grown = testSchema({ orders: { columns: { id: 'bigint', v: 'text' } } })
      await runLoad(connection, grown, { loadId: '1.3', records: orders(3), tables: APPEND })
      const committed = await connection.committed('p', 'api')
      equal(committed?.loadId, '1.3')
      deepEqual(committed?.state, testState(2, 'b'))
      equal(readSchema(committed?.schema ?? '').version_hash, grown.version_hash)
      equal((await rowsOf(connection, '_dlt_version')).length, 2)
      equal((await rowsOf(connection, '_dlt_pipeline_state')).length, 2)
    })
  },

  async 'receipts are stored with the rows'(destination) {
    const receipt: Receipt = {
      resource: 'orders',
      extent: 'whole',
      requests: 3,
      retries: 1,
      pages: 2,
      pagesFromJournal: 0,
      records: 5,
      filtered: 1,
      discardedRows: 0,
      discardedValues: 0,
      rows: { orders: 4 },
      bytes: 100,
      announced: 5,
      waitedMs: 1.5,
      verdict: 'complete',
      reasons: ['5 of 5'],
    }
    await withConnection(destination, async connection => {
      await runLoad(connection, schema, {
        loadId: '1.1',
        records: orders(1),
        tables: APPEND,
        receipts: [receipt, { ...receipt, resource: 'b', announced: undefined }],
      })
      const rows = await rowsOf(connection, '_sluice_receipts', ['resource', 'verdict', 'reasons', 'rows', 'announced'])
      deepEqual(rows, [
        { resource: 'b', verdict: 'complete', reasons: '["5 of 5"]', rows: '{"orders":4}', announced: null },
        { resource: 'orders', verdict: 'complete', reasons: '["5 of 5"]', rows: '{"orders":4}', announced: '5n' },
      ])
      await runLoad(connection, schema, {
        loadId: '1.2',
        records: orders(2),
        tables: APPEND,
        receipts: [{ ...receipt, resource: 'c', extent: 'pages', deleted: 3, variants: ['orders.id__v_text'] }],
      })
      const later = await rowsOf(connection, '_sluice_receipts', ['resource', 'extent', 'deleted', 'variants'])
      deepEqual(later, [
        { resource: 'b', extent: 'whole', deleted: null, variants: null },
        { resource: 'c', extent: 'pages', deleted: '3n', variants: '["orders.id__v_text"]' },
        { resource: 'orders', extent: 'whole', deleted: null, variants: null },
      ])
    })
  },

  async 'the window of a backfill is kept with its load, and values of its cursor keep their digits'(destination) {
    const window = { resource: 'orders', cursorPath: 'at', backfill: 'b1', verdict: 'complete', requests: 2 } as const
    // In the order in which Postgres keeps members.
    const cursor = { last_value: '2024-01-07', initial_value: '2024', unique_hashes: ['h'] }
    await withConnection(destination, async connection => {
      const load = { records: orders(1), tables: APPEND }
      const first = { ...window, start: '2024-01-01', end: '2024-01-08', cursor, records: 1 }
      await runLoad(connection, schema, { ...load, loadId: '1.1', window: first })
      await runLoad(connection, schema, { ...load, loadId: '1.1', window: first })
      const second = { ...window, start: 9007199254740993n, end: 9007199254740995n, cursor: undefined, records: 0 }
      await runLoad(connection, schema, { loadId: '1.2', tables: [], window: second })
      const rows = await rowsOf(connection, '_sluice_windows', ['load_id', 'window_start', 'cursor', 'records'])
      deepEqual(rows, [
        { load_id: '1.1', window_start: '"2024-01-01"', cursor: JSON.stringify(cursor), records: '1n' },
        { load_id: '1.2', window_start: '9007199254740993', cursor: null, records: '0n' },
      ])
    })
  },

  async 'the same load id twice does nothing the second time'(destination) {
    await withConnection(destination, async connection => {
      const load = { loadId: '1.1', records: orders(1), tables: APPEND, state: testState(1, 'a') }
      await runLoad(connection, schema, load)
      await runLoad(connection, schema, { ...load, state: testState(2, 'b') })
      equal(await connection.count('orders'), 1)
      deepEqual((await connection.committed('p', 'api'))?.state, testState(1, 'a'))
      equal((await rowsOf(connection, '_dlt_loads')).length, 1)
      equal(await connection.hasLoad('1.1'), true)
    })
  },

  async 'what is staged but not committed is nowhere'(destination) {
    await withConnection(destination, async connection => {
      await runLoad(connection, schema, { loadId: '1.1', records: orders(1), tables: APPEND })
      const load = { loadId: '1.2', records: orders(2), tables: APPEND }
      const aborted = await connection.begin({ loadId: '1.2', pipeline: 'p' })
      await stageRecords(aborted.stage.bind(aborted), schema, load)
      equal(await connection.count('orders'), 1)
      await aborted.abort()
      await aborted.abort()
      const again = await connection.begin({ loadId: '1.2', pipeline: 'p' })
      await stageRecords(again.stage.bind(again), schema, { ...load, records: orders(3) })
      await again.commit(commitPlan(schema, load))
      deepEqual(await rowsOf(connection, 'orders', ['id']), [{ id: '1n' }, { id: '3n' }])
    })
  },

  async 'a commit that fails changes nothing, new tables and columns included'(destination) {
    if (!destination.capabilities.transactionalDdl) return
    await withConnection(destination, async connection => {
      await runLoad(connection, schema, { loadId: '1.1', records: orders(1), tables: APPEND, state: testState(1, 'a') })
      const broken = testSchema({
        orders: { columns: { id: 'bigint', v: 'text' } },
        users: { columns: { id: 'bigint' } },
        zebras: { columns: { id: 'bigint', key: { data_type: 'text', nullable: false } } },
      })
      const tables = ['orders', 'users', 'zebras'].map(table => ({ table, disposition: 'replace' as const }))
      const records = { orders: [{ id: 9, v: 'x' }], users: [{ id: 1 }], zebras: [{ id: 1 }] }
      await rejects(
        runLoad(connection, broken, {
          loadId: '1.2',
          records,
          tables,
          state: testState(2, 'b'),
          drop: ['_dlt_version'],
        }),
      )
      deepEqual(await rowsOf(connection, 'orders', ['id']), [{ id: '1n' }])
      const left = await connection.inspect()
      deepEqual(
        [left.has('users'), left.has('zebras'), left.get('orders')?.has('v'), left.has('_dlt_version')],
        [false, false, false, true],
      )
      deepEqual((await connection.committed('p', 'api'))?.state, testState(1, 'a'))
      equal(await connection.hasLoad('1.2'), false)
    })
  },

  async 'rows of a table that the commit leaves out are not lost silently'(destination) {
    await withConnection(destination, async connection => {
      await rejects(runLoad(connection, schema, { loadId: '1.1', records: orders(1), tables: [] }), /orders/)
      equal(await connection.hasLoad('1.1'), false)
    })
  },

  async 'two pipelines share a dataset'(destination) {
    await withConnection(destination, async connection => {
      const users = testSchema({ users: { columns: { id: 'bigint' } } }, 'other')
      const one = await connection.begin({ loadId: '1.1', pipeline: 'p' })
      const two = await connection.begin({ loadId: '1.2', pipeline: 'q' })
      const first = { loadId: '1.1', records: orders(1), tables: APPEND, state: testState(1, 'a') }
      const second = {
        loadId: '1.2',
        records: { users: [{ id: 5 }] },
        tables: [{ table: 'users', disposition: 'append' as const }],
        state: testState(1, 'z', 'q'),
      }
      await stageRecords(one.stage.bind(one), schema, first)
      await stageRecords(two.stage.bind(two), users, second)
      await Promise.all([one.commit(commitPlan(schema, first)), two.commit(commitPlan(users, second))])
      deepEqual((await connection.committed('p', 'api'))?.state, testState(1, 'a'))
      deepEqual((await connection.committed('q', 'other'))?.state, testState(1, 'z', 'q'))
      equal(await connection.count('orders'), 1)
      equal(await connection.count('users'), 1)
      equal((await connection.committed('q', 'other'))?.loadId, '1.2')
    })
  },

  async 'one pipeline has one load at a time'(destination) {
    await withConnection(destination, async connection => {
      const load = await connection.begin({ loadId: '1.1', pipeline: 'p' })
      await rejects(connection.begin({ loadId: '1.2', pipeline: 'p' }), { code: 'destination_locked' })
      await load.abort()
      await (await connection.begin({ loadId: '1.2', pipeline: 'p' })).abort()
    })
  },

  async 'a load that has ended does not let go of the pipeline for the next one'(destination) {
    await withConnection(destination, async connection => {
      const first = await connection.begin({ loadId: '1.1', pipeline: 'p' })
      await first.commit(commitPlan(schema, { loadId: '1.1', tables: [], state: testState(1, 'a') }))
      const second = await connection.begin({ loadId: '1.2', pipeline: 'p' })
      await first.abort()
      await rejects(connection.begin({ loadId: '1.3', pipeline: 'p' }), { code: 'destination_locked' })
      await second.abort()
    })
  },

  async 'a commit is planned anew from what others have committed'(destination) {
    await withConnection(destination, async connection => {
      const users = testSchema({ users: { columns: { id: 'bigint' } } })
      const both = testSchema({ users: { columns: { id: 'bigint' } }, orders: { columns: { id: 'bigint' } } })
      const load = await connection.begin({ loadId: '1.1', pipeline: 'p' })
      const begun = { loadId: '1.1', records: orders(1), tables: APPEND }
      await stageRecords(load.stage.bind(load), schema, begun)
      await runLoad(connection, users, {
        loadId: '1.2',
        pipeline: 'q',
        records: { users: [{ id: 2 }] },
        tables: [{ table: 'users', disposition: 'append' }],
        committedAt: 1_704_067_200_000_000n,
      })
      await load.commit(commitPlan(schema, begun), async now => {
        equal(readSchema((await now.committed('p', 'api'))?.schema ?? '').version_hash, users.version_hash)
        deepEqual([await now.hasLoad('1.1'), await now.hasLoad('1.2')], [false, true])
        deepEqual([(await now.inspect()).has('orders'), (await now.inspect()).has('users')], [false, true])
        return { ...commitPlan(both, { ...begun, committedAt: 1_704_067_201_000_000n }), laterLoadId: '1.3' }
      })
      equal(readSchema((await connection.committed('p', 'api'))?.schema ?? '').version_hash, both.version_hash)
      deepEqual(
        [await rowsOf(connection, 'orders', ['id']), await rowsOf(connection, 'users', ['id'])],
        [[{ id: '1n' }], [{ id: '2n' }]],
      )
    })
  },

  async 'a load stores states of other pipelines in place of newer ones'(destination) {
    await withConnection(destination, async connection => {
      const other = (version: number, hash: string) => ({ ...testState(version, hash), pipeline_name: 'q' })
      const tables = APPEND
      await runLoad(connection, schema, { loadId: '1.1', records: orders(1), tables, state: testState(1, 'a') })
      const theirs = { pipeline: 'q', records: orders(2), tables, state: other(1, 'b') }
      await runLoad(connection, schema, { ...theirs, loadId: '1.3' })
      deepEqual([...((await connection.pipelines?.()) ?? ['p', 'q'])].sort(), ['p', 'q'])
      const load = await connection.begin({ loadId: '1.2', pipeline: 'p' })
      const begun = { loadId: '1.2', records: orders(3), tables, state: testState(2, 'c') }
      await stageRecords(load.stage.bind(load), schema, begun)
      await load.commit({ ...commitPlan(schema, begun), otherStates: [other(2, 'd')] })
      deepEqual((await connection.committed('q', 'api'))?.state, other(2, 'd'))
      deepEqual((await connection.committed('p', 'api'))?.state, testState(2, 'c'))
      equal(await connection.count('orders'), 3)
    })
  },

  async 'a commit that cannot be planned anew changes nothing'(destination) {
    await withConnection(destination, async connection => {
      await runLoad(connection, schema, { loadId: '1.1', records: orders(1), tables: APPEND, state: testState(1, 'a') })
      const load = await connection.begin({ loadId: '1.2', pipeline: 'p' })
      const begun = { loadId: '1.2', records: orders(2), tables: APPEND, state: testState(2, 'b') }
      await stageRecords(load.stage.bind(load), schema, begun)
      await rejects(
        load.commit(commitPlan(schema, begun), () => Promise.reject(new Error('it does not fit'))),
        /it does not fit/,
      )
      await load.abort()
      deepEqual(await rowsOf(connection, 'orders', ['id']), [{ id: '1n' }])
      deepEqual((await connection.committed('p', 'api'))?.state, testState(1, 'a'))
      equal(await connection.hasLoad('1.2'), false)
    })
  },

  async 'tables are dropped together with the new schema and state'(destination) {
    await withConnection(destination, async connection => {
      const both = testSchema({ orders: { columns: { id: 'bigint' } }, users: { columns: { id: 'bigint' } } })
      const tables = ['orders', 'users'].map(table => ({ table, disposition: 'append' as const }))
      await runLoad(connection, both, {
        loadId: '1704067200.1',
        records: { orders: [{ id: 1 }], users: [{ id: 2 }] },
        tables,
        state: testState(1, 'a'),
      })
      await connection.drop(async now => {
        equal((await now.committed('p', 'api'))?.loadId, '1704067200.1')
        return { tables: ['users', 'never_was'], schema, state: testState(2, ''), loadId: '1704067201.25' }
      })
      deepEqual(
        [...(await connection.inspect()).keys()].filter(name => !name.startsWith('_')),
        ['orders'],
      )
      const committed = await connection.committed('p', 'api')
      deepEqual(committed?.state, testState(2, ''))
      equal(committed?.loadId, '1704067201.25')
      equal(readSchema(committed?.schema ?? '').version_hash, schema.version_hash)
    })
  },
}
