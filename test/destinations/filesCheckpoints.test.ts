import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { datasetReader } from '../../src/destinations/objects/dataset/committedDataset.js'
import { emptyLedger, type LoadLedger, withLoads } from '../../src/destinations/objects/dataset/ledger.js'
import type { LoadRecord } from '../../src/destinations/objects/dataset/manifest.js'
import { DEFAULT_LAYOUT, layout } from '../../src/destinations/objects/format/layout.js'
import { filesDestination } from '../../src/destinations/objects/objects.js'
import { localStorage } from '../../src/destinations/objects/storage/folder.js'
import type { Storage } from '../../src/destinations/objects/storage/storage.js'
import type { Connection } from '../../src/model/destination.js'
import { encodeState } from '../../src/model/pipelineState.js'
import { Secret } from '../../src/model/secrets/secret.js'
import type { Clock } from '../../src/model/source.js'
import { rowsOf, runLoad, testSchema, testState, withConnection } from '../../src/testing/testDataset.js'
import fc from '../properties.js'
import { ACCESS_KEY_ID, BUCKET, type S3Double, SECRET_ACCESS_KEY, startS3Double } from './s3Server.js'

/** The real time without waiting. */
const clock: Clock = { now: () => Date.now(), sleep: async () => {}, random: () => 0.5 }
const schema = testSchema({ orders: { columns: { id: 'bigint' } } })
const APPEND = [{ table: 'orders', disposition: 'append' }] as const
const REPLACE = [{ table: 'orders', disposition: 'replace' }] as const
const ids = (...values: number[]) => ({ orders: values.map(id => ({ id })) })

let folder: string
let s3: S3Double
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-checkpoints-'))
})
afterAll(async () => {
  await rm(folder, { recursive: true, force: true })
})
beforeEach(async () => {
  s3 = await startS3Double()
})
afterEach(async () => {
  await s3.close()
})

const credentials = { accessKeyId: ACCESS_KEY_ID, secretAccessKey: new Secret(SECRET_ACCESS_KEY) }
const bucket = () =>
  filesDestination(
    { path: `s3://${BUCKET}`, format: 'jsonl', stagingDir: folder, s3: { endpoint: s3.url, credentials } },
    clock,
  )
const idOf = (number: number): string => `${1000 + number}.5`

async function append(connection: Connection, number: number, pipeline = 'p'): Promise<void> {
  await runLoad(connection, schema, { loadId: idOf(number), pipeline, records: ids(number), tables: APPEND })
}

/** Loads with the ids of these numbers, each of one row that holds its number. */
async function appended(from: number, to: number): Promise<void> {
  await withConnection(bucket(), async connection => {
    for (let number = from; number <= to; number++) await append(connection, number)
  })
}

const numbers = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, at) => from + at)

/** What somebody sees who comes to the dataset now. */
async function seen(): Promise<number[]> {
  return await withConnection(bucket(), async connection => {
    const found = (await rowsOf(connection, 'orders', ['id'])).map(row => Number.parseInt(String(row.id), 10))
    expect(await connection.count('orders')).toBe(found.length)
    return found.sort((a, b) => a - b)
  })
}

const keysIn = (name: string): string[] => [...s3.objects.keys()].filter(key => key.includes(`/${name}/`)).sort()

describe('a load into a bucket', () => {
  test('asks for no more when there were many loads before it', { timeout: 120_000 }, async () => {
    const asked: number[] = []
    for (const number of numbers(1, 105)) {
      const before = s3.requests.length
      await withConnection(bucket(), async connection => {
        await connection.committed('p', 'api')
        expect(await connection.hasLoad(idOf(number))).toBe(false)
        await append(connection, number)
      })
      asked.push(s3.requests.length - before)
    }
    // From one checkpoint to the next, the load that makes the checkpoint among them.
    expect(Math.max(...asked.slice(80, 105))).toBeLessThanOrEqual(Math.max(...asked.slice(30, 55)))
    expect(keysIn('_dlt_loads'), 'dlt has its record of every load').toHaveLength(105)
    expect(keysIn('_sluice_checkpoints')).toHaveLength(1)
    expect(keysIn('_sluice_intents')).toEqual([])
    expect(await seen()).toEqual(numbers(1, 105))
    await withConnection(bucket(), async connection => {
      expect(await connection.count('_dlt_loads')).toBe(105)
      for (const number of [1, 24, 25, 26, 100, 105]) expect(await connection.hasLoad(idOf(number))).toBe(true)
      expect(await connection.hasLoad(idOf(106))).toBe(false)
      expect((await connection.inspect()).has('_dlt_loads')).toBe(true)
    })
  })

  test('commits no load again that a checkpoint has', async () => {
    await appended(1, 30)
    await withConnection(bucket(), connection => append(connection, 3))
    expect(await seen()).toEqual(numbers(1, 30))
  })

  test('finds every load where a store knows no place to begin a list at', async () => {
    s3.skips = false
    await appended(1, 60)
    expect(await seen()).toEqual(numbers(1, 60))
  })
})

