import { deepEqual, equal, match, rejects } from 'node:assert/strict'
import type { TablePlan } from '../../model/destination.js'
import { columnBatch } from '../testBatch.js'
import type { CaseTable } from '../testDataset.js'
import { commitPlan, rowsOf, runLoad, testSchema, withConnection } from '../testDataset.js'

const APPEND: readonly TablePlan[] = [{ table: 'orders', disposition: 'append' }]

export const growthCases: CaseTable = {
  async 'columns that appear in the middle of a load are null in the rows before'(destination) {
    await withConnection(destination, async connection => {
      const load = await connection.begin({ loadId: '1.1', pipeline: 'p' })
      const small = testSchema({ orders: { columns: { id: 'bigint' } } })
      const system = { _dlt_load_id: '1.1', _dlt_id: 'x' }
      const types = { id: 'bigint', _dlt_load_id: 'text', _dlt_id: 'text' } as const
      await load.stage(columnBatch('orders', types, [{ id: 1, ...system }]), small)
      const large = testSchema({ orders: { columns: { id: 'bigint', v: 'text', w: 'double' } } })
      await load.stage(columnBatch('orders', { ...types, v: 'text' }, [{ id: 2, v: 'b', ...system }]), large)
      await load.stage(columnBatch('orders', types, [{ id: 3, ...system }]), large)
      await load.stage(columnBatch('orders', { ...types, w: 'double' }, [{ w: 1.5, ...system }]), large)
      await load.commit(commitPlan(large, { loadId: '1.1', tables: APPEND }))
      deepEqual(await rowsOf(connection, 'orders', ['id', 'v', 'w']), [
        { id: '1n', v: null, w: null },
        { id: '2n', v: 'b', w: null },
        { id: '3n', v: null, w: null },
        { id: null, v: null, w: 1.5 },
      ])
    })
  },

  async 'a later load adds columns and nested tables; existing ones stay as they are'(destination) {
    await withConnection(destination, async connection => {
      const first = testSchema({ orders: { columns: { id: 'bigint' } } })
      await runLoad(connection, first, { loadId: '1.1', records: { orders: [{ id: 1 }] }, tables: APPEND })
      const second = testSchema({
        orders: { columns: { key: { data_type: 'text', nullable: false }, v: 'json' } },
        orders__lines: { columns: { sku: 'text' }, parent: 'orders' },
      })
      const records = { orders: [{ key: 'k', v: '{"a":1.10}', lines: [{ sku: 's' }] }] }
      await runLoad(connection, second, { loadId: '1.2', records, tables: APPEND })
      deepEqual(await rowsOf(connection, 'orders', ['id', 'key', 'v']), [
        { id: '1n', key: null, v: null },
        { id: null, key: 'k', v: '{"a":1.10}' },
      ])
      deepEqual(await rowsOf(connection, 'orders__lines', ['sku']), [{ sku: 's' }])
      const columns = (await connection.inspect()).get('orders')
      deepEqual([...(columns?.keys() ?? [])], ['id', '_dlt_load_id', '_dlt_id', 'key', 'v'])
      // A table with rows cannot guarantee a value in a new column.
      deepEqual([columns?.get('_dlt_id')?.nullable, columns?.get('key')?.nullable], [false, true])
    })
  },

  async 'a null where the schema allows none fails the load'(destination) {
    await withConnection(destination, async connection => {
      const schema = testSchema({ orders: { columns: { id: 'bigint', key: { data_type: 'text', nullable: false } } } })
      await rejects(
        runLoad(connection, schema, { loadId: '1.1', records: { orders: [{ id: 1 }] }, tables: APPEND }),
        error => {
          match((error as Error).message, /key/)
          return true
        },
      )
      equal(await connection.hasLoad('1.1'), false)
    })
  },

  async 'any name is a name'(destination) {
    const { maxIdentifierLength, caseSensitive } = destination.capabilities
    const long = 'l'.repeat(Math.min(maxIdentifierLength, 300))
    const names = [
      'select',
      'sp ace',
      'qu"ote',
      "apo'strophe",
      'semi;colon\nnewline',
      'zażółć_🦆',
      '__proto__',
      'file_row_number',
      '_sluice_row',
      'c0',
      's',
      long,
      ...(caseSensitive ? ['SELECT'] : []),
    ]
    const table = 'ta"ble; --'
    await withConnection(
      destination,
      async connection => {
        const key = { data_type: 'bigint', primary_key: true, nullable: false } as const
        const schema = testSchema({
          [table]: {
            columns: { 'k"ey': key, ...Object.fromEntries(names.map(name => [name, 'text' as const])) },
            disposition: 'merge',
          },
          [`${table}__select`]: { columns: { 'va"lue': 'text' }, parent: table },
        })
        for (const loadId of ['1.1', '1.2']) {
          const record = {
            'k"ey': 1,
            ...Object.fromEntries(names.filter(name => name !== 'select').map(name => [name, `${loadId}'"`])),
          }
          for (const strategy of ['delete-insert', 'upsert'] as const) {
            if (!destination.capabilities.mergeStrategies.includes(strategy)) continue
            await runLoad(connection, schema, {
              loadId: `${loadId}${strategy === 'upsert' ? 1 : 0}`,
              records: { [table]: [record, { ...record, select: [{ 'va"lue': 'x' }] }] },
              tables: [{ table, disposition: 'merge', strategy }],
            })
          }
          if (destination.capabilities.mergeStrategies.length > 0) continue
          await runLoad(connection, schema, {
            loadId,
            records: { [table]: [{ ...record, select: [{ 'va"lue': 'x' }] }] },
            tables: [{ table, disposition: 'replace' }],
          })
        }
        const rows = await rowsOf(connection, table, names)
        equal(rows.length, 1)
        const values = names.map(name => rows[0]?.[name])
        deepEqual(
          values,
          names.map(name => (name === 'select' ? null : `1.2'"`)),
        )
        deepEqual(await rowsOf(connection, `${table}__select`, ['va"lue']), [{ 'va"lue': 'x' }])
      },
      'da"ta set',
    )
  },

  async 'two columns that are one name to the destination are refused'(destination) {
    if (destination.capabilities.caseSensitive) return
    await withConnection(destination, async connection => {
      const schema = testSchema({ orders: { columns: { id: 'bigint', ID: 'text' } } })
      await rejects(
        runLoad(connection, schema, { loadId: '1.1', records: { orders: [{ id: 1, ID: 'x' }] }, tables: APPEND }),
        { code: 'schema' },
      )
    })
  },
}
