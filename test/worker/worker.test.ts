import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import { loadPipelineFile, type Notice } from '../../src/index.js'
import { RestateServer } from '../../src/worker/restateServer.js'
import { startWorker } from '../../src/worker/startWorker.js'
import { startPostgres } from '../destinations/postgresServer.js'
import { testApi } from '../pipeline/api.js'
import { between, hourlyVisits, jsonApi } from '../pipeline/hourlyVisits.js'
import { ENCODERS, traces } from '../security/spellings.js'
import { freePort, type Restate, root, startRestate, startWorkerOf, startWorkerProcess } from './restate.js'

vi.setConfig({ testTimeout: 240_000, hookTimeout: 120_000 })

let restate: Restate
beforeAll(async () => {
  restate = await startRestate()
})
afterAll(() => restate.close())

async function pipelineFile(name: string, text: string): Promise<string> {
  await writeFile(join(restate.folder, `${name}.yaml`), text)
  return `${name}.yaml`
}

async function rowsOf(file: string, table: string): Promise<readonly unknown[]> {
  const { pipelines } = await loadPipelineFile(join(restate.folder, file))
  const [only] = pipelines
  return (await only?.dataset().table(table).orderBy('id').rows()) ?? []
}

/** A worker of these files; it ends with the test. */
async function worker(...args: readonly string[]) {
  const started = startWorkerProcess(restate, ...(args.includes('--port') ? args : [...args, '--port', '0']))
  onTestFinished(() => started.kill('SIGKILL'))
  await started.says('Ctrl-C ends it')
  return started
}

/** Lets files of the folder import the library. */
async function withLibrary(): Promise<void> {
  await mkdir(join(restate.folder, 'node_modules'), { recursive: true })
  await symlink(root, join(restate.folder, 'node_modules', 'sluice'), 'dir').catch(() => {})
}

const PAGE = 2
const SHOPS = Array.from({ length: 5 }, (_, id) => ({ id, city: `city ${id}` }))
const shopPage = (query: URLSearchParams): unknown => {
  const offset = Number(query.get('offset'))
  return { items: SHOPS.slice(offset, offset + PAGE), total: SHOPS.length }
}
const shops = (name: string, url: string, more = ''): Promise<string> =>
  pipelineFile(
    name,
    `${more}client:
  base_url: ${url}
  paginator: { type: offset, limit: ${PAGE}, total_path: total }
resources:
  - { name: shops, primary_key: id, write_disposition: append, endpoint: { data_selector: items } }
`,
  )

