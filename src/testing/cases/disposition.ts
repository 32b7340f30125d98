import { deepEqual } from 'node:assert/strict'
import type { CaseTable } from '../testDataset.js'
import { rowsOf, runLoad, testSchema, withConnection } from '../testDataset.js'

const schemaOf = (disposition: 'append' | 'replace') =>
  testSchema({
    orders: { columns: { id: 'bigint' }, disposition },
    orders__lines: { columns: { sku: 'text' }, parent: 'orders', rootKey: false },
  })
export const dispositionCases: CaseTable = {
  async 'append keeps what is there'(destination) {
    await withConnection(destination, async connection => {
      const schema = schemaOf('append')
      const tables = [{ table: 'orders', disposition: 'append' } as const]
      await runLoad(connection, schema, {
        loadId: '1.1',
        records: { orders: [{ id: 1, lines: [{ sku: 'a' }] }] },
        tables,
      })
      await runLoad(connection, schema, {
        loadId: '1.2',
        records: { orders: [{ id: 1 }, { id: 2, lines: [{ sku: 'b' }] }] },
        tables,
      })
      deepEqual(await rowsOf(connection, 'orders', ['id', '_dlt_load_id']), [
        { id: '1n', _dlt_load_id: '1.1' },
        { id: '1n', _dlt_load_id: '1.2' },
        { id: '2n', _dlt_load_id: '1.2' },
      ])
      deepEqual(await rowsOf(connection, 'orders__lines'), [
        { sku: 'a', _dlt_parent_id: '1.1/orders/0', _dlt_list_idx: '0n', _dlt_id: '1.1/orders/0_orders__lines_0' },
        { sku: 'b', _dlt_parent_id: '1.2/orders/1', _dlt_list_idx: '0n', _dlt_id: '1.2/orders/1_orders__lines_0' },
      ])
    })
  },

  async 'replace leaves the new rows only, nested ones included'(destination) {
    await withConnection(destination, async connection => {
      const schema = schemaOf('replace')
      const tables = [{ table: 'orders', disposition: 'replace' } as const]
      const first = [{ id: 1, lines: [{ sku: 'a' }] }, { id: 2 }]
      await runLoad(connection, schema, { loadId: '1.1', records: { orders: first }, tables })
      await runLoad(connection, schema, { loadId: '1.2', records: { orders: [{ id: 3 }] }, tables })
      deepEqual(await rowsOf(connection, 'orders', ['id']), [{ id: '3n' }])
      deepEqual(await rowsOf(connection, 'orders__lines', ['sku']), [])
    })
  },

  async 'replace by nothing empties the tables and keeps them'(destination) {
    await withConnection(destination, async connection => {
      const schema = schemaOf('replace')
      const tables = [{ table: 'orders', disposition: 'replace' } as const]
      await runLoad(connection, schema, {
        loadId: '1.1',
        records: { orders: [{ id: 1, lines: [{ sku: 'a' }] }] },
        tables,
      })
      await runLoad(connection, schema, { loadId: '1.2', tables })
      deepEqual(await rowsOf(connection, 'orders'), [])
      deepEqual(await rowsOf(connection, 'orders__lines'), [])
    })
  },

  async 'a resource that never had rows makes no table'(destination) {
    await withConnection(destination, async connection => {
      await runLoad(connection, schemaOf('append'), {
        loadId: '1.1',
        tables: [{ table: 'orders', disposition: 'append' }],
      })
      const tables = await connection.inspect()
      deepEqual([tables.has('orders'), tables.has('orders__lines')], [false, false])
    })
  },

  async 'refresh drops and empties tables with the commit that follows'(destination) {
    await withConnection(destination, async connection => {
      const schema = schemaOf('append')
      const tables = [{ table: 'orders', disposition: 'append' } as const]
      const records = { orders: [{ id: 1, lines: [{ sku: 'a' }] }] }
      await runLoad(connection, schema, { loadId: '1.1', records, tables })
      const grown = testSchema({
        orders: { columns: { id: 'bigint', v: 'text' } },
        orders__lines: { columns: { sku: 'text' }, parent: 'orders', rootKey: false },
      })
      await runLoad(connection, grown, {
        loadId: '1.2',
        records: { orders: [{ id: 2, v: 'x' }] },
        tables,
        truncate: ['orders', 'orders__lines', 'never_was'],
      })
      deepEqual(await rowsOf(connection, 'orders', ['id', 'v']), [{ id: '2n', v: 'x' }])
      deepEqual(await rowsOf(connection, 'orders__lines'), [])
      const fresh = testSchema({ orders: { columns: { name: 'text' } } })
      await runLoad(connection, fresh, {
        loadId: '1.3',
        records: { orders: [{ name: 'x' }] },
        tables,
        drop: ['orders__lines', 'orders', 'never_was'],
      })
      deepEqual(await rowsOf(connection, 'orders', ['name']), [{ name: 'x' }])
      const names = await connection.inspect()
      deepEqual([...(names.get('orders')?.keys() ?? [])], ['name', '_dlt_load_id', '_dlt_id'])
      deepEqual(names.has('orders__lines'), false)
    })
  },

  async 'a schema that is forgotten, or has lost a table, leaves no older version behind'(destination) {
    await withConnection(destination, async connection => {
      const tables = [{ table: 'orders', disposition: 'append' } as const]
      const versions = async (): Promise<unknown[]> =>
        (await rowsOf(connection, '_dlt_version', ['version_hash'])).map(row => row.version_hash)
      for (const [index, forgets] of [
        {},
        { forgetSchema: true },
        { drop: ['orders'] },
        { drop: ['never_was'], forgetSchema: true },
      ].entries()) {
        const schema = testSchema({ orders: { columns: { id: 'bigint', [`v${index}`]: 'text' } } })
        const records = { orders: [{ id: index, [`v${index}`]: 'x' }] }
        await runLoad(connection, schema, { loadId: `1.${index}`, records, tables, ...forgets })
        deepEqual(await versions(), [schema.version_hash])
      }
      const kept = testSchema({ orders: { columns: { id: 'bigint', more: 'text' } } })
      await runLoad(connection, kept, { loadId: '1.9', records: { orders: [{ id: 9, more: 'x' }] }, tables })
      deepEqual((await versions()).length, 2)
    })
  },
}
