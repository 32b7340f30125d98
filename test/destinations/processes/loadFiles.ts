/**
 * A process that loads one row into files, to be killed: `loadFiles.ts <folder> <loadId> <disposition> <moment>`.
 * `moment`: `before` and `after` a `record`, an `announcement` or a `checkpoint` end the process there with SIGKILL, `pause` prints `paused` before the
 * record and goes on when its input ends, `pause at begin` does so before any row, `never` just loads. Prints `committed`, or the code of the failure.
 */
import { once } from 'node:events'
import { DEFAULT_LAYOUT, layout } from '../../../src/destinations/objects/format/layout.js'
import { filesConnection } from '../../../src/destinations/objects/objectsConnection.js'
import { localStorage } from '../../../src/destinations/objects/storage/folder.js'
import { runLoad, testSchema, testState } from '../../../src/testing/dataset.js'

const [folder = '', loadId = '', disposition = 'append', moment = 'never'] = process.argv.slice(2)
const storage = localStorage(`${folder}/api_data`)
const { put } = storage
const die = async (): Promise<never> => {
  process.kill(process.pid, 'SIGKILL')
  return await new Promise(() => {})
}
const pause = async (): Promise<void> => {
  process.stdout.write('paused\n')
  await once(process.stdin.resume(), 'end')
}
const { stagingDir } = storage
storage.stagingDir = async () => {
  if (moment === 'pause at begin') await pause()
  return await stagingDir()
}
storage.put = async (key, content, options) => {
  const kind = key.startsWith('_dlt_loads/')
    ? 'record'
    : key.endsWith('.announced')
      ? 'announcement'
      : key.startsWith('_sluice_checkpoints/') && 'checkpoint'
  if (moment === `before ${kind}`) await die()
  if (kind === 'record' && moment === 'pause') await pause()
  const result = await put(key, content, options)
  if (moment === `after ${kind}`) await die()
  return result
}
const settings = { layout: layout(DEFAULT_LAYOUT), encoding: { format: 'parquet', compression: 'zstd' } } as const
const connection = await filesConnection(storage, 'api_data', settings, undefined)
await runLoad(connection, testSchema({ orders: { columns: { id: 'bigint' } } }), {
  loadId,
  records: { orders: [{ id: Math.round(Number(loadId) * 10) }] },
  tables: [{ table: 'orders', disposition: disposition as 'append' }],
  state: testState(1, loadId),
}).then(
  () => process.stdout.write('committed\n'),
  error => process.stdout.write(`${error.code}\n`),
)
await connection[Symbol.asyncDispose]()
