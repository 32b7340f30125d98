import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { duckdb, pipeline, type RestApiConfig, type RunEvent, restApi } from '../../src/index.js'
import { systemFiles } from '../../src/journal/journal.js'
import type { PipelineOptions } from '../../src/pipeline/pipeline.js'
import { offsetPage, testApi, testFolder } from './api.js'

const refuse = async (path: string): Promise<never> => {
  throw Object.assign(new Error(`EACCES: permission denied, ${path}`), { code: 'EACCES' })
}

/** What goes wrong behind a commit: how the pipeline is made to meet it, and what the warning says. */
const mishaps: readonly (readonly [
  what: string,
  change: (options: PipelineOptions) => Partial<PipelineOptions>,
  says: RegExp,
])[] = [
  [
    'a source that cannot be closed',
    ({ source }) => ({
      source: {
        ...source,
        close: async () => {
          await source.close()
          throw new Error('the pool is stuck')
        },
      },
    }),
    /its source could not be closed: the pool is stuck/,
  ],
  [
    'a destination that cannot be closed',
    ({ destination }) => ({
      destination: {
        ...destination,
        async connect(dataset, signal) {
          const connection = await destination.connect(dataset, signal)
          return {
            ...connection,
            async [Symbol.asyncDispose]() {
              await connection[Symbol.asyncDispose]()
              throw new Error('the socket is gone')
            },
          }
        },
      },
    }),
    /its destination could not be closed: the socket is gone/,
  ],
  [
    'a journal that cannot be removed',
    () => ({
      files: {
        ...systemFiles,
        remove: path => (path.endsWith('.gone') ? refuse(path) : systemFiles.remove(path)),
      },
    }),
    /its journal could not be removed: .*no right/,
  ],
  [
    'a lock that cannot be released',
    () => ({
      files: {
        ...systemFiles,
        remove: path => (path.endsWith('lock.json') ? refuse(path) : systemFiles.remove(path)),
      },
    }),
    /its lock could not be released/,
  ],
]

async function optionsOf(): Promise<PipelineOptions & { readonly home: string }> {
  const api = await testApi(url => offsetPage([{ id: 1 }, { id: 2 }, { id: 3 }], url))
  const folder = await testFolder()
  const config = {
    client: { base_url: api.url, paginator: { type: 'offset' as const, limit: 2 } },
    resources: ['items'],
  } satisfies RestApiConfig
  return {
    name: 'test',
    source: restApi(config, { env: {} }),
    destination: duckdb(join(folder, 'test.duckdb')),
    home: join(folder, 'home'),
  }
}

test.each(mishaps)('%s makes a warning of a run that has committed, and no failure', async (what, change, says) => {
  const isLocked = what.startsWith('a lock')
  const options = await optionsOf()
  const events: RunEvent[] = []
  const result = await pipeline({ ...options, ...change(options) }).run({ onEvent: event => events.push(event) })
  expect(result.rows).toEqual({ items: 3 })
  expect(events).toContainEqual({ type: 'warning', code: 'other', message: expect.stringMatching(says) })
  expect(events.map(({ type }) => type)).not.toContain('run_failed')
  if (!isLocked) {
    expect(existsSync(join(options.home, 'test/lock.json'))).toBe(false)
    // A load of its own, and not the first one taken for unfinished.
    expect((await pipeline(options).run()).loadId).not.toBe(result.loadId)
    expect(await readdir(join(options.home, 'test/loads'))).toEqual([])
  }
  expect(await pipeline(options).dataset().table('items').count()).toBe(isLocked ? 3 : 6)
})

