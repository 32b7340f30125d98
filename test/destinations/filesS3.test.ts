import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { filesDestination } from '../../src/destinations/objects/objects.js'
import { PART_BYTES, s3Storage } from '../../src/destinations/objects/storage/s3.js'
import { s3Bucket } from '../../src/destinations/objects/storage/s3Bucket.js'
import type { S3Options } from '../../src/destinations/objects/storage/s3Identity.js'
import type { Storage } from '../../src/destinations/objects/storage/storage.js'
import { Secret } from '../../src/model/secrets/secret.js'
import type { Clock } from '../../src/model/source.js'
import {
  commitPlan,
  rowsOf,
  runLoad,
  stageRecords,
  testSchema,
  testState,
  withConnection,
} from '../../src/testing/testDataset.js'
import { ACCESS_KEY_ID, BUCKET, type S3Double, type S3Fault, SECRET_ACCESS_KEY, startS3Double } from './s3Server.js'

/** The real time without waiting. */
const clock: Clock = { now: () => Date.now(), sleep: async () => {}, random: () => 0.5 }
const schema = testSchema({ orders: { columns: { id: 'bigint' } } })
const APPEND = [{ table: 'orders', disposition: 'append' }] as const
const REPLACE = [{ table: 'orders', disposition: 'replace' }] as const
const ids = (...values: number[]) => ({ orders: values.map(id => ({ id })) })

let folder: string
let s3: S3Double
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-s3-'))
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
const destination = (options = {}) =>
  filesDestination(
    { path: `s3://${BUCKET}/a lake/x`, stagingDir: folder, s3: { endpoint: s3.url, credentials, ...options } },
    clock,
  )
const storage = (): Storage =>
  s3Storage(
    s3Bucket(
      { bucket: BUCKET, prefix: 'p', stagingDir: folder },
      { endpoint: s3.url, credentials, region: 'eu-central-1' },
      clock,
    ),
  )('f')