describe('notices of a job', () => {
  /** A worker of this process, whose attempts follow each other soon. */
  async function quickWorker(file: string): Promise<void> {
    const started = await startWorker({
      files: [join(restate.folder, file)],
      server: new RestateServer(restate.admin),
      attempts: 3,
      retryDelayMs: 20,
      now: 0,
    })
    onTestFinished(() => started.close())
  }

  async function receiver() {
    const bodies: string[] = []
    const { url } = await testApi(async (_, request) => {
      bodies.push(await text(request))
      return { json: {} }
    })
    return { url, notices: () => bodies.map(body => JSON.parse(body) as Notice) }
  }

  const everything = (url: string): string =>
    `notify: [{ on: [failure, incomplete, drift, success], webhook: ${url} }]\n`

  it('of a run are one, whatever its attempts: that it failed, with what the last attempt read', async () => {
    const hook = await receiver()
    let requests = 0
    const url = await jsonApi((query, response) => {
      requests += 1
      if (query.get('offset') === '0') return shopPage(query)
      response.writeHead(500).end()
      return undefined
    })
    const file = await shops('failing', url, everything(hook.url))
    const retry = 'client:\n  retry: { attempts: 1 }'
    const path = join(restate.folder, file)
    await writeFile(path, (await readFile(path, 'utf8')).replace('client:', retry))
    await quickWorker(file)
    expect(await restate.sluice('submit', file, '--wait')).toMatchObject({ exitCode: 1 })
    expect(requests).toBeGreaterThanOrEqual(3)
    expect(hook.notices()).toMatchObject([
      { work: 'run', occasions: ['failure'], error: { code: 'http_status', message: expect.stringContaining('500') } },
    ])
  })

  it('of a run that a later attempt does are one: that it succeeded', async () => {
    const hook = await receiver()
    let requests = 0
    const url = await jsonApi((query, response) => {
      requests += 1
      if (requests > 1) return shopPage(query)
      response.writeHead(500).end()
      return undefined
    })
    const file = await shops('recovering', url, everything(hook.url))
    const path = join(restate.folder, file)
    const retry = 'client:\n  retry: { attempts: 1 }'
    await writeFile(path, (await readFile(path, 'utf8')).replace('client:', retry))
    await quickWorker(file)
    expect(await restate.sluice('submit', file, '--wait')).toMatchObject({ exitCode: 0 })
    expect(hook.notices()).toMatchObject([{ work: 'run', occasions: ['success'] }])
  })

  it('of a run whose worker died while it told of it come again, under one id', async () => {
    const ids: string[] = []
    const bodies: string[] = []
    let reached = (): void => {}
    const told = new Promise<void>(resolve => {
      reached = resolve
    })
    const { url: hook } = await testApi(async (_, request) => {
      ids.push(String(request.headers['webhook-id']))
      bodies.push(await text(request))
      // The first worker never hears that it was heard.
      if (ids.length > 1) return { json: {} }
      reached()
      return await new Promise(() => {})
    })
    const file = await shops('told', await jsonApi(shopPage), everything(hook))
    const port = String(await freePort())
    const first = await worker(file, '--port', port)
    const job = restate.sluice('submit', file, '--wait', '--json')
    await told
    await first.kill('SIGKILL')
    await worker(file, '--port', port)
    expect(JSON.parse((await job).stdout)).toMatchObject({ ended: 'done', result: { records: SHOPS.length } })
    expect(ids).toEqual([ids[0], ids[0]])
    const [before, after] = bodies.map(body => JSON.parse(body) as Notice)
    expect(after).toMatchObject({
      work: 'run',
      occasions: ['success'],
      id: before?.id,
      load_id: before?.load_id,
      resources: before?.resources,
      message: expect.stringContaining('ended after the commit'),
    })
    expect(await rowsOf(file, 'shops')).toHaveLength(SHOPS.length)
  })

  it('of a backfill are one, whatever its windows are', async () => {
    const hook = await receiver()
    const broken = { is: true }
    const url = await jsonApi((query, response) => {
      const from = Number(query.get('from'))
      if (from < 4 || !broken.is) return [{ id: from }]
      response.writeHead(403).end()
      return undefined
    })
    const file = await pipelineFile(
      'parts',
      `${everything(hook.url)}client: { base_url: ${url}, paginator: single_page }
resources:
  - name: parts
    primary_key: id
    write_disposition: append
    endpoint:
      data_selector: $
      incremental: { cursor_path: id, initial_value: 0, start_param: from, end_param: to, window: { step: 2 } }
`,
    )
    await quickWorker(file)
    const backfill = ['submit', file, '--backfill', 'parts', '--to', '8', '--wait']
    expect(await restate.sluice(...backfill)).toMatchObject({ exitCode: 1 })
    expect(hook.notices()).toMatchObject([
      { work: 'backfill', occasions: ['failure'], error: { code: 'windows_failed' } },
    ])
    broken.is = false
    expect(await restate.sluice(...backfill)).toMatchObject({ exitCode: 0 })
    expect(hook.notices().slice(1)).toMatchObject([{ work: 'backfill', occasions: ['success'], error: null }])
  })
})

it('keeps a secret out of logs and of all that the server knows', async () => {
  const key = `k!'()*~"\\%41&<>+/=?#:;ü日本-0815e`
  const echoes = ENCODERS.map(spell => spell(key))
  const url = await jsonApi((query, response) => {
    if (query.has('broken') || query.get('key') !== key) response.statusCode = 400
    return { items: SHOPS.slice(0, 1), you: echoes }
  })
  await mkdir(join(restate.folder, '.sluice'), { recursive: true })
  await writeFile(join(restate.folder, '.sluice', 'secrets.toml'), `shop_key = ${JSON.stringify(key)}\n`, {
    mode: 0o600,
  })
  const file = (name: string, params: string): Promise<string> =>
    pipelineFile(
      name,
      `client:
  base_url: ${url}
  auth: { type: api_key, name: key, location: query, api_key: "\${secrets.shop_key}" }
resources:
  - { name: shops, endpoint: { data_selector: items, paginator: single_page, params: ${params} } }
`,
    )
  const files = [await file('whole', '{}'), await file('refused', '{ broken: 1 }')]
  const log = await worker(...files, '--verbose')
  const said = []
  for (const [index, name] of files.entries()) {
    const ended = await restate.sluice('submit', name, '--wait', '--json')
    expect(ended, ended.stderr).toMatchObject({ exitCode: index })
    said.push(ended.stdout, ended.stderr)
  }
  said.push((await restate.sluice('jobs')).stdout, log.output())
  for (const table of ['sys_invocation', 'sys_journal', 'sys_journal_events', 'state', 'sys_inbox'])
    said.push(JSON.stringify(await restate.rows(`SELECT * FROM ${table}`)))
  const text = said.join('\n')
  expect(text).toContain('***')
  expect(traces(key, ...echoes).filter(trace => text.includes(trace))).toEqual([])
})

