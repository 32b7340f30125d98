import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'
import { DuckDBInstance } from '@duckdb/node-api'
import { asyncBufferFromFile, parquetMetadataAsync } from 'hyparquet'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { layout, segment } from '../../src/destinations/objects/format/layout.js'
import { type FilesOptions, filesDestination } from '../../src/destinations/objects/objects.js'
import { localStorage } from '../../src/destinations/objects/storage/folder.js'
import { encodeState } from '../../src/model/pipelineState.js'
import { systemClock } from '../../src/pipeline/clock.js'
import { schemaText } from '../../src/schema/stored/document.js'
import { rowsOf, runLoad, testSchema, testState, withConnection } from '../../src/testing/testDataset.js'
import fc from '../properties.js'

let root: string
let folders = 0
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'sluice-files-'))
})
afterAll(async () => {
  await rm(root, { recursive: true, force: true })
})
const freshFolder = (): string => join(root, String(folders++))
const files = (options: FilesOptions) => filesDestination(options, systemClock)
const schema = testSchema({ orders: { columns: { id: 'bigint' } } })
const APPEND = [{ table: 'orders', disposition: 'append' }] as const
const REPLACE = [{ table: 'orders', disposition: 'replace' }] as const
const ids = (...values: number[]) => ({ orders: values.map(id => ({ id })) })

/** Files under a folder, relative and sorted. */
async function tree(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true })
  return entries
    .filter(entry => entry.isFile())
    .map(entry => relative(folder, join(entry.parentPath, entry.name)))
    .sort()
}

async function query(sql: string): Promise<unknown[]> {
  const instance = await DuckDBInstance.create(':memory:')
  const connection = await instance.connect()
  try {
    await connection.run("SET TimeZone = 'UTC'")
    return (await connection.runAndReadAll(sql)).getRowObjectsJson()
  } finally {
    connection.closeSync()
    instance.closeSync()
  }
}

const hex = (hash: string): string => Buffer.from(hash, 'base64').toString('hex')