describe('a bucket', () => {
  test('takes loads and gives them back; replaced files go once the new ones count', async () => {
    await withConnection(destination(), async connection => {
      for (const [loadId, tables] of [
        ['1.1', APPEND],
        ['1.2', APPEND],
        ['1.3', REPLACE],
      ] as const) {
        await runLoad(connection, schema, {
          loadId,
          records: ids(Number(loadId) * 10),
          tables,
          state: testState(1, loadId),
        })
      }
      expect(await rowsOf(connection, 'orders', ['id'])).toEqual([{ id: '13n' }])
      expect(await connection.committed('p', 'api')).toMatchObject({ loadId: '1.3', state: testState(1, '1.3') })
    })
    const keys = [...s3.objects.keys()].map(key => key.replace(/[0-9a-f]{10,}/, 'HEX'))
    expect(keys.sort()).toEqual(
      [
        ...['1.1', '1.2', '1.3'].map(id => `_dlt_loads/api__${id}.jsonl`),
        ...['1.1', '1.2', '1.3'].map(id => `_dlt_pipeline_state/p__${id}__HEX.jsonl`),
        '_dlt_version/api__1.1__HEX.jsonl',
        'init',
        'orders/1.3.HEX.parquet',
      ].map(key => `a lake/x/api_data/${key}`),
    )
    const order = s3.requests.filter(request => /^(PUT|DELETE) .*1\.3/.test(request) || /DELETE.*orders/.test(request))
    expect(
      order.map(request =>
        request
          .replace(/[0-9a-f]{10,}/, '')
          .split('/')
          .at(-2),
      ),
    ).toEqual(['_sluice_intents', 'orders', '_dlt_pipeline_state', '_dlt_loads', 'orders', 'orders', '_sluice_intents'])
    expect(await readdir(folder)).toEqual([])
  })

  test('hides what a cut load has sent, and the next load removes it', async () => {
    await withConnection(destination(), connection =>
      runLoad(connection, schema, { loadId: '1.1', records: ids(1), tables: APPEND }),
    )
    const before = new Set(s3.objects.keys())
    s3.fault = request => (/^(PUT .*_dlt_loads|DELETE)/.test(request) ? 'cut' : undefined)
    await withConnection(destination(), async connection => {
      const failing = runLoad(connection, schema, { loadId: '1.2', records: ids(2), tables: APPEND })
      // Of a record that was sent and not answered, nobody knows.
      await expect(failing).rejects.toMatchObject({ code: 'commit_unknown', transient: true })
    })
    s3.fault = () => undefined
    expect([...s3.objects.keys()].filter(key => !before.has(key) && key.includes('/orders/'))).toHaveLength(1)
    await withConnection(destination(), async connection => {
      expect(await rowsOf(connection, 'orders', ['id'])).toEqual([{ id: '1n' }])
      await (await connection.begin({ loadId: '1.2', pipeline: 'p' })).abort()
    })
    expect(new Set(s3.objects.keys())).toEqual(before)
  })

  test('is asked again where the answer to the record was lost', async () => {
    s3.fault = request => (/^PUT .*_dlt_loads/.test(request) ? 'cut after doing it' : undefined)
    await withConnection(destination(), async connection => {
      await runLoad(connection, schema, { loadId: '1.1', records: ids(1), tables: APPEND })
      expect(await rowsOf(connection, 'orders', ['id'])).toEqual([{ id: '1n' }])
      // Whoever gets no answer to that question either says so. The load is there.
      s3.fault = request =>
        /_dlt_loads/.test(request) && s3.requests.some(sent => /^PUT .*_dlt_loads.*1\.2/.test(sent))
          ? 'cut after doing it'
          : undefined
      const failing = runLoad(connection, schema, { loadId: '1.2', records: ids(2), tables: APPEND })
      await expect(failing).rejects.toMatchObject({ code: 'commit_unknown', message: /may be there or not/ })
      s3.fault = () => undefined
      expect(await connection.hasLoad('1.2')).toBe(true)
      await runLoad(connection, schema, { loadId: '1.2', records: ids(2), tables: APPEND })
      expect(await rowsOf(connection, 'orders', ['id'])).toEqual([{ id: '1n' }, { id: '2n' }])
    })
  })

  test('has one winner where two processes run a pipeline; the other says so and leaves nothing', async () => {
    await withConnection(destination(), async slow => {
      const load = await slow.begin({ loadId: '1.1', pipeline: 'p' })
      const plan = { loadId: '1.1', records: ids(1), tables: APPEND }
      await stageRecords(load.stage.bind(load), schema, plan)
      // Just before the record, another machine gives this load up for one of its own.
      let took = false
      s3.fault = request => {
        if (/^PUT .*_dlt_loads/.test(request) && !took) {
          took = true
          const key = [...s3.objects.keys()].find(name => name.includes('_sluice_intents')) ?? ''
          const record = key.replace('_sluice_intents/p__1.1.json', '_dlt_loads/api__1.1.jsonl')
          const taken = { load_id: '1.1', schema_name: 'api', status: 1, inserted_at: '', schema_version_hash: null }
          s3.objects.set(record, Buffer.from(JSON.stringify(taken)))
        }
        return undefined
      }
      await expect(load.commit(commitPlan(schema, plan))).rejects.toMatchObject({ code: 'destination_locked' })
      await load.abort()
      expect([...s3.objects.keys()].filter(key => key.includes('/orders/'))).toEqual([])
      expect(await slow.hasLoad('1.1')).toBe(false)
      // The same load may be taken up again by the pipeline's next run.
      await runLoad(slow, schema, { loadId: '1.1', records: ids(5), tables: APPEND })
      expect(await rowsOf(slow, 'orders', ['id'])).toEqual([{ id: '5n' }])
    })
  })
})