describe('a run', () => {
  it('is done by a worker, and its facts come back', async () => {
    const file = await shops('shops', await jsonApi(shopPage))
    await worker(file)
    const { exitCode, stdout, stderr } = await restate.sluice('submit', file, '--wait', '--json')
    expect(stderr).toBe('')
    expect(exitCode).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({
      ended: 'done',
      result: { verdicts: { shops: 'complete' }, records: SHOPS.length },
    })
    expect(await rowsOf(file, 'shops')).toHaveLength(SHOPS.length)
    const jobs = await restate.sluice('jobs')
    expect(jobs.stdout).toMatch(/shops\s+run\s+done/)
  })

  it('that failed for good says why, and is not tried again', async () => {
    let requests = 0
    const url = await jsonApi((_, response) => {
      requests += 1
      response.writeHead(200, { 'content-type': 'application/json' }).end('{"rows": []')
    })
    const file = await shops('broken', url)
    await worker(file)
    const { exitCode, stderr } = await restate.sluice('submit', file, '--wait')
    expect(exitCode).toBe(1)
    expect(stderr).toMatch(/failed: .*shops/s)
    expect(requests).toBeLessThan(6)
  })

  it('goes on with another worker when one is killed in the middle, and appends nothing twice', async () => {
    let isHanging = true
    let reached = (): void => {}
    const secondPage = new Promise<void>(resolve => {
      reached = resolve
    })
    const url = await jsonApi(query => {
      if (query.get('offset') !== '0' && isHanging) return reached()
      return shopPage(query)
    })
    const file = await shops('killed', url)
    const port = String(await freePort())
    const first = await worker(file, '--port', port)
    const job = restate.sluice('submit', file, '--wait', '--json')
    await secondPage
    await first.kill('SIGKILL')
    isHanging = false
    await worker(file, '--port', port)
    expect(JSON.parse((await job).stdout)).toMatchObject({ ended: 'done', result: { records: SHOPS.length } })
    expect(await rowsOf(file, 'shops')).toHaveLength(SHOPS.length)
  })

  it('that a worker has committed before it died is not done again', async () => {
    const file = await shops('committed', await jsonApi(shopPage))
    const port = String(await freePort())
    const first = startWorkerProcess(restate, file, '--port', port, '--verbose')
    await first.says('Ctrl-C ends it')
    const job = restate.sluice('submit', file, '--wait', '--json')
    await first.says('"committed"')
    await first.kill('SIGKILL')
    await worker(file, '--port', port)
    expect(JSON.parse((await job).stdout)).toMatchObject({ ended: 'done', result: { records: SHOPS.length } })
    expect(await rowsOf(file, 'shops')).toHaveLength(SHOPS.length)
  })

  it('that fails with a message without end ends all the same', async () => {
    await withLibrary()
    await writeFile(
      join(restate.folder, 'endless.mjs'),
      `import { duckdb, pipeline, restApi } from 'sluice'
const map = () => { throw new Error('no '.repeat(12 * 1024 * 1024)) }
const shops = { name: 'shops', processing_steps: [{ map }], endpoint: { data_selector: 'items' } }
const source = restApi({ client: { base_url: '${await jsonApi(shopPage)}', paginator: 'single_page' }, resources: [shops] })
export default pipeline({ name: 'endless', destination: duckdb('endless.duckdb'), source })
`,
    )
    await worker('endless.mjs')
    const { exitCode, stderr } = await restate.sluice('submit', 'endless.mjs', '--wait')
    expect(exitCode).toBe(1)
    expect(stderr).toContain('no no no')
    expect(stderr.length).toBeLessThan(30_000)
  })

  it('takes no load of another pipeline of the dataset for its own', async () => {
    let isHanging = true
    let reached = (): void => {}
    const secondPage = new Promise<void>(resolve => {
      reached = resolve
    })
    const url = await jsonApi((query, _, request) => {
      if (request.url?.startsWith('/left') && query.get('offset') !== '0' && isHanging) return reached()
      return shopPage(query)
    })
    const shared = 'destination: duckdb:shared.duckdb\ndataset: shared\n'
    const left = await shops('left', `${url}/left`, shared)
    const right = await shops('right', `${url}/right`, shared)
    const port = String(await freePort())
    const first = await worker(left, right, '--port', port)
    const job = restate.sluice('submit', left, '--wait', '--json')
    await secondPage
    expect((await restate.sluice('submit', right, '--wait')).exitCode).toBe(0)
    await first.kill('SIGKILL')
    isHanging = false
    await worker(left, right, '--port', port)
    expect(JSON.parse((await job).stdout)).toMatchObject({ ended: 'done', result: { records: SHOPS.length } })
    expect(await rowsOf(left, 'shops')).toHaveLength(2 * SHOPS.length)
  })

  it('ends when it is cancelled, with nothing committed', async () => {
    let reached = (): void => {}
    const asked = new Promise<void>(resolve => {
      reached = resolve
    })
    const file = await shops('cancelled', await jsonApi(() => reached()))
    await worker(file)
    const job = JSON.parse((await restate.sluice('submit', file, '--json')).stdout) as { job: string }
    await asked
    expect((await restate.sluice('cancel', job.job)).exitCode).toBe(0)
    const again = restate.sluice('submit', file, '--json')
    expect((await again).exitCode).toBe(0)
    await vi.waitFor(async () => {
      const [state] = await restate.rows(`SELECT completion_failure FROM sys_invocation WHERE id = '${job.job}'`)
      expect(String(state?.completion_failure)).toMatch(/cancel/i)
    }, 30_000)
  })

  it('with one key is one job', async () => {
    const file = await shops('once', await jsonApi(shopPage))
    await worker(file)
    const ids = []
    for (let times = 0; times < 2; times++) {
      const { stdout } = await restate.sluice('submit', file, '--key', 'monday', '--wait', '--json')
      ids.push((JSON.parse(stdout) as { job: string }).job)
    }
    expect(ids[1]).toBe(ids[0])
    expect(await rowsOf(file, 'shops')).toHaveLength(SHOPS.length)
  })
})