test('a folder of many loads, from before there were checkpoints, is read whole once', async () => {
  const place = join(folder, 'old')
  const local = filesDestination({ path: place, format: 'jsonl' }, clock)
  const load = (number: number) => withConnection(local, connection => append(connection, number))
  for (const number of numbers(1, 40)) await load(number)
  const dataset = join(place, 'api_data')
  await rm(join(dataset, '_sluice_checkpoints'), { recursive: true })
  const read = async (): Promise<number> => {
    let reads = 0
    const storage = localStorage(dataset)
    const counting: Storage = {
      ...storage,
      get(key) {
        reads++
        return storage.get(key)
      },
    }
    const { complete } = await datasetReader(counting, layout(DEFAULT_LAYOUT)).snapshot()
    expect(complete.size).toBe((await readdir(join(dataset, '_dlt_loads'))).length)
    return reads
  }
  expect(await read()).toBe(40)
  await load(41)
  expect(await read()).toBe(1)
  await load(42)
  expect(await read()).toBe(2)
})

describe('a checkpoint', () => {
  test('changes nothing of what readers see', async () => {
    await withConnection(bucket(), async connection => {
      for (const number of numbers(1, 70)) {
        const tables = number === 20 || number === 45 ? REPLACE : APPEND
        const pipeline = number % 3 === 0 ? 'q' : 'p'
        await runLoad(connection, schema, { loadId: idOf(number), pipeline, records: ids(number), tables })
      }
    })
    const withCheckpoint = await seen()
    expect(withCheckpoint).toEqual(numbers(45, 70))
    for (const key of keysIn('_sluice_checkpoints')) s3.objects.delete(key)
    expect(await seen()).toEqual(withCheckpoint)
  })

  test.each([
    ['announced', /PUT .*\.announced/],
    ['written', /PUT .*_sluice_checkpoints.*json/],
    ['cleared up after', /DELETE .*_sluice_checkpoints/],
  ])('that cannot be %s fails no load, and the next one makes it', async (_, request) => {
    await appended(1, 24)
    s3.fault = asked => (request.test(asked) ? 'cut' : undefined)
    await appended(25, 26)
    expect(await seen()).toEqual(numbers(1, 26))
    s3.fault = () => undefined
    await appended(27, 55)
    expect(await seen()).toEqual(numbers(1, 55))
    expect(keysIn('_sluice_checkpoints')).toHaveLength(1)
    expect(keysIn('_sluice_intents')).toEqual([])
  })

  test.each([
    ['cut off', '{"format":1,"loa'],
    ['of a newer Sluice', '{"format":2,"covered":[]}'],
  ])('that is %s is left alone, and the records are read', async (_, content) => {
    await appended(1, 30)
    for (const key of keysIn('_sluice_checkpoints')) s3.objects.set(key, Buffer.from(content))
    expect(await seen()).toEqual(numbers(1, 30))
    await appended(31, 32)
    expect(await seen()).toEqual(numbers(1, 32))
  })
})