test.each([
  [
    'throws',
    () => {
      throw new Error('the log is full')
    },
  ],
  ['rejects', async () => Promise.reject(new Error('the log is full'))],
])('a listener that %s at every event does not end the run, and the process warns once', async (_, onEvent) => {
  const warnings: string[] = []
  const hear = (warning: Error): void => void warnings.push(warning.message)
  process.on('warning', hear)
  onTestFinished(() => void process.off('warning', hear))
  const options = await optionsOf()
  const result = await pipeline(options).run({ onEvent })
  expect(result.rows).toEqual({ items: 3 })
  await expect.poll(() => warnings).toEqual([expect.stringContaining('the run goes on: the log is full')])
})

test('the failure of a run is what is told, whatever else fails behind it; the lock is released', async () => {
  const options = await optionsOf()
  const { source } = options
  const failing = pipeline({
    ...options,
    source: {
      ...source,
      async close() {
        await source.close()
        throw new Error('the pool is stuck')
      },
    },
  })
  const signal = AbortSignal.abort(new Error('enough'))
  await expect(failing.run({ signal })).rejects.toThrow('enough')
  expect(existsSync(join(options.home, 'test/lock.json'))).toBe(false)
})

test('the journal goes when everything else is closed, and at once', async () => {
  const options = await optionsOf()
  const loads = join(options.home, 'test/loads')
  const seen: [what: string, loads: readonly string[]][] = []
  const look = async (what: string): Promise<void> => {
    seen.push([what, (await readdir(loads)).map(name => name.replace(/^[\d.]+\d/, 'load'))])
  }
  const { source, destination } = options
  await pipeline({
    ...options,
    source: {
      ...source,
      async close() {
        await source.close()
        await look('source closed')
      },
    },
    destination: {
      ...destination,
      async connect(dataset, signal) {
        const connection = await destination.connect(dataset, signal)
        return {
          ...connection,
          async [Symbol.asyncDispose]() {
            await connection[Symbol.asyncDispose]()
            await look('destination closed')
          },
        }
      },
    },
    files: {
      ...systemFiles,
      async rename(from, to) {
        await systemFiles.rename(from, to)
        await look('renamed')
      },
      async remove(path) {
        await systemFiles.remove(path)
        if (path.endsWith('lock.json')) await look('lock released')
      },
    },
  }).run()
  expect(seen).toEqual([
    ['destination closed', ['load']],
    ['source closed', ['load']],
    ['renamed', ['load.gone']],
    ['lock released', []],
  ])
})

test('a run that lost its lock while it stood still commits nothing, and leaves the lock to whoever has it', async () => {
  const options = await optionsOf()
  const path = join(options.home, 'test/lock.json')
  const other = JSON.stringify({ pid: 7, host: 'elsewhere', startedAt: 'today', id: 'other' })
  const run = pipeline(options).run({
    onEvent({ type }) {
      if (type !== 'page') return
      rmSync(path)
      writeFileSync(path, other)
    },
  })
  await expect(run).rejects.toMatchObject({
    code: 'destination_locked',
    message: expect.stringContaining('process 7 on elsewhere has it now'),
  })
  expect(readFileSync(path, 'utf8')).toBe(other)
  expect(await pipeline(options).dataset().tables()).toEqual([])
})

test.skipIf(process.platform === 'win32')('what a run writes for itself is for its user alone', async () => {
  const options = await optionsOf()
  const modes: Record<string, number> = {}
  await pipeline(options).run({
    onEvent({ type }) {
      if (type !== 'committing') return
      for (const root of [options.home, `${dirname(options.home)}/test.duckdb.staging`]) {
        for (const name of ['', ...(readdirSync(root, { recursive: true }) as string[])]) {
          const { mode } = statSync(join(root, name))
          modes[join(root, name)] = mode & 0o777
        }
      }
    },
  })
  expect(Object.keys(modes).length).toBeGreaterThan(6)
  for (const [path, mode] of Object.entries(modes)) {
    expect(mode.toString(8), path).toBe(modeOf(path))
  }
})

/** By its name, for the file is gone by now. */
function modeOf(path: string): string {
  return /\.(json|warc|parquet)$/.test(path) ? '600' : '700'
}