const VISITS = hourlyVisits(48)
const visits = (name: string, url: string, more = ''): Promise<string> =>
  pipelineFile(
    name,
    `${more}client: { base_url: "${url}", paginator: single_page }
resources:
  - name: visits
    primary_key: id
    write_disposition: append
    endpoint:
      incremental:
        cursor_path: at
        initial_value: "2024-01-01T00:00:00.000Z"
        start_param: since
        end_param: until
        window: { step: PT6H }
`,
  )

describe('a backfill', () => {
  const range = ['--backfill', 'visits', '--to', '2024-01-03T00:00:00.000Z', '--wait', '--json']

  it('loads each window once, and what failed with the next job', async () => {
    let isRefusing = true
    const url = await jsonApi((query, response) => {
      if (isRefusing && query.get('since')?.startsWith('2024-01-01T06')) return void response.writeHead(403).end()
      return between(VISITS, query)
    })
    const file = await visits('visits', url)
    await worker(file)
    const first = await restate.sluice('submit', file, ...range)
    expect(first.exitCode).toBe(1)
    expect(JSON.parse(first.stdout)).toMatchObject({ ended: 'failed' })
    expect(first.stdout).toContain('1 of 8 windows failed')
    isRefusing = false
    const second = await restate.sluice('submit', file, ...range)
    expect(JSON.parse(second.stdout)).toMatchObject({ ended: 'done', result: { windows: 1, records: 6 } })
    expect(await rowsOf(file, 'visits')).toHaveLength(VISITS.length)
    const third = await restate.sluice('submit', file, ...range)
    expect(JSON.parse(third.stdout)).toMatchObject({ ended: 'done', result: { windows: 0 } })
  })

  it('hands out several windows at a time, also when their worker is killed, and loads each once', async () => {
    const TOGETHER = 3
    const postgres = await startPostgres()
    onTestFinished(() => postgres.stop())
    const held: (() => void)[] = []
    let isHanging = true
    let reached = (): void => {}
    const together = new Promise<void>(resolve => {
      reached = resolve
    })
    const url = await jsonApi((query, response) => {
      if (!isHanging) return between(VISITS, query)
      held.push(() => response.end(JSON.stringify(between(VISITS, query))))
      // The first window is committed; the others are still open when the worker is killed.
      if (held.length === 1) held[0]?.()
      if (held.length > TOGETHER) reached()
      return undefined
    })
    const file = await visits('together', url, `destination: "${postgres.url(await postgres.createDatabase())}"\n`)
    const port = String(await freePort())
    const first = await worker(file, '--port', port)
    const job = restate.sluice('submit', file, ...range, '--parallel', String(TOGETHER))
    await together
    await first.kill('SIGKILL')
    isHanging = false
    await worker(file, '--port', port)
    expect(JSON.parse((await job).stdout)).toMatchObject({ ended: 'done' })
    const rows = (await rowsOf(file, 'visits')) as readonly { readonly id: unknown; readonly at: Date }[]
    expect(rows.map(({ id, at }) => ({ id: Number(id), at: at.toISOString() }))).toEqual(VISITS)
    const { pipelines } = await loadPipelineFile(join(restate.folder, file))
    const status = await pipelines[0]?.backfillStatus('visits', { to: '2024-01-03T00:00:00.000Z' })
    expect([status?.done.length, status?.missing]).toEqual([8, []])
  })

  it('goes on in a window at the page that was not yet read, on a worker elsewhere that shares the working folder', async () => {
    const postgres = await startPostgres()
    onTestFinished(() => postgres.stop())
    const home = join(restate.folder, 'shared-home')
    let isHanging = true
    let reached = (): void => {}
    const thirdPage = new Promise<void>(resolve => {
      reached = resolve
    })
    const asked: string[] = []
    const url = await jsonApi(query => {
      const offset = Number(query.get('offset'))
      if (isHanging && offset === 20) return reached()
      asked.push(`${query.get('since')} ${offset}`)
      const found = between(VISITS, query)
      return { total: found.length, data: found.slice(offset, offset + 10) }
    })
    const destination = postgres.url(await postgres.createDatabase())
    const [one, two] = ['one', 'two'].map(place => join(restate.folder, place))
    for (const place of [one, two]) {
      await mkdir(place ?? '', { recursive: true })
      await writeFile(join(place ?? '', '.env'), `SLUICE_HOME=${home}\n`, { mode: 0o600 })
      await writeFile(
        join(place ?? '', 'paged.yaml'),
        `destination: "${destination}"
source:
  client: { base_url: "${url}" }
  resources:
    - name: visits
      primary_key: id
      endpoint:
        data_selector: data
        read_ahead: 0
        paginator: { type: offset, limit: 10, total_path: total }
        incremental: { cursor_path: at, initial_value: "2024-01-01T00:00:00.000Z", start_param: since, end_param: until, window: { step: P1D } }
`,
      )
    }
    const port = String(await freePort())
    const first = await worker('one/paged.yaml', '--port', port)
    const job = restate.sluice('submit', 'one/paged.yaml', ...range, '--parallel', '1')
    await thirdPage
    const before = [...asked]
    await first.kill('SIGKILL')
    isHanging = false
    await worker('two/paged.yaml', '--port', port)
    expect(JSON.parse((await job).stdout)).toMatchObject({ ended: 'done', result: { windows: 2 } })
    expect(before).toHaveLength(2)
    expect(new Set(asked).size).toBe(asked.length)
    expect(asked).toHaveLength(6)
  })

  it('refuses to load several windows at a time into what one process writes', async () => {
    const file = await visits('single', await jsonApi(query => between(VISITS, query)))
    await worker(file)
    const { stdout } = await restate.sluice('submit', file, ...range, '--parallel', '2')
    expect(stdout).toContain('takes loads of one process at a time')
  })

  it('refuses windows that were planned with another file', async () => {
    let reached = (): void => {}
    let isHanging = true
    const asked = new Promise<void>(resolve => {
      reached = resolve
    })
    const file = await visits('edited', await jsonApi(query => (isHanging ? reached() : between(VISITS, query))))
    const port = String(await freePort())
    const first = await worker(file, '--port', port)
    const job = restate.sluice('submit', file, ...range)
    await asked
    await first.kill('SIGKILL')
    await visits('edited', 'http://127.0.0.1:1')
    isHanging = false
    await worker(file, '--port', port)
    expect((await job).stdout).toContain('has changed since the backfill was planned')
  })

  it('refuses windows that were planned with another one of the files that the file imports', async () => {
    await withLibrary()
    let reached = (): void => {}
    let isHanging = true
    const asked = new Promise<void>(resolve => {
      reached = resolve
    })
    const url = await jsonApi(query => (isHanging ? reached() : between(VISITS, query)))
    const shared = (text: string): Promise<void> =>
      writeFile(
        join(restate.folder, 'kept.ts'),
        `export const kept = (record: object) => ({ ...record, by: '${text}' })\n`,
      )
    await shared('one')
    const file = 'imports.ts'
    await writeFile(
      join(restate.folder, file),
      `import { kept } from './kept.js'
export default {
  name: 'imports',
  destination: 'duckdb:imports.duckdb',
  source: {
    client: { base_url: '${url}', paginator: 'single_page' },
    resources: [
      {
        name: 'visits',
        processing_steps: [{ map: kept }],
        endpoint: { incremental: { cursor_path: 'at', initial_value: '2024-01-01T00:00:00.000Z', start_param: 'since', end_param: 'until', window: { step: 'PT6H' } } },
      },
    ],
  },
}
`,
    )
    const port = String(await freePort())
    const first = await worker(file, '--port', port)
    const job = restate.sluice('submit', 'imports', ...range)
    await asked
    await first.kill('SIGKILL')
    await shared('two')
    isHanging = false
    await worker(file, '--port', port)
    expect((await job).stdout).toContain('has changed since the backfill was planned')
  })

  it('refuses windows that another version has planned', async () => {
    let reached = (): void => {}
    let isHanging = true
    const asked = new Promise<void>(resolve => {
      reached = resolve
    })
    const file = await visits('upgraded', await jsonApi(query => (isHanging ? reached() : between(VISITS, query))))
    const port = String(await freePort())
    const first = await worker(file, '--port', port)
    const job = restate.sluice('submit', file, ...range)
    await asked
    await first.kill('SIGKILL')
    const other = await mkdtemp(join(tmpdir(), 'sluice-version-'))
    onTestFinished(() => rm(other, { recursive: true, force: true }))
    await cp(join(root, 'dist'), join(other, 'dist'), { recursive: true })
    await symlink(join(root, 'node_modules'), join(other, 'node_modules'), 'dir')
    const about = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as object
    await writeFile(join(other, 'package.json'), JSON.stringify({ ...about, version: '99.0.0' }))
    isHanging = false
    const second = startWorkerOf(join(other, 'dist', 'cli', 'main.js'), restate, file, '--port', port)
    onTestFinished(() => second.kill('SIGKILL'))
    await second.says('Ctrl-C ends it')
    expect((await job).stdout).toContain('give all workers the same files and one version')
  })

  it('loads each partition once, by values and by parents', async () => {
    const url = await jsonApi(query => [{ id: `${query.get('a')} ${query.get('b')}` }])
    const file = await pipelineFile(
      'partitioned',
      `destination: duckdb:partitioned.duckdb
source:
  client: { base_url: "${url}", paginator: single_page }
  resources:
    - name: pairs
      selected: false
      primary_key: [a, b]
      records: [{ a: x, b: 1 }, { a: x, b: 2 }, { a: y, b: 1 }]
    - name: values
      endpoint: { params: { a: "{resources.pairs.a}", b: "{resources.pairs.b}" }, partition: { by: values } }
    - name: slices
      endpoint: { params: { a: "{resources.pairs.a}", b: "{resources.pairs.b}" }, partition: { by: parents, slices: 5 } }
`,
    )
    await worker(file)
    for (const [table, windows] of [
      ['values', 3],
      ['slices', 5],
    ] as const) {
      const submit = () => restate.sluice('submit', file, '--backfill', table, '--wait', '--json')
      const result = { windows, records: 3 }
      const first = await submit()
      expect(JSON.parse(first.stdout), first.stdout).toMatchObject({ ended: 'done', result })
      expect(JSON.parse((await submit()).stdout)).toMatchObject({ ended: 'done', result: { windows: 0 } })
      expect((await rowsOf(file, table)).map(row => (row as { id: string }).id)).toEqual(['x 1', 'x 2', 'y 1'])
    }
  })
})