describe('a load with an older id than those of a checkpoint', () => {
  const lateId = '1003.75'
  const commitLate = (connection: Connection) =>
    runLoad(connection, schema, { loadId: lateId, pipeline: 'other', records: ids(3), tables: APPEND })
  const lateKeys = async (): Promise<Map<string, Buffer>> => {
    const before = new Set(s3.objects.keys())
    await withConnection(bucket(), commitLate)
    return new Map([...s3.objects].filter(([key]) => !before.has(key)))
  }

  test('is seen from its commit on, and once', async () => {
    await appended(1, 30)
    await withConnection(bucket(), commitLate)
    const all = [...numbers(1, 30), 3].sort((a, b) => a - b)
    expect(await seen()).toEqual(all)
    await withConnection(bucket(), async connection => {
      expect(await connection.hasLoad(lateId)).toBe(true)
      expect(await connection.count('_dlt_loads')).toBe(31)
    })
    await appended(31, 60)
    expect(await seen()).toEqual([...all, ...numbers(31, 60)])
    await withConnection(bucket(), async connection => {
      await append(connection, 61, 'other')
      expect(keysIn('_sluice_intents'), 'the note of a load that the checkpoint has').toEqual([])
    })
    expect(await seen()).toEqual([...all, ...numbers(31, 61)])
  })

  test('that is replaced before a checkpoint has it does not come back', async () => {
    await appended(1, 30)
    await withConnection(bucket(), async connection => {
      await commitLate(connection)
      await runLoad(connection, schema, { loadId: idOf(31), records: ids(31), tables: REPLACE })
    })
    expect(await seen()).toEqual([31])
    await appended(32, 90)
    expect(await seen()).toEqual(numbers(31, 90))
  })

  test.each([
    ['before it is announced', /PUT .*\.announced/],
    ['while its loads are gathered', /GET .*prefix=.*_sluice_intents/],
    ['just before it is written', /PUT .*_sluice_checkpoints.*json/],
  ])('is seen when it is committed %s', async (_, moment) => {
    await appended(1, 23)
    // What another machine leaves that commits this load: its note stays, for the announcement is there.
    const theirs = await lateKeys()
    for (const key of theirs.keys()) s3.objects.delete(key)
    expect([...theirs.keys()].some(key => key.includes('_sluice_checkpoints'))).toBe(false)
    const record = [...theirs.keys()].find(key => key.includes('_dlt_loads')) ?? ''
    const note = record.replace('_dlt_loads/api__', '_sluice_intents/other__').replace('.jsonl', '.json')
    const intent = { loadId: lateId, pipeline: 'other', schemaName: 'api', keys: [] }
    let announced = false
    let done = false
    s3.fault = request => {
      announced ||= request.includes('.announced')
      if (announced && !done && moment.test(request)) {
        done = true
        for (const [key, content] of theirs) s3.objects.set(key, content)
        s3.objects.set(note, Buffer.from(JSON.stringify(intent)))
      }
      return undefined
    }
    await appended(24, 25)
    expect(done).toBe(true)
    const all = [...numbers(1, 25), 3].sort((a, b) => a - b)
    expect(await seen()).toEqual(all)
    await appended(26, 60)
    expect(await seen()).toEqual([...all, ...numbers(26, 60)])
  })

  test('is seen where dlt committed it, which leaves no note', async () => {
    await appended(1, 30)
    const loadId = lateId
    const put = (key: string, row: object): void =>
      void s3.objects.set(`api_data/${key}`, Buffer.from(`${JSON.stringify(row)}\n`))
    put(`orders/${loadId}.0123456789.jsonl`, { id: 3, _dlt_load_id: loadId, _dlt_id: 'a' })
    put(`_dlt_pipeline_state/theirs__${loadId}__00.jsonl`, {
      version: 1,
      engine_version: 4,
      pipeline_name: 'theirs',
      state: encodeState(testState(1, 'a', 'theirs')),
      created_at: '2024-01-01T00:00:00+00:00',
      version_hash: 'x',
      _dlt_load_id: loadId,
    })
    put(`_dlt_loads/api__${loadId}.jsonl`, {
      load_id: loadId,
      schema_name: 'api',
      status: 0,
      inserted_at: '2024-01-01T00:00:00+00:00',
      schema_version_hash: schema.version_hash,
    })
    const all = [...numbers(1, 30), 3].sort((a, b) => a - b)
    expect(await seen()).toEqual(all)
    await appended(31, 60)
    expect(await seen()).toEqual([...all, ...numbers(31, 60)])
  })
})