describe('the layout of dlt', () => {
  test('has dlt’s names, keys in dlt’s order, and dlt’s times', async () => {
    const folder = freshFolder()
    const loadId = '1704067200.1234567'
    await withConnection(files({ path: folder, format: 'jsonl' }), connection =>
      runLoad(connection, schema, {
        loadId,
        records: ids(1),
        tables: APPEND,
        state: testState(3, 'a'),
        committedAt: 1_704_067_201_500_000n,
      }),
    )
    const names = (await tree(folder)).map(name => name.replace(/\.[0-9a-f]{10}\./, '.FILEID.'))
    const hash = hex(schema.version_hash)
    expect(names).toEqual([
      `api_data/_dlt_loads/api__${loadId}.jsonl`,
      `api_data/_dlt_pipeline_state/p__${loadId}__${hash}.jsonl`,
      `api_data/_dlt_version/api__1704067201.5__${hash}.jsonl`,
      'api_data/init',
      `api_data/orders/${loadId}.FILEID.jsonl.gz`,
    ])
    const lines = async (name: string): Promise<string> => await readFile(join(folder, 'api_data', name), 'utf8')
    expect(await lines('init')).toBe('{"initial_version":2,"current_version":2}')
    const load = await lines(`_dlt_loads/api__${loadId}.jsonl`)
    expect(load).toMatch(/^[^\n]*\n$/)
    expect(Object.entries(JSON.parse(load)).slice(0, 5)).toEqual([
      ['load_id', loadId],
      ['schema_name', 'api'],
      ['status', 0],
      ['inserted_at', '2024-01-01T00:00:01.500000+00:00'],
      ['schema_version_hash', schema.version_hash],
    ])
    expect(Object.entries(JSON.parse(await lines(`_dlt_version/api__1704067201.5__${hash}.jsonl`)))).toEqual([
      ['version_hash', schema.version_hash],
      ['schema_name', 'api'],
      ['version', schema.version],
      ['engine_version', 11],
      ['inserted_at', '2024-01-01T00:00:01.500000+00:00'],
      ['schema', schemaText(schema)],
    ])
    expect(JSON.parse(await lines(`_dlt_pipeline_state/p__${loadId}__${hash}.jsonl`))).toMatchObject({
      version: 3,
      engine_version: 4,
      pipeline_name: 'p',
      state: encodeState(testState(3, 'a')),
      _dlt_load_id: loadId,
    })
  })

  test('is read where dlt wrote it, and continued', async () => {
    const folder = freshFolder()
    const dataset = join(folder, 'api_data')
    const old = testSchema({ orders: { columns: { id: 'bigint', at: 'timestamp', price: 'decimal' } } })
    const hash = hex(old.version_hash)
    const put = async (name: string, content: unknown): Promise<void> => {
      await mkdir(join(dataset, name, '..'), { recursive: true })
      await writeFile(join(dataset, name), typeof content === 'string' ? content : JSON.stringify(content))
    }
    const time = '2024-01-01T00:00:00+00:00'
    const record = (load_id: string) => ({
      load_id,
      schema_name: 'api',
      status: 0,
      inserted_at: time,
      schema_version_hash: old.version_hash,
    })
    await put('init', '{"initial_version":2,"current_version":2}')
    await put('_dlt_loads/api__1700000000.5.jsonl', record('1700000000.5'))
    await put(`_dlt_version/api__1700000000.7__${hash}.jsonl`, {
      version_hash: old.version_hash,
      schema_name: 'api',
      version: old.version,
      engine_version: 11,
      inserted_at: time,
      schema: schemaText(old),
    })
    await put(`_dlt_pipeline_state/p__1700000000.5__${hash}.jsonl`, {
      version: 4,
      engine_version: 4,
      pipeline_name: 'p',
      state: encodeState(testState(4, 'dlt')),
      created_at: time,
      version_hash: 'hash-4',
      _dlt_load_id: '1700000000.5',
    })
    const row =
      '{"id":1,"at":"2024-01-02T03:04:05.678901+00:00","price":"1.5","_dlt_load_id":"1700000000.5","_dlt_id":"a"}'
    await put('orders/1700000000.5.0123456789.jsonl', `${row}\n`)
    // Of a load that dlt did not finish.
    await put('orders/1700000001.5.0123456789.jsonl', `${row}\n`)
    await withConnection(files({ path: folder }), async connection => {
      expect(await connection.committed('p', 'api')).toMatchObject({
        loadId: '1700000000.5',
        state: testState(4, 'dlt'),
      })
      expect(await connection.count('orders')).toBe(1)
      expect(await rowsOf(connection, 'orders', ['id', 'at', 'price'])).toEqual([
        { id: '1n', at: '2024-01-02T03:04:05.678Z', price: '1.500000000' },
      ])
      await runLoad(connection, old, { loadId: '1700000002.5', records: ids(2), tables: APPEND })
      expect(await rowsOf(connection, 'orders', ['id'])).toEqual([{ id: '1n' }, { id: '2n' }])
      expect(await connection.count('orders')).toBe(2)
      await runLoad(connection, old, { loadId: '1700000003.5', records: ids(3), tables: REPLACE })
      expect(await rowsOf(connection, 'orders', ['id'])).toEqual([{ id: '3n' }])
    })
    expect((await tree(folder)).filter(name => name.includes('orders/1700000000.5.'))).toEqual([])
    // dlt again: it replaces the table by deleting files.
    await rm(join(dataset, 'orders'), { recursive: true })
    await put('orders/1700000004.5.0123456789.jsonl', `${row}\n`)
    await put('_dlt_loads/api__1700000004.5.jsonl', record('1700000004.5'))
    await withConnection(files({ path: folder }), async connection =>
      expect(await rowsOf(connection, 'orders', ['id'])).toEqual([{ id: '1n' }]),
    )
  })

  test('names files with every placeholder', () => {
    const values = {
      tableName: 'orders',
      schemaName: 'api',
      loadId: '1704067200.25',
      fileId: 'f1',
      ext: 'csv.gz',
      at: 1_709_305_445_678_901n,
    }
    const text =
      '{schema_name}/{table_name}/{YYYY}-{MM}-{DD}_{HH}{mm}{ss}_{YY}{M}{D}{H}{m}{s}_{MMMM}_{MMM}_{dddd}_{ddd}_{Q}/{curr_date}/{timestamp}_{timestamp_ms}_{load_package_timestamp}_{load_package_timestamp_ms}/{owner}/{load_id}.{file_id}.{ext}'
    const { key, pattern } = layout(text, { owner: 'me/../you' })
    const made = key(values)
    expect(made).toBe(
      'api/orders/2024-03-01_150405_243115' +
        '45_march_mar_friday_fri_1/2024-03-01/1709305445_1709305445678_1704067200_1704067200250/me%2F..%2Fyou/1704067200.25.f1.csv.gz',
    )
    expect(pattern('orders', 'api').exec(made)?.groups).toEqual({ loadId: '1704067200.25', ext: 'csv.gz' })
    expect(pattern('order', 'api').test(made)).toBe(false)
  })

  test.each([
    ['{table_name}/{file_id}.{ext}', /needs \{load_id\}/],
    ['{table_name}/{load_id}.{file_id}.{day}', /no placeholder \{day\}/],
    ['../{table_name}/{load_id}.{file_id}', /relative folders/],
    ['/{table_name}/{load_id}.{file_id}', /relative folders/],
    ['a/../{table_name}/{load_id}.{file_id}', /relative folders/],
    ['{table_name}//{load_id}.{file_id}', /relative folders/],
    ['{table_name}/{load_id}.{file_id}/', /relative folders/],
  ])('%s is refused', (text, message) => {
    expect(() => files({ path: '.', layout: text })).toThrow(message)
  })
})

