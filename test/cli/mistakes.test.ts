import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { sluiceProcess } from './process.js'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-mistakes-'))
})
afterEach(async () => {
  await rm(folder, { recursive: true, force: true })
})

async function sluice(args: readonly string[], document: string, env: Readonly<Record<string, string>> = {}) {
  await writeFile(join(folder, 'm.yaml'), document)
  return await sluiceProcess(args, { cwd: folder, env })
}

const client = (auth: string) => `client: {base_url: "https://api.example.com", auth: ${auth}}\nresources: [shops]\n`
const column = (type: string) => `
client: {base_url: "https://api.example.com"}
resources: [{name: shops, endpoint: shops, columns: [{name: a, data_type: ${type}}]}]
`

describe('a mistake in the file ends with exit code 2 and says what to write', () => {
  it.each([
    [
      'a variable as Compose writes it',
      client('{type: bearer, token: "${API_KEY}"}'),
      /`\$\{API_KEY\}` is taken as it is written.*`\$\{secrets\.api_key\}`.*`\$\{env\.API_KEY\}`/,
    ],
    [
      'a variable as a shell writes it',
      client('{type: bearer, token: "$API_KEY"}'),
      /`\$API_KEY` is taken as it is written/,
    ],
    ...['{{ API_KEY }}', '%API_KEY%', '$(API_KEY)', '${{ secrets.API_KEY }}'].map(
      (variable): [string, string, RegExp] => [
        `a variable as in ${variable}`,
        client(`{type: bearer, token: "${variable}"}`),
        /is taken as it is written.*`\$\{secrets\.api_key\}`.*`\$\{env\.API_KEY\}`/,
      ],
    ),
    [
      'a placeholder without quotes',
      'client: {base_url: "https://api.example.com"}\nresources: [{name: a, endpoint: {path: b/{resources.a.id}}}]\n',
      /m\.yaml:2:\d+ is not valid YAML: .*; put a text with `\{` in quotes/,
    ],
    [
      'a variable of Windows without quotes',
      client('{type: bearer, token: %API_KEY%}'),
      /m\.yaml:1:\d+ is not valid YAML: .*; put a text with `%` in quotes/,
    ],
    [
      'a reference without quotes',
      client('{type: bearer, token: ${secrets.api_key}}'),
      /m\.yaml:1:\d+ is not valid YAML: .*; put a text with `\$\{` in quotes/,
    ],
    ['integer', column('integer'), /did you mean `bigint`\?/],
    ['string', column('string'), /did you mean `text`\?/],
    ['float', column('Float'), /did you mean `double`\?/],
    ['datetime', column('datetime'), /did you mean `timestamp`\?/],
    ['array', column('array'), /did you mean `json`\?/],
  ])('%s', async (_, document, message) => {
    const ended = await sluice(['check', 'm.yaml'], document)
    expect(ended).toMatchObject({ exitCode: 2, stdout: '' })
    expect(ended.stderr).toMatch(message)
  })

  it('a variable that is not set is one error, not two', async () => {
    const ended = await sluice(['check', 'm.yaml'], 'client: {base_url: "${env.BASE}"}\nresources: [shops]\n')
    expect(ended.stderr).toContain('the environment variable `BASE` is not set')
    expect(ended.stderr).not.toContain('absolute URL')
  })

  it.each([
    [['--destination', 'shops.duckdb'], /did you mean `duckdb:shops\.duckdb`\?/],
    [['--destination', 'lake/'], /did you mean `files:lake\/`\?/],
    [['--destination', ':memory:'], /did you mean `duckdb::memory:`\?/],
    [['--destination', 'filesystem'], /did you mean `files:DIR`\?/],
    [['--destination', 'C:\\data\\a.duckdb'], /did you mean `duckdb:C:\\data\\a\.duckdb`\?/],
    [['--destination', 'postgresql+psycopg://boss:s%40fe@host/db'], /did you mean `postgres:`\?/],
    [['--destination', 'postgre://boss:s%40fe@host/db'], /did you mean `postgres:`\?/],
  ])('%j', async (flags, message) => {
    const ended = await sluice(['run', 'm.yaml', ...flags], client('{type: bearer, token: abc}'))
    expect(ended.exitCode).toBe(2)
    expect(ended.stderr).toMatch(message)
    expect(ended.stderr).not.toContain('s%40fe')
  })
})