describe('requests', () => {
  test('are repeated when the store is busy or the connection breaks', async () => {
    const store = storage()
    let failures = 0
    s3.fault = () => ([{ status: 503, code: 'SlowDown' }, 'cut', undefined] as const)[failures++ % 3]
    await store.put('a/b', Buffer.from('x'))
    expect(Buffer.from((await store.get('a/b')) ?? []).toString()).toBe('x')
    expect(failures).toBe(6)
    await store.close()
  })

  test('end after some attempts and say where', async () => {
    const store = storage()
    s3.fault = () => 'cut'
    await expect(store.get('a')).rejects.toThrow(/s3:\/\/test-bucket\/p\/f: http.* cannot be reached/)
    expect(s3.requests).toHaveLength(6)
    await store.close()
  })

  test('that create an object know their own work when the answer was lost', async () => {
    const store = storage()
    let lost = 0
    s3.fault = request => (request.startsWith('PUT') && lost++ === 0 ? 'cut after doing it' : undefined)
    expect(await store.put('k', Buffer.from('mine'), { onlyIfAbsent: true })).toBe(true)
    expect(await store.put('k', Buffer.from('yours'), { onlyIfAbsent: true })).toBe(false)
    expect(s3.objects.get('p/f/k')?.toString()).toBe('mine')
    await store.close()
  })

  test('for large files go in parts, and an upload that fails is aborted', async () => {
    const store = storage()
    const content = Buffer.alloc(2 * PART_BYTES + 17, 'abcdefg')
    const path = join(folder, 'large')
    const file = { path, bytes: content.length, sha256: '' }
    await writeFile(path, content)
    s3.fault = request => (request.includes('partNumber=2') ? { status: 400, code: 'EntityTooLarge' } : undefined)
    await expect(store.put('large', file)).rejects.toThrow(/EntityTooLarge/)
    expect([s3.openUploads(), s3.objects.size]).toEqual([0, 0])
    s3.fault = () => undefined
    await store.put('large', file)
    expect(s3.objects.get('p/f/large')?.equals(content)).toBe(true)
    await store.close()
  })

  test('of a process that was killed leave no parts behind, and those of others stay', async () => {
    const store = storage()
    const content = Buffer.alloc(PART_BYTES + 17, 'abcdefg')
    s3.fault = request => (/partNumber=2|DELETE/.test(request) ? 'cut' : undefined)
    const path = join(folder, 'in parts')
    await writeFile(path, content)
    for (const key of ['a', 'b', 'c', 'd', 'theirs']) {
      await expect(store.put(key, { path, bytes: content.length, sha256: '' })).rejects.toThrow(/cannot be reached/)
    }
    expect(s3.openUploads()).toBe(5)
    s3.fault = request => (/GET .*uploads=/.test(request) ? { status: 403, code: 'AccessDenied' } : undefined)
    await store.abandon(['a', 'never was'])
    expect(s3.openUploads(), 'a key that may not list uploads').toBe(5)
    s3.fault = () => undefined
    await store.abandon(['a', 'b', 'c', 'd'])
    expect(s3.openUploads()).toBe(1)
    await rm(path)
    await store.close()
  })

  test.each([
    ['an object', (store: Storage) => store.get('k')],
    ['a list', async (store: Storage) => (await store.keys('').next()).value],
    [
      'a file',
      async (store: Storage) => {
        await using borrowed = await store.borrow([{ key: 'k', bytes: 8 }])
        return borrowed?.paths[0]
      },
    ],
  ])('for %s whose body ends early are repeated, and fail when it stays short', async (_, ask) => {
    const store = storage()
    await store.put('k', Buffer.from('contents'))
    let halves = 0
    s3.fault = () => (halves++ === 0 ? 'half' : undefined)
    expect(await ask(store)).toBeDefined()
    expect(halves).toBe(2)
    s3.fault = () => 'half'
    await expect(ask(store)).rejects.toMatchObject({
      code: 'destination',
      message: expect.stringMatching(/came with(out a length| 4 bytes, not 8).*, 6 times/),
    })
    expect((await readdir(folder)).filter(name => name.startsWith('read-'))).toEqual([])
    await store.close()
  })

  test('for a file that is shorter than its load wrote say so', async () => {
    await withConnection(destination(), async connection => {
      await runLoad(connection, schema, { loadId: '1.1', records: ids(1), tables: APPEND })
      for (const [key, content] of s3.objects) {
        if (key.includes('/orders/')) s3.objects.set(key, content.subarray(0, 10))
      }
      await expect(rowsOf(connection, 'orders', ['id'])).rejects.toThrow(/orders\/1\.1\..* came with 10 bytes, not \d+/)
    })
  })

  test('wait no more once the run is stopped', async () => {
    const controller = new AbortController()
    const waiting: Clock = {
      ...clock,
      sleep: (_, signal) =>
        new Promise((_resolve, reject) => {
          if (signal === undefined) return
          signal.addEventListener('abort', () => reject(signal.reason))
          controller.abort(new Error('enough'))
        }),
    }
    const options = { path: `s3://${BUCKET}/x`, s3: { endpoint: s3.url, credentials } }
    s3.fault = () => ({ status: 503, code: 'SlowDown' })
    await using connection = await filesDestination(options, waiting).connect('d', controller.signal)
    await expect(connection.committed('p', 'api')).rejects.toThrow('enough')
  })

  test('that clear up are still sent once the run is stopped', async () => {
    const controller = new AbortController()
    const options = { path: `s3://${BUCKET}/x`, stagingDir: folder, s3: { endpoint: s3.url, credentials } }
    await using connection = await filesDestination(options, clock).connect('d', controller.signal)
    await runLoad(connection, schema, { loadId: '1.1', records: ids(1), tables: APPEND })
    const before = [...s3.objects.keys()]
    s3.fault = request => {
      if (request.startsWith('PUT') && request.includes('/orders/')) controller.abort(new Error('enough'))
      return undefined
    }
    const failing = runLoad(connection, schema, { loadId: '1.2', records: ids(2), tables: APPEND })
    await expect(failing).rejects.toThrow('enough')
    expect([...s3.objects.keys()]).toEqual(before)
  })

  test('list every key, whatever is in it', async () => {
    const store = storage()
    const keys = ['a&b', 'c d', "e'f", 'ż/ó+%2F', 'q?x=1#y', '<z>', '(1)*!']
    for (const key of keys) await store.put(key, Buffer.from(key))
    const found: string[] = []
    for await (const { key } of store.list('')) found.push(key)
    expect(found.sort()).toEqual([...keys].sort())
    for (const key of keys) expect(Buffer.from((await store.get(key)) ?? []).toString()).toBe(key)
    await store.remove([...keys, 'never was'])
    expect(s3.objects.size).toBe(0)
    await store.close()
  })

  test.each([
    ['no token', '', /gives no token for it/],
    ['an empty token', '<NextContinuationToken></NextContinuationToken>', /gives no token for it/],
    [
      'one token again and again',
      '<NextContinuationToken>t</NextContinuationToken>',
      /gives the token of the page before/,
    ],
  ])('whose list has a next page and %s is no list that ended', async (_what, token, message) => {
    s3.fault = request =>
      request.includes('list-type=2')
        ? { xml: `<ListBucketResult><IsTruncated>true</IsTruncated>${token}</ListBucketResult>` }
        : undefined
    await using connection = await destination().connect('d')
    await expect(connection.committed('p', 'api')).rejects.toThrow(message)
  })

  test('that never comes to an end is given up', async () => {
    let passedMs = Date.now()
    const late: Clock = {
      ...clock,
      now: () => {
        passedMs += 70_000
        return passedMs
      },
    }
    const store = s3Storage(
      s3Bucket(
        { bucket: BUCKET, prefix: 'p', stagingDir: folder },
        { endpoint: s3.url, credentials, region: 'eu-central-1' },
        late,
      ),
    )('f')
    await expect(store.get('some')).rejects.toThrow(/too slowly/)
    await store.close()
  })

  interface Refusal {
    readonly name: string
    readonly options?: S3Options
    readonly message: RegExp
    readonly fault?: S3Fault
  }
  test.each<Refusal>([
    {
      name: 'a wrong secret',
      options: { credentials: { ...credentials, secretAccessKey: 'no-such-secret' } },
      message: /secret access key is wrong/,
    },
    { name: 'no right', message: /s3:PutObject/, fault: { status: 403, code: 'AccessDenied' } },
    {
      name: 'an expired token',
      message: /session token has expired/,
      fault: { status: 400, code: 'ExpiredToken' },
    },
  ])('that are refused for $name say so without the secret', async ({ options, message, fault }) => {
    s3.fault = () => fault
    await using connection = await destination(options).connect('d')
    const failing = connection.committed('p', 'api')
    await expect(failing).rejects.toThrow(message)
    await expect(failing).rejects.not.toThrow(/no-such-secret|test\/secret/)
  })

  test('name a bucket that is not there', async () => {
    const wrong = { path: 's3://another-bucket/x', s3: { endpoint: s3.url, credentials } }
    await using connection = await filesDestination(wrong, clock).connect('d')
    await expect(connection.committed('p', 'api')).rejects.toThrow(/bucket does not exist/)
  })
})

test.each([
  ['s3://', {}, /not the name of a bucket/],
  [`s3://${BUCKET}/a/../b`, {}, /plain prefix/],
  [`s3://${BUCKET}/a`, { credentials: undefined }, /credentials are missing/],
  [`s3://${BUCKET}/a`, { endpoint: 'minio:9000' }, /expected an origin/],
  ['gs://bucket/a', {}, /expected a folder or/],
])('%s is refused before anything is sent', (path, options, message) => {
  expect(() => filesDestination({ path, s3: { endpoint: s3.url, credentials, ...options } }, clock)).toThrow(message)
})
