import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { sluice } from '../../src/cli/program.js'
import { outputTo } from '../../src/cli/terminal/terminal.js'
import { systemClock } from '../../src/pipeline/clock.js'

let folder: string
let server: Server
let inFlight = 0
let mostInFlight = 0
let asked: string[] = []

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-several-'))
  inFlight = 0
  mostInFlight = 0
  asked = []
  server = createServer((request, response) => {
    const path = request.url ?? ''
    asked.push(path)
    inFlight += 1
    mostInFlight = Math.max(mostInFlight, inFlight)
    // Every request that may be in flight with this one comes before the answer.
    setTimeout(() => {
      inFlight -= 1
      response.statusCode = path.startsWith('/broken') ? 404 : 200
      response.setHeader('content-type', 'application/json')
      const token = { access_token: 'tok', token_type: 'Bearer', expires_in: 3600 }
      response.end(JSON.stringify(path === '/token' ? token : [{ id: 1 }, { id: 2 }]))
    }, 20)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
})
afterEach(async () => {
  server.closeAllConnections()
  await new Promise(resolve => server.close(resolve))
  await rm(folder, { recursive: true, force: true })
})

async function pipelineFile(name: string, lists: readonly string[], more = ''): Promise<string> {
  const { port } = server.address() as AddressInfo
  const path = join(folder, name)
  const resources = lists.map(list => `{name: ${list}, endpoint: {path: ${list}, paginator: single_page}}`)
  await writeFile(path, `client: {base_url: "http://127.0.0.1:${port}"}\nresources: [${resources.join(', ')}]\n${more}`)
  return path
}

/** The command, in this process. */
async function run(...args: string[]) {
  let out = ''
  let err = ''
  const into = (take: (text: string) => void) =>
    outputTo(
      new Writable({
        write(chunk, _encoding, done) {
          take(String(chunk))
          done()
        },
      }),
    )
  const exitCode = await sluice(args, {
    terminal: {
      out: into(text => {
        out += text
      }),
      err: into(text => {
        err += text
      }),
    },
    signal: new AbortController().signal,
    now: systemClock.now,
    version: 'test',
  })
  return { exitCode, out, err }
}

