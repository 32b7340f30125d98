import { readdir, stat } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { type Destination, duckdb, files, pipeline, restApi } from '../../src/index.js'
import { offsetPage, testApi, testFolder } from '../pipeline/api.js'

const ROWS = Array.from({ length: 12_000 }, (_, id) => ({ id, name: `name ${id}`, parts: [{ part: id }] }))

/** Everything in a folder that ever was there, with its modes. Looks at it again and again. */
function watched(root: string) {
  const modes = new Map<string, number>()
  const look = async (folder = root): Promise<void> => {
    for (const entry of await readdir(folder, { withFileTypes: true }).catch(() => [])) {
      const path = join(folder, entry.name)
      const found = await stat(path).catch(() => undefined)
      // What is gone again was seen by the name that it had before.
      if (found === undefined) continue
      modes.set(relative(root, path), found.mode & 0o777)
      if (found.isDirectory()) await look(path)
    }
  }
  return { modes, look }
}

/** One append and one replace by this destination, and everything that was seen on the disk. */
async function seenOf(umask: number, destinationIn: (folder: string) => Destination) {
  const before = process.umask(umask)
  onTestFinished(() => void process.umask(before))
  const folder = await testFolder()
  const { modes, look } = watched(folder)
  const api = await testApi(async url => {
    await look()
    return offsetPage(ROWS, url)
  })
  for (const write_disposition of ['append', 'replace'] as const) {
    const shop = pipeline({
      name: 'shop',
      source: restApi(
        {
          client: { base_url: api.url, paginator: { type: 'offset', limit: 5000 } },
          resources: [{ name: 'items', write_disposition }],
        },
        { env: {} },
      ),
      destination: destinationIn(folder),
      home: join(folder, 'home'),
      schema: { export: join(folder, 'schemas') },
    })
    const looks: Promise<void>[] = []
    await shop.run({ keepJournal: true, concurrency: 1, onEvent: () => void looks.push(look()) })
    await Promise.all(looks)
    await look()
  }
  return modes
}

const OWN = /(^home|\.staging|\.sluice-staging|^stage)(\/|$)/

describe.skipIf(process.platform === 'win32')('with umask', () => {
  const kinds: readonly (readonly [string, (folder: string) => Destination])[] = [
    ['DuckDB', folder => duckdb(join(folder, 'shop.duckdb'))],
    [
      'DuckDB that stages elsewhere',
      folder => duckdb({ path: join(folder, 'shop.duckdb'), stagingDir: join(folder, 'stage') }),
    ],
    ['Parquet', folder => files({ path: join(folder, 'lake') }, {})],
    ['lines of JSON', folder => files({ path: join(folder, 'lake'), format: 'jsonl' }, {})],
    [
      'CSV that is staged elsewhere',
      folder => files({ path: join(folder, 'lake'), format: 'csv', stagingDir: join(folder, 'stage') }, {}),
    ],
  ]
  const cases = kinds.flatMap(([kind, destination]) => [0o000, 0o027].map(umask => [umask, kind, destination] as const))

  test.each(cases)('%i, nobody else reaches what a run stages, records or locks: %s', async (umask, _, destination) => {
    const modes = await seenOf(umask, destination)
    const isClosed = (path: string): boolean => {
      const mode = modes.get(path)
      if (mode !== undefined && (mode & 0o077) === 0) return true
      // Inside a folder that only its user may enter the mode of a file opens it to nobody.
      const parts = path.split('/').slice(0, -1)
      return parts.some((_part, index) => ((modes.get(parts.slice(0, index + 1).join('/')) ?? 0o777) & 0o077) === 0)
    }
    const own = [...modes.keys()].filter(path => OWN.test(path))
    expect(own.filter(path => !isClosed(path))).toEqual([])
    expect(own.filter(path => /lock\.json|responses\.warc|\d\.parquet$/.test(path)).length).toBeGreaterThan(3)
    const shared = [...modes].filter(([path]) => !OWN.test(path))
    const opened = (path: string): number => (/\.\w+$|\/init$/.test(path) ? 0o666 : 0o777) & ~umask
    expect(shared.filter(([path, mode]) => mode !== opened(path))).toEqual([])
    expect(shared.length).toBeGreaterThan(1)
  })
})