describe('a schedule', () => {
  it('makes a job when it is due, and its next tick', async () => {
    const file = await shops('nightly', await jsonApi(shopPage), 'schedule: "CRON_TZ=Europe/Berlin 0 3 * * *"\n')
    const started = startWorkerProcess(restate, file, '--port', '0')
    onTestFinished(() => started.kill('SIGKILL'))
    await started.says('nightly runs by itself: CRON_TZ=Europe/Berlin 0 3 * * *')
    const where = "target_service_key = 'nightly'"
    const generation = await vi.waitFor(async () => {
      const [state] = await restate.rows(
        "SELECT value_utf8 FROM state WHERE service_key = 'nightly' AND key = 'schedule'",
      )
      return (JSON.parse(String(state?.value_utf8)) as { generation: string }).generation
    }, 30_000)
    const ticks = (): Promise<readonly unknown[]> =>
      restate.rows(
        `SELECT id FROM sys_invocation WHERE ${where} AND target_handler_name = 'tick' AND status = 'scheduled'`,
      )
    await vi.waitFor(async () => expect(await ticks()).toHaveLength(1), 30_000)
    const { ingress_endpoint: ingress } = (await (await fetch(`${restate.admin}/version`)).json()) as Record<
      string,
      string
    >
    const tick = (body: object) =>
      fetch(`${ingress}SluicePipeline/nightly/tick`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      })
    expect((await tick({ generation: 'of a schedule that was changed' })).status).toBe(200)
    expect((await tick({ generation })).status).toBe(200)
    // What the server tells of its invocations comes a moment after the answer.
    await vi.waitFor(async () => expect(await ticks()).toHaveLength(2), 30_000)
    await vi.waitFor(async () => {
      const runs = await restate.rows(
        `SELECT completion_result FROM sys_invocation WHERE ${where} AND target_handler_name = 'run'`,
      )
      expect(runs).toEqual([{ completion_result: 'success' }])
    }, 30_000)
    expect(await rowsOf(file, 'shops')).toHaveLength(SHOPS.length)
  })
})

