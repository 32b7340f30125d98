import { spawn, spawnSync } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type DemoApi, startDemoApi } from '../../demo/server.js'

/**
 * A disk that is really full: a small file system in memory, mounted where only the command sees it. Linux lets
 * everybody do that in a user namespace; where an administrator or a container forbids it, there is nothing to test with.
 */
const IN_NAMESPACE = ['-U', '-r', '-m']
const canMount = spawnSync('unshare', [...IN_NAMESPACE, 'mount', '-t', 'tmpfs', 'none', tmpdir()]).status === 0

const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))
const flags = fileURLToPath(new URL('../../examples/feature_flags.yaml', import.meta.url))

/** Runs while the disk has `$ROOM` bytes left, as often as `$PARTS` says, and after the ballast is gone. */
const SCRIPT = `
exec 2>&1
mount -t tmpfs -o size=8m none "$DISK"
head -c $((8 * 1024 * 1024 - ROOM)) /dev/zero > "$DISK/ballast"
for part in $PARTS; do
  if [ $part = freed ]; then rm "$DISK/ballast"; fi
  "$NODE" "$MAIN" run flags.yaml --concurrency 1 --destination "$DESTINATION"
  echo "exit code $?"
  "$NODE" "$MAIN" show flags.yaml --destination "$DESTINATION"
  echo "$SEPARATOR"
done
`
const SEPARATOR = '-- next --'

let folder: string
let api: DemoApi

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-disk-'))
  await mkdir(join(folder, 'disk'))
  // Files cannot be merged.
  const document = (await readFile(flags, 'utf8')).replace('write_disposition: merge', 'write_disposition: append')
  await writeFile(join(folder, 'flags.yaml'), document)
  api = await startDemoApi({ apiKey: 'demo-key', records: { featureFlags: 430 } })
})
afterEach(async () => {
  await api.close()
  await rm(folder, { recursive: true, force: true })
})

interface Setting {
  readonly home: string
  readonly destination: string
  readonly roomBytes: number
  readonly parts: readonly ('full' | 'still full' | 'freed')[]
}

/** What each run prints, and `sluice show` after it. */
async function runs({ home, destination, roomBytes, parts }: Setting): Promise<readonly string[]> {
  const { PATH = '' } = process.env
  const child = spawn('unshare', [...IN_NAMESPACE, 'sh', '-c', SCRIPT], {
    cwd: folder,
    env: {
      PATH,
      API_KEY: 'demo-key',
      DEMO_API_URL: api.url,
      SLUICE_HOME: home,
      DISK: 'disk',
      ROOM: String(roomBytes),
      PARTS: parts.map(part => part.replace(' ', '_')).join(' '),
      NODE: process.execPath,
      MAIN: main,
      DESTINATION: destination,
      SEPARATOR,
    },
  })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text
  })
  await new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  return output.split(SEPARATOR)
}

describe.skipIf(!canMount)('a full disk (ENOSPC of a file system of 8 MB)', () => {
  it('of the journal: a clear error, the destination untouched, the pages kept, and the next run resumes', async () => {
    const [full = '', stillFull = '', freed = ''] = await runs({
      home: 'disk/home',
      destination: 'duckdb:flags.duckdb',
      roomBytes: 96 * 1024,
      parts: ['full', 'still full', 'freed'],
    })
    for (const part of [full, stillFull]) {
      expect(part).toMatch(/the journal .* cannot be written: the disk is full; free some space and run again/)
      expect(part).toContain('exit code 1')
      expect(part).toContain('no tables yet')
    }
    const kept = Number(/resuming after (\d+) pages? of an interrupted run/.exec(freed)?.[1])
    expect(kept).toBeGreaterThan(0)
    expect(freed).toMatch(/feature_flags\s+complete\s+\d+\s+0\s+5\s+430\s+430/)
    expect(freed).toMatch(/^_dlt_loads\s+1$/m)
    const repeated = api.requests.filter(({ offset }) => offset < kept * 100)
    expect(repeated, 'pages that the journal has are not asked for again').toHaveLength(kept)
  }, 60_000)

  it.each([
    ['DuckDB', 'duckdb:disk/flags.duckdb'],
    ['files', 'files:disk/flags'],
  ])(
    'of %s: a clear error, nothing committed, and the next run asks for nothing',
    async (_name, destination) => {
      const [full = '', freed = ''] = await runs({
        home: 'home',
        destination,
        roomBytes: 64 * 1024,
        parts: ['full', 'freed'],
      })
      expect(full).toMatch(/error: .*No space left/)
      expect(full).toContain('exit code 1')
      expect(full).not.toMatch(/^feature_flags\s+\d/m)
      expect(freed).toContain('resuming after 5 pages of an interrupted run')
      expect(freed).toMatch(/feature_flags\s+complete\s+0\s+0\s+5\s+430\s+430/)
      expect(freed).toMatch(/^_dlt_loads\s+1$/m)
      expect(api.requests).toHaveLength(5)
    },
    60_000,
  )
})