describe('names that want to go elsewhere', () => {
  test('stay in the folder', async () => {
    const folder = join(freshFolder(), 'inner')
    const names = [
      '../../escaped',
      '..',
      '.',
      '/abs',
      'a\\..\\b',
      'init',
      'nul\u0000l',
      ' ',
      'x'.repeat(400),
      'C:',
      '~root',
    ]
    const tables = testSchema(Object.fromEntries(names.map(name => [name, { columns: { id: 'bigint' } }])), '../s')
    await withConnection(
      files({ path: folder }),
      async connection => {
        await runLoad(connection, tables, {
          loadId: '1.1',
          pipeline: '../../p',
          records: Object.fromEntries(names.map(name => [name, [{ id: 1 }]])),
          tables: names.map(table => ({ table, disposition: 'append' as const })),
          state: testState(1, 'a', '../../p'),
        })
        for (const name of names) expect(await connection.count(name)).toBe(1)
        expect((await connection.committed('../../p', '../s'))?.state).toEqual(testState(1, 'a', '../../p'))
      },
      '../../dataset',
    )
    expect(await readdir(join(folder, '..'))).toEqual(['inner'])
    expect(await readdir(folder)).toEqual(['%2E.%2F..%2Fdataset'])
    expect(await tree(folder)).toHaveLength(names.length + 4)
  })

  test('are different segments for different names, never `.` or `..`, never too long', () => {
    const wellFormed = fc.string({ unit: 'binary', maxLength: 300 }).map(text => text.normalize('NFC'))
    fc.assert(
      fc.property(wellFormed, wellFormed, (one, two) => {
        const [a, b] = [segment(one), segment(two)]
        expect(a === b).toBe(one === two)
        expect(a).not.toMatch(/^\.|[/\\:*?"<>|]|\0|^init$/)
        expect(Buffer.byteLength(a)).toBeLessThanOrEqual(120)
      }),
      {
        examples: [
          ['%2F', '/'],
          ['.', '%2E'],
        ],
      },
    )
  })

  test('are refused by the storage itself', async () => {
    const storage = localStorage(freshFolder())
    for (const key of ['../x', '/etc/x', 'a/../../x', 'a\0b'])
      await expect(storage.put(key, Buffer.from('x'))).rejects.toMatchObject({ code: 'destination' })
  })
})

describe('other readers', () => {
  const types = testSchema({
    items: {
      columns: {
        t: 'text',
        i: 'bigint',
        d: 'double',
        b: 'bool',
        ts: 'timestamp',
        local: { data_type: 'timestamp', timezone: false },
        day: 'date',
        at: 'time',
        bin: 'binary',
        j: 'json',
        dec: { data_type: 'decimal', precision: 12, scale: 2 },
      },
    },
  })
  const record = {
    t: 'a"b\n,ż',
    i: 2n ** 63n - 1n,
    d: 1,
    b: true,
    ts: '2024-01-02T03:04:05.678901Z',
    local: '2024-01-02T03:04:05Z',
    day: '2024-02-29',
    at: '03:04:05.5',
    bin: Uint8Array.of(0, 255),
    j: '{"a":[1.10,\n12345678901234567890]}',
    dec: '-1234.50',
    _dlt_id: 'x',
  }
  const write = async (options: Omit<FilesOptions, 'path'>): Promise<string> => {
    const folder = freshFolder()
    await withConnection(files({ path: folder, ...options }), connection =>
      runLoad(connection, types, {
        loadId: '1.1',
        records: { items: [record, { t: '', _dlt_id: 'y' }] },
        tables: [{ table: 'items', disposition: 'append' }],
      }),
    )
    const name = (await tree(folder)).find(path => path.startsWith('api_data/items/'))
    return join(folder, name ?? '')
  }

  test('find NDJSON as dlt writes it', async () => {
    const lines = gunzipSync(await readFile(await write({ format: 'jsonl' }))).toString()
    expect(lines).toBe(
      '{"t":"a\\"b\\n,ż","i":9223372036854775807,"d":1.0,"b":true,"ts":"2024-01-02T03:04:05.678901+00:00","local":"2024-01-02T03:04:05","day":"2024-02-29","at":"03:04:05.500000","bin":"AP8=","j":{"a":[1.10, 12345678901234567890]},"dec":"-1234.50","_dlt_load_id":"1.1","_dlt_id":"x"}\n' +
        '{"t":"","_dlt_load_id":"1.1","_dlt_id":"y"}\n',
    )
  })

  test('find CSV in which null and the empty text differ', async () => {
    const path = await write({ format: 'csv', compression: 'none' })
    expect(await readFile(path, 'utf8')).toBe(
      't,i,d,b,ts,local,day,at,bin,j,dec,_dlt_load_id,_dlt_id\n'.replace(
        /\b(t|bin|j|_dlt_load_id|_dlt_id)\b/g,
        '"$1"',
      ) +
        '"a""b\n,ż",9223372036854775807,1.0,true,2024-01-02 03:04:05.678901+00:00,2024-01-02 03:04:05,2024-02-29,03:04:05.500000,"AP8=","{""a"":[1.10,\n12345678901234567890]}",-1234.50,"1.1","x"\n' +
        '"",,,,,,,,,,,"1.1","y"\n',
    )
  })

  test.each([
    ['parquet', 'zstd', 'read_parquet', '.parquet', 'ZSTD'],
    ['parquet', 'snappy', 'read_parquet', '.parquet', 'SNAPPY'],
    ['jsonl', 'zstd', 'read_json', '.jsonl.zst', undefined],
    ['csv', 'gzip', 'read_csv', '.csv.gz', undefined],
  ] as const)('read %s with %s', async (format, compression, reader, extension, codec) => {
    const path = await write({ format, compression })
    expect(path.endsWith(extension)).toBe(true)
    const [row] = await query(
      `SELECT t, i::BIGINT AS i, ts::TIMESTAMPTZ AS ts, dec::DECIMAL(12,2) AS dec FROM ${reader}('${path}') WHERE b::BOOLEAN`,
    )
    expect(row).toEqual({ t: record.t, i: String(record.i), ts: '2024-01-02 03:04:05.678901+00', dec: '-1234.50' })
    if (codec === undefined) return
    const metadata = await parquetMetadataAsync(await asyncBufferFromFile(path))
    expect(metadata.row_groups[0]?.columns[0]?.meta_data?.codec).toBe(codec)
  })

  test('find old and new files in one table after the format was changed', async () => {
    const folder = freshFolder()
    for (const [index, format] of (['parquet', 'jsonl', 'csv'] as const).entries()) {
      await withConnection(files({ path: folder, format }), connection =>
        runLoad(connection, schema, { loadId: `1.${index + 1}`, records: ids(index), tables: APPEND }),
      )
    }
    await withConnection(files({ path: folder }), async connection =>
      expect(await rowsOf(connection, 'orders', ['id'])).toEqual([{ id: '0n' }, { id: '1n' }, { id: '2n' }]),
    )
  })
})

describe('a reader beside a load', () => {
  test('keeps what it began with while the table is replaced', async () => {
    const folder = freshFolder()
    await using writer = await files({ path: folder }).connect('api_data')
    await using reader = await files({ path: folder }).connect('api_data')
    const many = Array.from({ length: 5000 }, (_, id) => id)
    await runLoad(writer, schema, { loadId: '1.1', records: ids(...many), tables: APPEND })
    const rows = reader.read({ table: 'orders', columns: ['id'], batchRows: 10 })
    let seen = (await rows.next()).value?.length ?? 0
    await runLoad(writer, schema, { loadId: '1.2', records: ids(1), tables: REPLACE })
    for await (const batch of rows) seen += batch.length
    expect(seen).toBe(5000)
    expect(await reader.count('orders')).toBe(1)
    expect((await tree(folder)).filter(name => name.includes('/orders/'))).toHaveLength(1)
  })

  test('is told which table misses files that something else removed', async () => {
    const folder = freshFolder()
    await withConnection(files({ path: folder }), async connection => {
      await runLoad(connection, schema, { loadId: '1.1', records: ids(1), tables: APPEND })
      await rm(join(folder, 'api_data', 'orders'), { recursive: true })
      await expect(rowsOf(connection, 'orders')).rejects.toThrow(/Files of table orders are missing/)
    })
  })
})

describe('a process that ends', () => {
  const start = (folder: string, loadId: string, disposition: string, moment: string): ChildProcess => {
    const script = fileURLToPath(new URL('./processes/loadFiles.ts', import.meta.url))
    return spawn(process.execPath, ['--import', 'tsx', script, folder, loadId, disposition, moment], {
      cwd: fileURLToPath(new URL('../..', import.meta.url)),
      stdio: ['pipe', 'pipe', 'inherit'],
    })
  }
  const ended = async (child: ChildProcess): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  }
  const loadedOnce = async (folder: string): Promise<string[]> => {
    await withConnection(files({ path: folder }), connection =>
      runLoad(connection, schema, { loadId: '1.1', records: ids(1), tables: APPEND, state: testState(1, '1.1') }),
    )
    return await tree(folder)
  }

  test('between the files and the record leaves the dataset as it was; the next load clears up', async () => {
    const folder = freshFolder()
    const untouched = await loadedOnce(folder)
    await ended(start(folder, '1.2', 'replace', 'before record'))
    expect((await tree(folder)).length).toBeGreaterThan(untouched.length)
    await withConnection(files({ path: folder }), async connection => {
      expect(await connection.hasLoad('1.2')).toBe(false)
      expect(await rowsOf(connection, 'orders', ['id'])).toEqual([{ id: '1n' }])
      expect((await connection.committed('p', 'api'))?.state).toEqual(testState(1, '1.1'))
      await (await connection.begin({ loadId: '1.2', pipeline: 'p' })).abort()
      expect(await tree(folder)).toEqual(untouched)
      await runLoad(connection, schema, { loadId: '1.2', records: ids(12), tables: REPLACE })
      expect(await rowsOf(connection, 'orders', ['id'])).toEqual([{ id: '12n' }])
    })
  })

  test('after the record has committed; the next load removes what was replaced', async () => {
    const folder = freshFolder()
    await loadedOnce(folder)
    await ended(start(folder, '1.2', 'replace', 'after record'))
    expect((await tree(folder)).filter(name => name.includes('/orders/'))).toHaveLength(2)
    await withConnection(files({ path: folder }), async connection => {
      expect(await connection.hasLoad('1.2')).toBe(true)
      expect(await rowsOf(connection, 'orders', ['id'])).toEqual([{ id: '12n' }])
      await (await connection.begin({ loadId: '1.3', pipeline: 'p' })).abort()
      expect((await tree(folder)).filter(name => /orders|intents/.test(name))).toHaveLength(1)
    })
  })

  test.each(['before announcement', 'after announcement', 'before checkpoint', 'after checkpoint', 'before removal'])(
    'around a checkpoint (%s) has committed, and the next load sees every other',
    async moment => {
      const folder = freshFolder()
      const load = async (from: number, to: number): Promise<void> => {
        await withConnection(files({ path: folder }), async connection => {
          for (let number = from; number <= to; number++)
            await runLoad(connection, schema, { loadId: `1.${100 + number}`, records: ids(number), tables: APPEND })
        })
      }
      await load(1, 24)
      const child = start(folder, '1.125', 'append', moment)
      await ended(child)
      expect(child.signalCode).toBe('SIGKILL')
      const counts = async (): Promise<[boolean, number]> =>
        await withConnection(files({ path: folder }), async connection => [
          await connection.hasLoad('1.125'),
          await connection.count('orders'),
        ])
      expect(await counts()).toEqual([true, 25])
      await load(26, 55)
      expect(await counts()).toEqual([true, 55])
      const left = (await tree(folder)).filter(name => /checkpoints|intents|staging/.test(name))
      expect(left).toEqual([expect.stringMatching(/_sluice_checkpoints\/\d+\.json$/)])
    },
  )

  test.each([
    ['after it has sent its files', 'pause before record'],
    ['before it has any row', 'pause at begin'],
  ])('never commits beside another one, not even %s', async (_, moment) => {
    const folder = freshFolder()
    await loadedOnce(folder)
    const child = start(folder, '1.2', 'append', moment)
    const said = createInterface({ input: child.stdout as Readable })[Symbol.asyncIterator]()
    expect((await said.next()).value).toBe('paused')
    await withConnection(files({ path: folder }), connection =>
      runLoad(connection, schema, { loadId: '1.3', records: ids(13), tables: APPEND }),
    )
    child.stdin?.end()
    expect((await said.next()).value).toBe('destination_locked')
    await ended(child)
    await withConnection(files({ path: folder }), async connection => {
      expect(await rowsOf(connection, 'orders', ['id'])).toEqual([{ id: '13n' }, { id: '1n' }])
      expect(await connection.hasLoad('1.2')).toBe(false)
    })
    expect((await tree(folder)).filter(name => name.includes('/orders/'))).toHaveLength(2)
  })
})

test('a load that is stopped while it commits leaves nothing', async () => {
  const folder = freshFolder()
  const controller = new AbortController()
  await using connection = await files({ path: folder }).connect('api_data', controller.signal)
  await runLoad(connection, schema, { loadId: '1.1', records: ids(1), tables: APPEND })
  const untouched = await tree(folder)
  const failing = runLoad(connection, schema, { loadId: '1.2', records: ids(2), tables: APPEND })
  controller.abort(new Error('enough'))
  await expect(failing).rejects.toThrow('enough')
  expect(await tree(folder)).toEqual(untouched)
})

describe('a place that cannot be used', () => {
  test('is named with what to do', async () => {
    const file = freshFolder()
    await writeFile(file, 'x')
    await withConnection(files({ path: file }), async connection => {
      const failing = runLoad(connection, schema, { loadId: '1.1', records: ids(1), tables: APPEND })
      await expect(failing).rejects.toMatchObject({
        code: 'destination',
        message: expect.stringMatching(/there is a file where a folder is needed/),
      })
    })
  })

  test('refuses a layout version of the future and merges', async () => {
    const folder = freshFolder()
    await mkdir(join(folder, 'api_data'), { recursive: true })
    await writeFile(join(folder, 'api_data', 'init'), '{"initial_version":3,"current_version":3}')
    await withConnection(files({ path: folder }), async connection => {
      const load = { loadId: '1.1', records: ids(1) }
      await expect(runLoad(connection, schema, { ...load, tables: APPEND })).rejects.toThrow(/newer tool/)
      const merge = [{ table: 'orders', disposition: 'merge', strategy: 'upsert' }] as const
      await expect(runLoad(connection, schema, { ...load, tables: merge })).rejects.toThrow(
        /cannot be merged: files are/,
      )
    })
  })

  test('states of a pipeline beyond a hundred go', async () => {
    const folder = freshFolder()
    await withConnection(files({ path: folder }), async connection => {
      for (let load = 1; load <= 103; load++) {
        const loadId = `${1000 + load}.5`
        await runLoad(connection, schema, { loadId, tables: [], state: testState(load, loadId) })
      }
      expect(await connection.count('_dlt_pipeline_state')).toBe(100)
      expect((await connection.committed('p', 'api'))?.state?._state_version).toBe(103)
    })
  })
})