describe('a rate limit', () => {
  it('is asked of the budget that workers share, by origin', async () => {
    const url = await jsonApi(shopPage)
    const file = await pipelineFile(
      'limited',
      `client: { base_url: "${url}", rate_limit: { requests: 1000, per: 1 }, paginator: { type: offset, limit: ${PAGE}, total_path: total } }
resources: [{ name: shops, endpoint: { data_selector: items } }]
`,
    )
    await worker(file)
    expect((await restate.sluice('submit', file, '--wait')).exitCode).toBe(0)
    await vi.waitFor(async () => {
      const budgets = await restate.rows(
        "SELECT service_key FROM state WHERE service_name = 'SluiceBudget' AND key = 'free'",
      )
      expect(budgets).toContainEqual({ service_key: url })
    }, 30_000)
    expect(await rowsOf(file, 'shops')).toHaveLength(SHOPS.length)
  })
})

describe('the list of jobs', () => {
  it('tells why some failed, each on lines of its own', async () => {
    const file = await shops('listed', await jsonApi((_, response) => void response.writeHead(403).end()))
    await worker(file)
    const { job } = JSON.parse((await restate.sluice('submit', file, '--wait', '--json')).stdout) as { job: string }
    const { stdout } = await restate.sluice('jobs')
    expect(stdout).toMatch(new RegExp(`\n\n${job}: .*`))
    expect(stdout).not.toContain('\\n')
  })

  it('tells that a job was cancelled, also one whose worker is away for good', async () => {
    let reached = (): void => {}
    let isHanging = true
    const asked = new Promise<void>(resolve => {
      reached = resolve
    })
    const file = await shops('gone', await jsonApi(query => (isHanging ? reached() : shopPage(query))))
    const gone = await worker(file)
    const { job } = JSON.parse((await restate.sluice('submit', file, '--json')).stdout) as { job: string }
    await asked
    await gone.kill('SIGKILL')
    isHanging = false
    await worker(file)
    expect((await restate.sluice('cancel', job, '--force')).exitCode).toBe(0)
    expect((await restate.sluice('submit', file, '--wait')).exitCode).toBe(0)
    const lines = (await restate.sluice('jobs', '--json')).stdout.trim().split('\n')
    const listed = lines.map(line => JSON.parse(line) as { id: string; state: string })
    expect(listed.find(({ id }) => id === job)).toMatchObject({ state: 'cancelled' })
  })
})