describe('a mistake on the command line says what to write', () => {
  it.each([
    [['run', '--select', 'shops'], /missing required argument 'file'/],
    [['explain', 'ratelimit'], /There is no code ratelimit; did you mean rate_limit\?/],
  ])('%j', async (args, message) => {
    const ended = await sluice(args, client('{type: bearer, token: abc}'))
    expect(ended.exitCode).toBe(2)
    expect(ended.stderr).toMatch(message)
  })

  it.each([
    [['explain', 'rate_limit'], /Retry-After|rate/],
    [['explain', 'cursor_held'], /cursor/],
    [['help', 'run'], /--full-refresh/],
  ])('%j answers', async (args, answer) => {
    const ended = await sluice(args, '')
    expect(ended).toMatchObject({ exitCode: 0, stderr: '' })
    expect(ended.stdout).toMatch(answer)
    expect(ended.stdout).not.toMatch(/\]\(|^#/m)
  })
})

describe('an API that refuses', () => {
  it.each([
    [401, undefined, 'the API wants credentials: add `auth`'],
    [401, 'abc', 'the API does not accept the credentials: check the secret and the `auth` block'],
    [403, undefined, 'the API wants credentials: add `auth`'],
    [403, 'abc', 'the API knows the credentials, but they lack the right for this: check their scopes'],
  ])(
    '%i with the token %s gets one piece of advice, and the next run is silent about a journal without pages',
    async (status, token, advice) => {
      const server = createServer((_, response) => response.writeHead(status).end('no'))
      await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
      onTestFinished(() => void server.close())
      const { port } = server.address() as AddressInfo
      const auth = token === undefined ? '' : `, auth: {type: bearer, token: ${token}}`
      const document = (path: string) => `client: {base_url: "http://127.0.0.1:${port}"${auth}}\nresources: [${path}]\n`
      const refused = await sluice(['run', 'm.yaml'], document('shops'))
      expect(refused.exitCode).toBe(1)
      expect(refused.stderr).toContain(advice)
      expect(refused.stderr).not.toContain('hint:')
      const again = await sluice(['run', 'm.yaml'], document('stores'))
      expect(again.stderr).not.toMatch(/interrupted|set aside/)
      expect((await readdir(join(folder, '.sluice'), { recursive: true })).filter(name => /aside/.test(name))).toEqual(
        [],
      )
    },
  )
})

it.each([
  [0, false],
  [1, true],
])('a failure after %i pages says that they are kept: %s', async (pages, isSaid) => {
  const server = createServer((request, response) => {
    const page = Number(new URL(request.url ?? '', 'http://a').searchParams.get('page') ?? 1)
    if (page > pages) response.writeHead(403).end()
    else response.setHeader('content-type', 'application/json').end('[{"id":1},{"id":2}]')
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  const { port } = server.address() as AddressInfo
  const paginator = 'paginator: {type: page_number, base_page: 1, total_path: null}'
  const refused = await sluice(
    ['run', 'm.yaml'],
    `client: {base_url: "http://127.0.0.1:${port}", ${paginator}}\nresources: [shops]\n`,
  )
  expect(refused.exitCode).toBe(1)
  expect(refused.stderr.includes('hint: the pages received so far are kept')).toBe(isSaid)
})

it('`sluice --help` names init first, and what to do first', async () => {
  const { stdout } = await sluice(['--help'], '')
  expect(/Commands:\n +(\w+)/.exec(stdout)?.[1]).toBe('init')
  expect(stdout).toMatch(/Start here:\n {2}sluice init /)
})

describe('an error about the data says where in the file the key is', () => {
  it.each([
    [
      'a selector that finds nothing',
      'data_selector: items',
      'm.yaml:5:7 resources[0].endpoint.data_selector: "items"',
    ],
    [
      'a cursor that is missing',
      'incremental: {cursor_path: updated, start_param: since}',
      'm.yaml:5:21 resources[0].endpoint.incremental.cursor_path',
    ],
    ['a primary key that is missing', 'params: {}\n    primary_key: key', '(m.yaml:6:5)'],
    [
      'a field that the parent lacks',
      'params: {}\n  - {name: kids, endpoint: "shops/{resources.shops.nope}/kids"}',
      'm.yaml:6:18 resources[1].endpoint',
    ],
  ])('%s', async (_, key, place) => {
    const server = createServer((_request, response) => {
      response.setHeader('content-type', 'application/json').end('{"shops":[{"id":1}]}')
    })
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void server.close())
    const { port } = server.address() as AddressInfo
    const ended = await sluice(
      ['run', 'm.yaml'],
      `client: {base_url: "http://127.0.0.1:${port}"}\nresources:\n  - name: shops\n    endpoint:\n      ${key}\n`,
    )
    expect(ended.exitCode).toBe(1)
    expect(ended.stderr).toContain(place)
    expect(ended.stderr.split('m.yaml:')).toHaveLength(2)
  })
})

it('what the destination cannot do ends with exit code 2 and the place, and nothing is requested', async () => {
  let asked = 0
  const server = createServer((_request, response) => {
    asked += 1
    response.end('[]')
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  const { port } = server.address() as AddressInfo
  const ended = await sluice(
    ['run', 'm.yaml', '--destination', 'files:lake'],
    `client: {base_url: "http://127.0.0.1:${port}"}\nresources:\n  - name: shops\n    write_disposition: merge\n    primary_key: id\n`,
  )
  expect(ended.exitCode).toBe(2)
  expect(ended.stderr).toContain(
    'm.yaml:4:5 resources[0].write_disposition: files:lake: shops: write_disposition "merge"',
  )
  expect(asked).toBe(0)
})

it.each([
  [['check', 'n.yaml'], 'n.yaml there is no such file (did you mean m.yaml?)'],
  [['check', 'm.yml'], 'm.yml there is no such file (did you mean m.yaml?)'],
  [['check', 'other.json'], 'other.json there is no such file\n'],
  [['help', 'rnu'], "unknown command 'rnu'\n(Did you mean run?)"],
])('%j names what was meant, if anything was', async (args, message) => {
  const { exitCode, stdout, stderr } = await sluice(args, client('{type: bearer, token: x}'))
  expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' })
  expect(stderr).toContain(message)
})
