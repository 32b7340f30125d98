/**
 * A process that loads one row into files, to be killed: `loadFiles.ts <place> <loadId> <disposition> <moment>`.
 * `place`: a folder, or the URL of the S3 server of the tests. `moment`: `before` and `after` a `record`, an
 * `announcement`, a `checkpoint` or a `removal` of those end the process there with SIGKILL; with `pause` in front, as in
 * `pause before record`, it prints `paused` and goes on when its input ends. `pause at begin` pauses before any row,
 * `never` just loads. Prints `committed`, or the code of the failure.
 */
import { once } from 'node:events'
import { DEFAULT_LAYOUT, layout } from '../../../src/destinations/objects/format/layout.js'
import { filesConnection } from '../../../src/destinations/objects/objectsConnection.js'
import { localStorage } from '../../../src/destinations/objects/storage/folder.js'
import { s3Storage } from '../../../src/destinations/objects/storage/s3.js'
import { s3Bucket } from '../../../src/destinations/objects/storage/s3Bucket.js'
import { Secret } from '../../../src/model/secrets/secret.js'
import { systemClock } from '../../../src/pipeline/clock.js'
import { runLoad, testSchema, testState } from '../../../src/testing/testDataset.js'
import { ACCESS_KEY_ID, BUCKET, SECRET_ACCESS_KEY } from '../s3Server.js'

const [place = '', loadId = '', disposition = 'append', moment = 'never'] = process.argv.slice(2)
const credentials = { accessKeyId: ACCESS_KEY_ID, secretAccessKey: new Secret(SECRET_ACCESS_KEY) }
const storage = place.startsWith('http:')
  ? s3Storage(
      s3Bucket({ bucket: BUCKET, prefix: '', stagingDir: undefined }, { endpoint: place, credentials }, systemClock),
    )('api_data')
  : localStorage(`${place}/api_data`)
const die = async (): Promise<never> => {
  process.kill(process.pid, 'SIGKILL')
  return await new Promise(() => {})
}
const pause = async (): Promise<void> => {
  process.stdout.write('paused\n')
  await once(process.stdin.resume(), 'end')
}
const { stagingDir, put, remove } = storage
storage.stagingDir = async () => {
  if (moment === 'pause at begin') await pause()
  return await stagingDir()
}
const around = async <T>(kind: string | undefined, work: () => Promise<T>): Promise<T> => {
  if (moment === `before ${kind}`) await die()
  if (moment === `pause before ${kind}`) await pause()
  const result = await work()
  if (moment === `after ${kind}`) await die()
  if (moment === `pause after ${kind}`) await pause()
  return result
}
const kindOf = (key: string): string | undefined => {
  if (key.startsWith('_dlt_loads/')) return 'record'
  if (!key.startsWith('_sluice_checkpoints/')) return undefined
  return key.endsWith('.announced') ? 'announcement' : 'checkpoint'
}
storage.put = (key, content, options) => around(kindOf(key), () => put(key, content, options))
storage.remove = keys =>
  around(keys.some(key => key.startsWith('_sluice_checkpoints/')) ? 'removal' : undefined, () => remove(keys))
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