describe('a file with several pipelines', () => {
  it('is submitted by the name of one', async () => {
    const url = await jsonApi(shopPage)
    const source = `restApi({ client: { base_url: '${url}', paginator: { type: 'offset', limit: ${PAGE}, total_path: 'total' } }, resources: [{ name: 'shops', endpoint: { data_selector: 'items' } }] })`
    await withLibrary()
    await writeFile(
      join(restate.folder, 'two.mjs'),
      `import { duckdb, pipeline, restApi } from 'sluice'
export default ['first', 'second'].map(name => pipeline({ name, destination: duckdb(name + '.duckdb'), source: ${source} }))
`,
    )
    await worker('two.mjs')
    const unnamed = await restate.sluice('submit', 'two.mjs')
    expect([unnamed.exitCode, unnamed.stderr]).toEqual([2, expect.stringContaining('--pipeline')])
    const named = await restate.sluice('submit', 'two.mjs', '--pipeline', 'second', '--wait', '--json')
    expect(JSON.parse(named.stdout)).toMatchObject({ ended: 'done', result: { records: SHOPS.length } })
  })
})

describe('what cannot work', () => {
  it('is said before a worker serves', async () => {
    const url = await jsonApi(shopPage)
    const two = await shops('one', url, 'name: twin\n')
    const other = await shops('two', url, 'name: twin\n')
    const twins = await restate.sluice('worker', two, other)
    expect([twins.exitCode, twins.stderr]).toEqual([2, expect.stringContaining('two pipelines are named twin')])
    const never = await shops('never', url, 'schedule: "0 0 30 2 *"\n')
    expect((await restate.sluice('worker', never)).stderr).toContain('is never due')
    const away = await shops('away', url)
    const unreachable = await restate.sluice('worker', away, '--port', '0', '--url', 'http://127.0.0.1:9')
    expect(unreachable.stderr).toContain('the server cannot reach a worker at http://127.0.0.1:9')
    const none = await shops('none', url, 'schedule: "every day"\n')
    expect((await restate.sluice('worker', none)).stderr).toContain('schedule')
    const { port } = new URL(url)
    const taken = await restate.sluice('worker', away, '--port', port)
    expect(taken.stderr).toContain(
      `port ${port} of 127.0.0.1 cannot be used (EADDRINUSE); another program listens there`,
    )
    const there = await restate.sluice('worker', away, '--port', '0', '--dev')
    expect(there.stderr).toContain(`a Restate server answers at ${restate.admin} already: leave --dev out`)
    const page = await jsonApi((_, response) => void response.end('<html>'))
    expect((await restate.sluice('jobs', '--restate', page)).stderr).toContain('was not answered as Restate 1.7 does')
    expect((await restate.sluice('submit', '..')).stderr).toContain("can be no name of a job's pipeline")
    const elsewhere = await restate.sluice('worker', away, '--dev', '--restate', 'http://restate.example.com:9070')
    expect(elsewhere.stderr).toContain('is no address for a server on this machine')
  })

  it('a server of --dev ends with its worker, also if that is killed', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'sluice-dev-'))
    // The server writes on for a moment after it has closed its port.
    onTestFinished(() => vi.waitFor(() => rm(folder, { recursive: true, force: true }), { timeout: 60_000 }))
    await symlink(join(root, 'node_modules'), join(folder, 'node_modules'))
    await writeFile(join(folder, 'one.yaml'), 'resources: [{ name: ones, records: [{ id: 1 }] }]\n')
    const admin = `http://127.0.0.1:${await freePort()}`
    const started = startWorkerProcess({ folder, admin }, 'one.yaml', '--port', '0', '--dev')
    onTestFinished(() => started.kill('SIGKILL'))
    await started.says('Ctrl-C ends it')
    expect((await fetch(`${admin}/health`)).ok).toBe(true)
    await started.kill('SIGKILL')
    await vi.waitFor(() => expect(fetch(`${admin}/health`)).rejects.toThrow(), { timeout: 60_000 })
  })

  it.each([
    [
      'a server that is not there',
      ['jobs', '--restate', 'http://127.0.0.1:9'],
      'no Restate server answers at http://127.0.0.1:9',
    ],
    ['an address that is none', ['jobs', '--restate', 'localhost'], '"localhost" is no address'],
    ['a job that nobody knows', ['cancel', 'inv_1gkXulbQNzEC2D5IEr8hSmjefI6Tzc5WJX'], 'knows no job'],
    ['a pipeline that no worker has', ['submit', 'nobody', '--wait'], 'the worker has no pipeline nobody'],
  ] as const)('%s is one clear error', async (_, args, message) => {
    await worker(await shops('known', await jsonApi(shopPage)))
    const { exitCode, stderr } = await restate.sluice(...args)
    expect(exitCode).not.toBe(0)
    expect(stderr).toContain(message)
    expect(stderr).not.toMatch(/\n\s+at /)
  })
})