describe('a process that makes a checkpoint in a bucket, beside others', () => {
  /** 49 loads, and the checkpoint of the first 25. */
  let before: ReadonlyMap<string, Buffer>
  beforeAll(async () => {
    s3 = await startS3Double()
    await appended(1, 49)
    before = new Map(s3.objects)
    await s3.close()
  })
  beforeEach(() => {
    for (const [key, content] of before) s3.objects.set(key, content)
  })

  const start = (moment: string): ChildProcess =>
    spawn(
      process.execPath,
      [
        '--import',
        'tsx',
        fileURLToPath(new URL('./processes/loadFiles.ts', import.meta.url)),
        s3.url,
        idOf(50),
        'append',
        moment,
      ],
      { cwd: fileURLToPath(new URL('../..', import.meta.url)), stdio: ['pipe', 'pipe', 'inherit'] },
    )
  const appendLate = (loadId: string, id: number) =>
    withConnection(bucket(), connection =>
      runLoad(connection, schema, { loadId, pipeline: 'other', records: ids(id), tables: APPEND }),
    )
  /** The row of the process. */
  const ITS_ROW = 10505

  test.each(['before announcement', 'after announcement', 'before checkpoint', 'after checkpoint', 'before removal'])(
    'and is killed %s, hides no load, and the next checkpoint clears up',
    async moment => {
      const child = start(moment)
      await once(child, 'exit')
      expect(child.signalCode).toBe('SIGKILL')
      expect(await seen()).toEqual([...numbers(1, 49), ITS_ROW])
      await appendLate('1003.75', 300)
      expect(await seen()).toEqual([...numbers(1, 49), 300, ITS_ROW])
      await appended(51, 76)
      await withConnection(bucket(), connection => append(connection, 77, 'other'))
      expect(await seen()).toEqual([...numbers(1, 49), ...numbers(51, 77), 300, ITS_ROW])
      expect(keysIn('_sluice_checkpoints')).toEqual([expect.stringMatching(/\d\.json$/)])
      expect(keysIn('_sluice_intents')).toEqual([])
    },
  )

  test.each(['pause before announcement', 'pause after announcement', 'pause before checkpoint'])(
    'hides none of the loads that others commit and sum up meanwhile (%s)',
    async moment => {
      const child = start(moment)
      const said = createInterface({ input: child.stdout as Readable })[Symbol.asyncIterator]()
      expect((await said.next()).value).toBe('paused')
      await appendLate('1003.75', 300)
      expect(await seen()).toEqual([...numbers(1, 49), 300, ITS_ROW])
      await appended(51, 76)
      const ended = once(child, 'exit')
      child.stdin?.end()
      expect((await said.next()).value).toBe('committed')
      await ended
      await appendLate('1004.75', 400)
      expect(await seen()).toEqual([...numbers(1, 49), ...numbers(51, 76), 300, 400, ITS_ROW])
    },
  )

  test('hides no load that is committed while it gathers', async () => {
    const child = start('pause before checkpoint')
    const said = createInterface({ input: child.stdout as Readable })[Symbol.asyncIterator]()
    expect((await said.next()).value).toBe('paused')
    // Only the process makes one.
    s3.fault = request => (/PUT .*\.announced/.test(request) ? 'cut' : undefined)
    await appendLate('1003.75', 300)
    const ended = once(child, 'exit')
    child.stdin?.end()
    await ended
    expect(keysIn('_sluice_checkpoints')).toHaveLength(1)
    expect(await seen()).toEqual([...numbers(1, 49), 300, ITS_ROW])
  })
})

/** Loads that add, remove, define and drop, as a series of commits may. */
const commits = fc.array(
  fc.record({
    table: fc.constantFrom('a', 'b'),
    columns: fc.subarray(['x', 'y', 'z'], { minLength: 1 }),
    does: fc.constantFrom('append', 'replace', 'drop'),
    pipeline: fc.constantFrom('p', 'q'),
    foreign: fc.boolean(),
  }),
  { maxLength: 12 },
)

test('a ledger is the same in whatever order it came to know the loads', () => {
  const comparable = (ledger: LoadLedger) => ({
    records: [...ledger.records].sort(),
    newest: [...ledger.newest],
    sequences: [...ledger.sequences].sort(),
    sequence: ledger.sequence,
    foreign: ledger.foreign.map(one => one.loadId).sort(),
    files: [...ledger.files.keys()].sort(),
    removed: [...ledger.removed].sort(),
    tables: [...ledger.tables].map(([name, { at }]) => [name, at.loadId]).sort(),
    dropped: [...ledger.dropped].map(([name, at]) => [name, at.loadId]).sort(),
  })
  fc.assert(
    fc.property(commits, fc.infiniteStream(fc.nat()), fc.nat(), (series, chance, cut) => {
      const live = new Map<string, string[]>()
      const records = series.map(({ table, columns, does, pipeline, foreign }, index): LoadRecord => {
        const loadId = `${index + 10}.5`
        const key = `${table}/${loadId}.jsonl`
        const file = { table, key, format: 'jsonl', rows: 1, bytes: 1 } as const
        const removed = does === 'append' || foreign ? [] : (live.get(table) ?? [])
        if (!foreign) {
          const kept = does === 'append' ? (live.get(table) ?? []) : []
          live.set(table, does === 'drop' ? [] : [...kept, key])
        }
        return {
          key: `_dlt_loads/api__${loadId}.jsonl`,
          loadId,
          schemaName: 'api',
          status: 0,
          insertedAt: '',
          schemaVersionHash: undefined,
          manifest: foreign
            ? undefined
            : {
                sequence: index + 1,
                pipeline,
                files: does === 'drop' ? [] : [file],
                removed,
                dropped: does === 'drop' ? [table] : [],
                tables:
                  does === 'drop'
                    ? new Map()
                    : new Map([[table, columns.map(name => ({ name, data_type: 'text' as const }))]]),
              },
        }
      })
      const inOrder = withLoads(emptyLedger, records)
      expect([...inOrder.files.keys()].sort()).toEqual([...live.values()].flat().sort())
      const shuffled = records
        .map(record => ({ record, at: chance.next().value }))
        .sort((a, b) => a.at - b.at)
        .map(({ record }) => record)
      const at = records.length === 0 ? 0 : cut % records.length
      const inParts = withLoads(withLoads(emptyLedger, shuffled.slice(0, at)), shuffled)
      expect(comparable(inParts)).toEqual(comparable(inOrder))
    }),
  )
})
