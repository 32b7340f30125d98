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
    [
      'a reference without quotes',
      client('{type: bearer, token: ${secrets.api_key}}'),
      /m\.yaml:1:\d+ is not valid YAML: .*; put a `\$\{…\}` in quotes/,
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
    [403, 'abc', 'the credentials are known and lack the right for this: check their scopes'],
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
