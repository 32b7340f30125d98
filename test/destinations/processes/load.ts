/**
 * A process that loads, to be killed: `load.ts <file> <loadId> <rows> <moment>`. Prints `holding` with the file open,
 * `staged` when the rows are staged. `moment` is `stage` (waits there to be killed), a number of milliseconds after the
 * start of the commit at which it kills itself, or `never`.
 */
import { duckdb } from '../../../src/destinations/duckdb/duckdb.js'
import { columnBatch } from '../../../src/testing/testBatch.js'
import { commitPlan, testSchema, testState } from '../../../src/testing/testDataset.js'

const [path = '', loadId = '', rowCount = '0', moment = 'never'] = process.argv.slice(2)
const schema = testSchema({
  orders: {
    columns: {
      id: { data_type: 'bigint', primary_key: true, nullable: false },
      v: 'text',
      [`c${loadId.replace('.', '_')}`]: 'bigint',
    },
    disposition: 'merge',
  },
})
const types = new Map(
  [...(schema.tables.get('orders')?.columns.values() ?? [])].map(
    column => [column.name, column.data_type ?? 'text'] as const,
  ),
)

const connection = await duckdb(path).connect('api_data')
process.stdout.write('holding\n')
const load = await connection.begin({ loadId, pipeline: 'p' })
const rows = Array.from({ length: Number(rowCount) }, (_, id) => ({
  id,
  v: `${loadId} ${id}`,
  _dlt_load_id: loadId,
  _dlt_id: `${loadId}/${id}`,
}))
for (let start = 0; start < rows.length; start += 50_000) {
  await load.stage(columnBatch('orders', types, rows.slice(start, start + 50_000)), schema)
}
process.stdout.write('staged\n')
if (moment === 'stage') await new Promise(() => setInterval(() => {}, 1000))
if (moment !== 'never') setTimeout(() => process.kill(process.pid, 'SIGKILL'), Number(moment))
await load.commit(
  commitPlan(schema, {
    loadId,
    tables: [{ table: 'orders', disposition: 'merge', strategy: 'delete-insert' }],
    state: testState(1, loadId),
  }),
)
await connection[Symbol.asyncDispose]()
process.stdout.write('committed\n')