describe('several files', () => {
  it('run in one command: files and folders, with one summary', async () => {
    await mkdir(join(folder, 'more'))
    const a = await pipelineFile('a.yaml', ['shops', 'orders'])
    await pipelineFile('more/b.yml', ['shops'])
    await pipelineFile('more/c.json', ['items'])
    await writeFile(
      join(folder, 'more', 'c.json'),
      JSON.stringify({
        client: { base_url: 'https://a.example' },
        resources: [{ name: 'items', records: [{ id: 1 }] }],
      }),
    )
    await writeFile(join(folder, 'more', 'compose.yaml'), 'services: {}\n')
    await writeFile(join(folder, 'more', 'package.json'), '{"name": "x"}')
    await writeFile(join(folder, 'more', 'c.json.proof.json'), '{"version": 1, "proofs": []}')
    const { exitCode, out, err } = await run('run', a, join(folder, 'more'))
    expect(err).toContain('compose.yaml is not a pipeline file: skipped')
    expect(err, 'a file that Sluice writes').not.toContain('proof.json')
    expect(exitCode).toBe(0)
    for (const resource of ['a.shops', 'a.orders', 'b.shops', 'c.items'])
      expect(out).toMatch(new RegExp(`^${resource} +`, 'm'))
    expect(out).toMatch(/^a +load \d+\.\d+: 4 rows/m)
    expect(out).toMatch(/3 of 3 pipelines loaded\n$/)
    expect(asked.sort()).toEqual(['/orders', '/shops', '/shops'])
  })

  it('call nothing loaded of a pipeline that fails', async () => {
    const good = await pipelineFile('good.yaml', ['shops'])
    const bad = join(folder, 'bad.yaml')
    const { port } = server.address() as AddressInfo
    const lists =
      '[{name: stores, expect: {min_records: 9}, endpoint: {path: a, paginator: single_page}}, {name: orders, endpoint: {path: b, paginator: single_page}}]'
    await writeFile(bad, `client: {base_url: "http://127.0.0.1:${port}"}\nresources: ${lists}\n`)
    const several = await run('run', good, bad)
    expect(several.exitCode).toBe(1)
    expect(several.out).toMatch(/^shops +2$/m)
    expect(several.out).toMatch(/nothing of it is committed:\n[\s\S]*^bad\.orders +complete/m)
    expect(several.out).not.toMatch(/^orders +2$/m)
    const alone = await run('run', bad)
    expect(alone.exitCode).toBe(1)
    expect(alone.out).toMatch(/What was read; nothing of it is committed:\n[\s\S]*^orders +complete/m)
    expect(alone.out).not.toContain('rows loaded')
    expect((alone.out + alone.err).match(/stores(?: is)?:? incomplete/g), 'the reason, once').toHaveLength(1)
    expect(alone.err).toContain('Nothing was committed; `allowIncomplete` (--allow-incomplete) commits what arrived')
  })

  it('warn once of a .env that they share', async () => {
    const files = await Promise.all(['a', 'b'].map(name => pipelineFile(`${name}.yaml`, ['shops'])))
    await writeFile(join(folder, '.env'), 'API_KEY=1\n', { mode: 0o644 })
    for (const command of ['run', 'check']) {
      const { exitCode, err } = await run(command, ...files)
      expect(exitCode).toBe(0)
      expect(err.match(/can be read by other users/g)).toHaveLength(1)
    }
  })

  it('share one budget for each host', async () => {
    const lists = Array.from({ length: 6 }, (_, index) => `list${index}`)
    const files = await Promise.all(['a', 'b', 'c'].map(name => pipelineFile(`${name}.yaml`, lists)))
    expect(await run('run', ...files)).toMatchObject({ exitCode: 0 })
    expect(asked).toHaveLength(18)
    mostInFlight = 0
    // Alone, each of them would begin with as many requests in flight.
    expect(await run('run', ...files, '--concurrency', '2')).toMatchObject({ exitCode: 0 })
    expect(mostInFlight).toBeLessThanOrEqual(2)
  })

  it('get their tokens from the API that others of them ask', async () => {
    const lists = Array.from({ length: 6 }, (_, index) => `list${index}`)
    const { port } = server.address() as AddressInfo
    const auth = `auth: {type: oauth2_client_credentials, access_token_url: "http://127.0.0.1:${port}/token", client_id: a, client_secret: b}`
    const signed = async (name: string): Promise<string> => {
      const file = await pipelineFile(name, lists)
      await writeFile(file, (await readFile(file, 'utf8')).replace('{base_url', `{${auth}, base_url`))
      return file
    }
    const files = [await signed('a.yaml'), await pipelineFile('b.yaml', lists), await signed('c.yaml')]
    expect(await run('run', ...files)).toMatchObject({ exitCode: 0 })
    expect(asked.filter(path => path === '/token')).toHaveLength(2)
    expect(await run('run', ...files, '--concurrency', '1')).toMatchObject({ exitCode: 0 })
  })

  it('that share a dataset each find their tables in its schema', async () => {
    const shared = `destination: duckdb:${join(folder, 'shared.duckdb')}\ndataset: shared\n`
    const files = await Promise.all(['a', 'b', 'c'].map(name => pipelineFile(`${name}.yaml`, [`${name}_list`], shared)))
    expect(await run('run', ...files)).toMatchObject({ exitCode: 0 })
    expect(await run('run', '--full-refresh', ...files)).toMatchObject({ exitCode: 0 })
    for (const [index, name] of ['a', 'b', 'c'].entries()) {
      const query = await run('query', files[index] as string, `select count(*) as rows from ${name}_list`, '--json')
      expect(JSON.parse(query.out)).toEqual({ rows: 2 })
      const { out } = await run('schema', files[index] as string)
      for (const table of ['a_list', 'b_list', 'c_list']) expect(out).toContain(table)
    }
    const history = await run('history', files[0] as string)
    expect(history.out.match(/a_list/g)).toHaveLength(2)
    expect(await run('drop', files[2] as string, 'c_list', '--yes')).toMatchObject({ exitCode: 0 })
  })

  it('go on when one fails; the exit code is the worst', async () => {
    const files = [
      await pipelineFile('bad.yaml', ['broken']),
      await pipelineFile('wrong.yaml', ['shops'], 'destinatoin: x'),
      await pipelineFile('good.yaml', ['shops']),
    ]
    const { exitCode, out, err } = await run('run', ...files)
    expect(exitCode).toBe(2)
    expect(out).toMatch(/^good +load /m)
    expect(out).toMatch(/^bad +failed$/m)
    expect(out).toContain('1 of 3 pipelines loaded, 2 not')
    expect(err).toMatch(/\nbad:\nerror: broken: GET .* 404/)
    expect(err).toContain('destinatoin: unknown key')
    expect((await run('run', ...files.filter(file => !file.endsWith('wrong.yaml')))).exitCode).toBe(1)
  })

  it('stop all with --fail-fast', async () => {
    const wrong = await pipelineFile('wrong.yaml', ['shops'], 'destinatoin: x')
    const good = await pipelineFile('good.yaml', ['shops'])
    const { exitCode, out } = await run('run', wrong, good, '--fail-fast')
    expect(exitCode).toBe(2)
    expect(out).toMatch(/^good +stopped$/m)
    expect(asked).toEqual([])
  })

  it('of one name and one place are refused', async () => {
    await mkdir(join(folder, 'b'))
    const place = `name: shops\ndestination: duckdb:${join(folder, 'x.duckdb')}`
    const files = [await pipelineFile('a.yaml', ['shops'], place), await pipelineFile('b/a.yaml', ['shops'], place)]
    const { exitCode, err } = await run('run', ...files)
    expect(exitCode).toBe(2)
    expect(err).toContain('its pipeline shops has the name, and the state or the journals, of the one of ')
    expect(asked).toEqual([])
    // Files of one name in two folders have a database each.
    const apart = [await pipelineFile('s.yaml', ['shops']), await pipelineFile('b/s.yaml', ['shops'])]
    expect((await run('run', ...apart)).exitCode).toBe(0)
  })

  it('name their pipeline in every line of --json', async () => {
    const files = [await pipelineFile('a.yaml', ['shops']), await pipelineFile('b.yaml', ['shops'])]
    const { exitCode, out } = await run('run', ...files, '--json')
    expect(exitCode).toBe(0)
    const events = out
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line) as { pipeline: string; type: string; resource?: string })
    for (const name of ['a', 'b']) {
      const types = events.filter(({ pipeline }) => pipeline === name).map(({ type }) => type)
      expect(types[0]).toBe('run_started')
      expect(types.at(-1)).toBe('committed')
    }
    expect(events.every(({ pipeline }) => pipeline === 'a' || pipeline === 'b')).toBe(true)
    expect(events.find(({ type }) => type === 'page')).toMatchObject({ resource: 'shops' })
  })

  it('are checked in one command', async () => {
    const files = [await pipelineFile('bad.yaml', ['broken']), await pipelineFile('good.yaml', ['shops'])]
    const { exitCode, out, err } = await run('check', ...files)
    expect(exitCode).toBe(1)
    expect(out).toContain('good: the file is valid')
    expect(err).toContain('404')
  })

  it('says that a folder holds none', async () => {
    const { exitCode, err } = await run('run', folder)
    expect(exitCode).toBe(2)
    expect(err).toContain('holds no pipeline file')
  })
})

describe('an option that takes every name that follows it', () => {
  it.each([
    ['--select', 'shops', 'FILE'],
    ['--select', 'shops', 'FILE', '--json'],
    ['FILE', '--select', 'shops'],
    ['--json', '--select', 'shops', '--limit', '1', 'FILE'],
  ])('%s %s %s %s', async (...args) => {
    const file = await pipelineFile('a.yaml', ['shops', 'orders'])
    const { exitCode } = await run(
      'run',
      ...args.filter(arg => arg !== undefined).map(arg => (arg === 'FILE' ? file : arg)),
    )
    expect(exitCode).toBe(0)
    expect(asked).toEqual(['/shops'])
  })

  it('--reset too', async () => {
    const file = await pipelineFile('a.yaml', ['shops'])
    await run('run', file)
    expect(await run('state', '--reset', 'shops', file)).toMatchObject({
      exitCode: 0,
      out: 'Nothing to reset: shops keeps no cursor.\n',
    })
  })
})
