import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { duckdb, pipeline, restApi } from '../../src/index.js'
import { newerFile } from '../destinations/newerFile.js'
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
    [['submit', 'shops', '--backfill', 'shops', '--full-refresh'], /'--full-refresh' belongs to a run, and --backfill/],
    [['submit', 'shops', '--backfill', 'shops', '--limit', '1'], /'--limit' belongs to a run/],
    [['submit', 'shops', '--backfill', 'shops', '--select', 'a'], /'--select' belongs to a run/],
    [['submit', 'shops', '--from', '1'], /'--from' belongs to a backfill, and this is a run; add --backfill RESOURCE/],
    [['submit', 'shops', '--newest-first'], /'--newest-first' belongs to a backfill/],
    [['submit', 'shops', '--pipeline', 'other'], /'--pipeline' selects a pipeline of a file/],
    [
      ['backfill', 'm.yaml', '--resource', 'shops', '--status', '--parallel', '2'],
      /'--parallel'.*--status loads nothing/,
    ],
    [['backfill', 'm.yaml', '--resource', 'shops', '--status', '--retry-failed'], /'--retry-failed'.*--status/],
    [['backfill', 'm.yaml', '--resource', 'shops', '--claim-timeout', '9'], /'--claim-timeout'.*only with --partition/],
    [['test', 'm.yaml', 'n.yaml', '--recording', 'm.warc'], /'--recording' names the recording of one pipeline file/],
    [['drift', 'm.yaml', 'n.yaml', '--recording', 'm.warc'], /'--recording' names the recording of one pipeline file/],
    [['show', 'm.yaml', '--limit', '3'], /'--limit' belongs to the rows of a table/],
    [['show', 'm.yaml', 'shops', '--json', '--csv'], /'--csv' has no effect beside --json/],
    [['query', 'm.yaml', 'SELECT 1', '--json', '--csv'], /'--csv' has no effect beside --json/],
    [['query', 'm.yaml', 'SELECT 1', '--interactive'], /'--interactive' reads statements/],
    [['history', 'm.yaml', '1700000000.1', '--limit', '3'], /'--limit' belongs to the list of loads/],
    [['init', '--url', 'http://127.0.0.1:9/a', '--username', 'me'], /'--username' belongs to --auth http_basic/],
    [['init', '--url', 'http://127.0.0.1:9/a', '--auth', 'bearer', '--auth-name', 'X'], /'--auth-name' belongs to/],
    [['import', 'curl', 'curl http://127.0.0.1:9/a', '--tag', 'shops'], /'--tag' belongs to `sluice import openapi`/],
    [['doctor', '--request'], /'--request' belongs to the check of a pipeline file/],
  ])('%j names the option that would have no effect', async (args, message) => {
    const ended = await sluice(args, client('{type: bearer, token: abc}'))
    expect(ended).toMatchObject({ exitCode: 2, stdout: '' })
    expect(ended.stderr.replace(/\s+/g, ' ')).toMatch(message)
  })

  it.each([
    [['explain', 'rate_limit'], /Retry-After|rate/],
    [['explain', 'cursor_held'], /cursor/],
    [['help', 'run'], /--full-refresh/],
    [
      ['import', 'curl', 'curl https://a.example/$SHOP/orders', '--out', 'a.yaml'],
      /set the variable SHOP, in .env too/,
    ],
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
  expect(stdout).toMatch(/Write a pipeline file:\n {2}init /)
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

it('a working folder in a bucket ends with exit code 2, and makes no folder of that name', async () => {
  const document = 'client: {base_url: "http://127.0.0.1:9"}\nresources: [shops]\n'
  const ended = await sluice(['run', 'm.yaml'], document, { SLUICE_HOME: 's3://key@bucket/journals' })
  expect(ended.exitCode).toBe(2)
  expect(ended.stderr).toMatch(/SLUICE_HOME: is an address \(s3:\/\/…\).*share a folder of a file system/)
  expect(await readdir(folder)).toEqual(['m.yaml'])
  const made = () =>
    pipeline({
      name: 'p',
      source: restApi({ client: { base_url: 'http://127.0.0.1:9' }, resources: ['shops'] }),
      destination: duckdb(':memory:'),
      home: 'gs://bucket/journals',
    })
  expect(made).toThrow(/home: is an address \(gs:/)
})

it('a database of DuckDB 2 ends with the versions and what makes a copy that can be read', async () => {
  const file = join(folder, 'two.duckdb')
  await newerFile(file)
  const document = 'client: {base_url: "http://127.0.0.1:9"}\nresources: [shops]\n'
  const ended = await sluice(['run', 'm.yaml', '--destination', `duckdb:${file}`], document)
  expect(ended.exitCode).toBe(1)
  expect(ended.stderr).toMatch(
    /version number 69, that of DuckDB 2, and this one reads 64 to 68\. Let .* COPY FROM DATABASE/,
  )
})

describe('a key that is unknown names the one that was meant, wherever it stands', () => {
  const resource = (text: string) =>
    `client: {base_url: "https://api.example.com"}\nresources: [{name: shops, ${text}}]\n`
  const endpoint = (text: string) => resource(`endpoint: {path: shops, ${text}}`)
  it.each([
    [
      'client.retry.statuses',
      'client: {base_url: "https://a.example", retry: {status_codes: [500]}}\nresources: [a]\n',
    ],
    ['client.rate_limit.requests', 'client: {base_url: "https://a.example", rate_limit: {calls: 1}}\nresources: [a]\n'],
    ['client.base_url', 'client: {url: "https://a.example"}\nresources: [a]\n'],
    ['client.auth.token', client('{type: bearer, access_token: x}')],
    ['client.auth.api_key', client('{type: api_key, key: x}')],
    ['client.auth.scope', client('{type: oauth2_client_credentials, scopes: x, access_token_url: x, client_id: x}')],
    ['resources[0].endpoint.retry.attempts', endpoint('retry: {max_retries: 3}')],
    ['resources[0].endpoint.retry.when[0].json_path', endpoint('retry: {when: [{jsonpath: a}]}')],
    ['resources[0].endpoint.paginator.limit', endpoint('paginator: {type: offset, page_size: 10}')],
    ['resources[0].endpoint.paginator.cursor_path', endpoint('paginator: {type: cursor, next_path: a}')],
    ['resources[0].endpoint.params', endpoint('query: {a: 1}')],
    ['resources[0].endpoint.data_selector', endpoint('selector: items')],
    ['resources[0].endpoint.incremental.initial_value', endpoint('incremental: {cursor_path: a, start_date: x}')],
    ['resources[0].endpoint.incremental.window.step', endpoint('incremental: {cursor_path: a, window: {steps: P1D}}')],
    [
      'resources[0].endpoint.response_actions[0].status_code',
      endpoint('response_actions: [{status: 404, action: ignore}]'),
    ],
    ['resources[0].endpoint.job.poll.status_path', endpoint('job: {poll: {path: a, statuspath: b}}')],
    ['resources[0].primary_key', resource('pk: id')],
    ['resources[0].columns[0].data_type', resource('columns: [{name: a, type: text}]')],
    ['resources[0].columns[0].nullable', resource('columns: [{name: a, is_nullable: true}]')],
    ['resources[0].expect.min_records', resource('expect: {minimum_records: 1}')],
    ['resources[0].nested_hints.a.table_name', resource('nested_hints: {a: {table: b}}')],
    [
      'resources[0].write_disposition.strategy',
      resource('write_disposition: {disposition: merge, merge_strategy: upsert}'),
    ],
    [
      'schema_contract.columns',
      'schema_contract: {column: freeze}\nclient: {base_url: "https://a.example"}\nresources: [a]\n',
    ],
    [
      'profiles.prod.destination',
      'profiles: {prod: {target: "duckdb:a"}}\nclient: {base_url: "https://a.example"}\nresources: [a]\n',
    ],
    ['schedule', 'cron: "0 6 * * *"\nclient: {base_url: "https://a.example"}\nresources: [a]\n'],
  ])('%s', async (meant, document) => {
    const ended = await sluice(['check', '--offline', 'm.yaml'], document)
    expect(ended.exitCode).toBe(2)
    const [place, key = ''] = [meant.slice(0, meant.lastIndexOf('.') + 1), meant.slice(meant.lastIndexOf('.') + 1)]
    const told = ended.stderr.replace(/\s+/g, ' ')
    expect(told).toContain(`m.yaml:`)
    expect(told).toContain(` ${place}`)
    expect(told).toContain(`unknown key; did you mean \`${key}\`?`)
  })
})

describe('words at a wrong place get the line to type', () => {
  it.each([
    [['init', 'curl', 'https://a.example/b'], "sluice import curl 'curl …'"],
    [['init', 'openapi', 'a.json'], 'sluice import openapi SOURCE'],
    [['init', 'https://a.example/b?key=s3cr3t'], "sluice init --url 'ADDRESS'"],
    [['https://a.example/b?key=s3cr3t'], "sluice init --url 'ADDRESS'"],
    [['curl', '-H', 'Authorization: s3cr3t', 'https://a.example/b'], "sluice import curl 'curl …'"],
    [['import', 'curl https://a.example/b?key=s3cr3t'], "sluice import curl 'curl …'"],
    [['import', 'curl', 'curl', 'https://a.example/b', '-H', 'Authorization: s3cr3t'], "sluice import curl 'curl …'"],
    [['import', 'curl', 'https://a.example/b', '-X', 'POST'], "sluice import curl 'curl …'"],
    [['import', 'openapi.json'], 'sluice import openapi SOURCE'],
    [['import', 'swagger', 'api.json'], 'sluice import openapi SOURCE'],
    [['import', 'opnapi', 'api.json'], 'sluice import openapi SOURCE'],
    [['import', 'insomnia', 'api.json'], 'there are curl, har, openapi, postman, airbyte, dlt'],
    [['m.yaml'], 'sluice run FILE'],
  ])('%j', async (args, line) => {
    const ended = await sluice(args, '')
    expect(ended).toMatchObject({ exitCode: 2, stdout: '' })
    expect(ended.stderr).toMatch(/^error: /)
    expect(ended.stderr).toContain(line)
    expect(ended.stderr).not.toContain('s3cr3t')
  })
})

it.each([
  ['studio', 'nowhere.yaml'],
  ['studio', 'nowhere/'],
  ['mcp', 'nowhere.yaml'],
  ['worker', 'nowhere.yaml'],
  ['serve', 'nowhere.warc'],
  ['submit', 'nowhere.yaml'],
  ['auth', 'nowhere.yaml'],
  ['drift', 'nowhere.yaml'],
])('sluice %s does not begin with %s, which is not there', async (command, path) => {
  const ended = await sluice([command, path], '')
  expect(ended).toMatchObject({ exitCode: 2, stdout: '' })
  expect(ended.stderr).toMatch(/nowhere\S*:? (?:does not exist|there is no such)/)
})

describe('credentials that an API refuses', () => {
  const refusing = async (status: number) => {
    const server = createServer((_, response) => response.writeHead(status).end('no'))
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void server.close())
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  }
  const envFile = (text: string) => writeFile(join(folder, '.env'), text, { mode: 0o600 })

  it.each([
    ['secrets.shop_key', { SHOP_KEY: 's3cr3t-1' }, undefined, 'the variable SHOP_KEY of the environment)'],
    ['secrets.shop_key', {}, 'SHOP_KEY=s3cr3t-1\n', 'the variable SHOP_KEY in FOLDER/.env)'],
    [
      'secrets.shop_key',
      { SHOP_KEY: 's3cr3t-2' },
      'SHOP_KEY=s3cr3t-1\n',
      'the variable SHOP_KEY of the environment, which comes before the one in FOLDER/.env)',
    ],
    ['env.SHOP_KEY', {}, 'SHOP_KEY=s3cr3t-1\n', 'the variable SHOP_KEY in FOLDER/.env)'],
  ])('${%s} with %j and %j are named with their place, never their value', async (reference, env, file, place) => {
    if (file !== undefined) await envFile(file)
    const api = await refusing(401)
    const document = `client: {base_url: "${api}", auth: {type: bearer, token: "\${${reference}}"}}\nresources: [shops]\n`
    const ended = await sluice(['run', 'm.yaml'], document, env)
    expect(ended.exitCode).toBe(1)
    expect(ended.stderr).toContain(`check the secret (\`\${${reference}}\`, from ${place.replace('FOLDER', folder)}`)
    expect(ended.stderr).not.toContain('s3cr3t')
  })

  it('in a header, in a field that the file leaves out, and of a token server are named too', async () => {
    const api = await refusing(403)
    await envFile('SHOP_KEY=s3cr3t-1\nCREDENTIALS__TOKEN=s3cr3t-2\n')
    const inHeader = `client: {base_url: "${api}", headers: {X-Key: "k \${secrets.shop_key}"}}\nresources: [shops]\n`
    expect((await sluice(['check', 'm.yaml'], inHeader)).stderr).toContain(
      `the API knows the credentials (\`\${secrets.shop_key}\`, from the variable SHOP_KEY in ${folder}/.env), but`,
    )
    const leftOut = `client: {base_url: "${api}", auth: bearer}\nresources: [shops]\n`
    expect((await sluice(['check', 'm.yaml'], leftOut)).stderr).toContain(
      `(\`token\`, from the variable CREDENTIALS__TOKEN in ${folder}/.env)`,
    )
    const auth = `{type: oauth2_client_credentials, access_token_url: "${api}/token", client_id: me, client_secret: "\${secrets.shop_key}"}`
    const byToken = await sluice(
      ['check', 'm.yaml'],
      `client: {base_url: "${api}", auth: ${auth}}\nresources: [shops]\n`,
    )
    expect(byToken.stderr).toContain(
      `check what was sent: \`\${secrets.shop_key}\`, from the variable SHOP_KEY in ${folder}/.env`,
    )
  })

  it('are what `sluice init` says how to give, and it reads the .env that its message names', async () => {
    const api = await refusing(401)
    const open = await sluice(['init', '--url', `${api}/shops`], '')
    expect(open.exitCode).toBe(1)
    expect(open.stderr).toMatch(/the API wants credentials.*--auth bearer \(the token in the variable TOKEN\)/s)
    await envFile('TOKEN=s3cr3t-1\n')
    const refused = await sluice(['init', '--url', `${api}/shops`, '--auth', 'bearer'], '')
    expect(refused.stderr).toContain(`(\`\${secrets.token}\`, from the variable TOKEN in ${folder}/.env)`)
  })
})

it.each([
  [['check', 'n.yaml'], 'n.yaml does not exist (did you mean m.yaml?)'],
  [['check', 'm.yml'], 'm.yml does not exist (did you mean m.yaml?)'],
  [['check', 'other.json'], 'other.json does not exist\n'],
  [['help', 'rnu'], "unknown command 'rnu'\n(Did you mean run?)"],
])('%j names what was meant, if anything was', async (args, message) => {
  const { exitCode, stdout, stderr } = await sluice(args, client('{type: bearer, token: x}'))
  expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' })
  expect(stderr).toContain(message)
})

it('a function that waits for ever ends the command with a word and exit code 1', async () => {
  const rows = `async *records() { yield { id: 1 }; await new Promise(() => {}) }`
  const document = `{ destination: 'duckdb::memory:', client: { base_url: 'https://a.example' }, resources: [{ name: 'rows', ${rows} }] }`
  await writeFile(join(folder, 'still.mjs'), `export default ${document}\n`)
  const { exitCode, stderr } = await sluiceProcess(['run', 'still.mjs'], { cwd: folder })
  expect(stderr).toMatch(/^error: the command waits for something that can no longer come/m)
  expect(exitCode).toBe(1)
})
