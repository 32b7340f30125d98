import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js'
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import { systemClock } from '../../src/pipeline/clock.js'
import type { PipelineFacts, PipelineList, RunFacts } from '../../src/studio/pageContract.js'
import { startStudio } from '../../src/studio/startStudio.js'
import { main, sluiceProcess } from '../cli/process.js'
import { type Api, api } from '../rest/listServer.js'

// Some forty processes, one after the other.
vi.setConfig({ testTimeout: 900_000, hookTimeout: 120_000 })

/**
 * A document whose records are full of personal data, all of it masked, and an API that repeats that data beside the
 * records, in errors and in answers that cannot be read. Every command is run; then the data is looked for in all that
 * was printed, answered or left behind. Every personal value has `zebra` in it, every other text `okapi`: that one must
 * be found.
 */
const HIDDEN = 'zebra'
const SHOWN = 'okapi'
/** In free texts beside the records, which a journal keeps, and nothing shows. */
const FREE = 'quagga'

const person = (id: number) => ({
  id,
  name: `${SHOWN} ${id}`,
  email: `${HIDDEN}${id}@x.example`,
  'E-Mail': `${HIDDEN}-other-${id}@x.example`,
  card: `4242-${HIDDEN}-${1000 + id}`,
  note: `${HIDDEN} said so`,
  address: { street: `${HIDDEN} street ${id}`, city: SHOWN },
  phones: [
    { kind: SHOWN, number: `39-${HIDDEN}-77${id}0`, aliases: [`${HIDDEN} one`, [`${HIDDEN} two`]] },
    { kind: SHOWN, number: null },
  ],
  // The names of the members are personal data too.
  relatives: { [`${HIDDEN} Rossi`]: { since: 1990 }, [`${HIDDEN} Verdi`]: 1 },
  // Of another type in each record. What is not masked has variant columns, and is discarded by a contract.
  born: id % 2 === 0 ? `${HIDDEN} 1970` : 1970,
  age: id % 2 === 0 ? SHOWN : 30,
  extra: id % 2 === 0 ? { email: `${HIDDEN}@extra`, list: [{ email: HIDDEN }] } : 5,
  deep: { er: [{ ssn: `${HIDDEN}-ssn-${id}` }] },
})

const MASK = `{ email: hash, card: last4, note: drop, address.street: redact, phones.number: last4, phones.aliases: redact, relatives: redact, born: hash, extra.email: last4, extra.list.email: hash, "$..ssn": redact }`

const graphqlAnswer = {
  data: { people: { nodes: [person(1), person(2)], pageInfo: { hasNextPage: false, endCursor: null } } },
  extensions: { viewer: { email: `${HIDDEN}@viewer.example` } },
}

const xml = `<?xml version="1.0"?><list><viewer email="${HIDDEN}@v.example"/>${[1, 2]
  .map(
    id =>
      `<person email="${HIDDEN}${id}@x.example"><id>${id}</id><name>${SHOWN}</name><x:E-Mail xmlns:x="urn:x">${HIDDEN}</x:E-Mail><card>4242-${HIDDEN}-${id}000</card><note>${HIDDEN}<b>${HIDDEN}</b></note><address><street>${HIDDEN}</street></address></person>`,
  )
  .join('')}</list>`

const csv = `id,name,E-Mail,card,note\n1,${SHOWN},${HIDDEN}1@x.example,4242-${HIDDEN}-1000,"${HIDDEN}\nsaid"\n2,${SHOWN},${HIDDEN}2@x.example,4242-${HIDDEN}-2000,${HIDDEN}\n`

/** Answers that cannot be read, or say no, by path. */
const BROKEN: Readonly<Record<string, { status?: number; text: string; type: string }>> = {
  '/cut': { text: JSON.stringify({ items: [person(1), person(2)] }).slice(0, -30), type: 'application/json' },
  '/nonsense': { text: `{"items":[{"id":1,"email":${HIDDEN}}]}`, type: 'application/json' },
  '/page': { text: `<html>Hello ${HIDDEN}</html>`, type: 'text/html' },
  '/refused': { status: 422, text: JSON.stringify({ error: { email: `${HIDDEN}@x` } }), type: 'application/json' },
  '/refusedText': { status: 422, text: `no such person: ${HIDDEN}`, type: 'text/plain' },
  '/failing': {
    text: JSON.stringify({ error: { message: `unknown ${FREE}` }, items: [] }),
    type: 'application/json',
  },
  '/remark': { text: JSON.stringify({ message: `failed for ${FREE}`, items: null }), type: 'application/json' },
  '/wideCsv': { text: `id,email\n1,${HIDDEN},${HIDDEN}\n`, type: 'text/csv' },
  '/openCsv': { text: `id,email\n1,"${HIDDEN}`, type: 'text/csv' },
  '/cutXml': { text: `<list><person><email>${HIDDEN}</email>`, type: 'application/xml' },
  '/badXml': { text: `<list><person email="${HIDDEN}" email="${HIDDEN}"/></list>`, type: 'application/xml' },
  '/noList': { text: JSON.stringify({ people: [person(1)], viewer: person(2) }), type: 'application/json' },
  '/lines': { text: `{"id":1,"email":"${HIDDEN}"}\n{"id":2,"email":"${HIDDEN}"`, type: 'application/x-ndjson' },
  '/noJob': { text: JSON.stringify({ job: null, email: HIDDEN }), type: 'application/json' },
}

/** What else the endpoints of some of these say. */
const MORE: Readonly<Record<string, string>> = {
  noList: 'data_selector: list',
  cutXml: 'data_selector: list.person',
  badXml: 'data_selector: list.person',
  noJob:
    'method: POST, job: { handle_path: job, poll: { path: "jobs/{handle}", done: [200] }, download: { path: "files/{handle}" } }',
}

let folder: string
let people: Api
/** What the working folder held while the API was asked. */
const during: string[] = []

/** The content of a file as it is, and unpacked where it is packed. */
function texts(content: Buffer): string {
  const plain = content.toString('latin1')
  if (content[0] !== 0x1f || content[1] !== 0x8b) return plain
  return plain + gunzipSync(content).toString('latin1')
}

async function filesOf(under: string): Promise<readonly string[]> {
  const entries = await readdir(join(folder, under), { recursive: true, withFileTypes: true }).catch(() => [])
  const files = entries.filter(entry => entry.isFile())
  return Promise.all(
    files.map(async ({ parentPath, name }) => {
      const content = await readFile(join(parentPath, name)).catch(() => Buffer.alloc(0))
      return `${join(parentPath, name)}\n${texts(content)}`
    }),
  )
}

function expectHidden(text: string, what: RegExp = /zebra|quagga/i): void {
  const at = text.search(what)
  expect(at < 0 ? '' : text.slice(Math.max(0, at - 300), at + 60)).toBe('')
}

const ENV = { MASK_SALT: 'a salt of this test alone' }

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-masked-doors-'))
  people = await api(async ({ pathname, searchParams }) => {
    for (const text of await filesOf('.sluice')) during.push(text)
    const broken = BROKEN[pathname]
    if (broken !== undefined) return broken
    if (pathname === '/people.xml') return { text: xml, type: 'application/xml' }
    if (pathname === '/people.csv') return { text: csv, type: 'text/csv' }
    if (pathname === '/graphql') return { json: graphqlAnswer }
    if (/^\/people\/\d+\/notes$/.test(pathname)) return { json: { items: [{ id: 1, email: `${HIDDEN}@notes` }] } }
    const page = Number(searchParams.get('page') ?? 1)
    if (pathname === '/half' && page === 2) return { status: 500, json: person(2) }
    const items = pathname === '/half' || page <= 2 ? [person(page)] : []
    return { json: { viewer: person(9), items, total_pages: 2 }, headers: { 'x-user': `${HIDDEN}@header` } }
  })
  const head = `client: { base_url: "${people.origin}", retry: { attempts: 1 } }
resource_defaults: { mask_salt: "\${secrets.mask_salt}", mask: ${MASK} }
`
  const pages = '{ type: page_number, base_page: 1, total_path: total_pages }'
  const write = (name: string, resources: string) => writeFile(join(folder, name), `${head}resources:\n${resources}`)
  await write(
    'people.yaml',
    `  - name: people
    primary_key: id
    write_disposition: merge
    columns: { age: { data_type: bigint } }
    expect: { unique: [email], not_null: [card] }
    endpoint: { data_selector: items, paginator: ${pages} }
  - name: notes
    include_from_parent: [email]
    endpoint: { path: "people/{resources.people.id}/notes", data_selector: items, paginator: single_page }
  - name: fixed
    columns: { age: { data_type: bigint } }
    schema_contract: { columns: discard_value, data_type: discard_row }
    endpoint: { path: people, data_selector: items, paginator: ${pages} }
  - name: markup
    endpoint: { path: people.xml, data_selector: list.person, paginator: single_page }
  - name: lines
    endpoint: { path: people.csv, paginator: single_page }
  - name: nodes
    endpoint:
      path: graphql
      graphql: { query: "query A { people { nodes { id } pageInfo { hasNextPage endCursor } } }", connection: data.people }
`,
  )
  await write(
    'half.yaml',
    `  - { name: half, endpoint: { data_selector: items, read_ahead: 0, paginator: ${pages} } }\n`,
  )
  for (const path of Object.keys(BROKEN)) {
    const name = path.slice(1)
    const more = MORE[name]
    await write(
      `${name}.yaml`,
      `  - { name: ${name}, endpoint: { ${more === undefined ? '' : `${more}, `}paginator: single_page } }\n`,
    )
  }
})
afterAll(async () => {
  await people.close()
  await rm(folder, { recursive: true, force: true })
})

const spans = { SPANS_FILE: 'spans.ndjson' }
const preload = { NODE_OPTIONS: `--import ${new URL('../cli/processes/telemetryToFile.mjs', import.meta.url).href}` }

describe('what a mask hides', () => {
  it('is in nothing that a command prints or leaves behind', async () => {
    const printed: string[] = []
    const command = async (args: readonly string[], exitCode = 0, env: Readonly<Record<string, string>> = {}) => {
      const ended = await sluiceProcess(args, { cwd: folder, env: { ...ENV, ...env } })
      expect(ended, `${args.join(' ')}\n${ended.stdout}${ended.stderr}`).toMatchObject({ exitCode })
      printed.push(`${args.join(' ')}\n${ended.stdout}\n${ended.stderr}`)
      expectHidden(printed.at(-1) ?? '')
      return ended.stdout
    }
    await command(['check', 'people.yaml'])
    await command(['plan', 'people.yaml', '--probe', '--json'])
    await command(['doctor', 'people.yaml', '--json'])
    await command(['prove', 'people.yaml', '--json'])
    await command(['run', 'people.yaml', '--verbose', '--keep-journal', '--debug'], 0, { ...spans, ...preload })
    await command(['run', 'people.yaml', '--json', '--keep-journal'])
    await command(['replay', 'people.yaml', '--verbose'])
    await command(['trace', 'people.yaml', 'people', 'id=1', '--json'])
    await command(['history', 'people.yaml', '--json'])
    await command(['state', 'people.yaml'])
    const tables = await command(['query', 'people.yaml', 'SELECT table_name FROM information_schema.tables', '--json'])
    const names = tables
      .trim()
      .split('\n')
      .map(line => (JSON.parse(line) as { table_name: string }).table_name)
    expect(names).toEqual(expect.arrayContaining(['people', 'people__phones', 'notes', 'markup', 'lines', 'nodes']))
    for (const name of names) await command(['query', 'people.yaml', `SELECT * FROM "${name}"`, '--json'])
    for (const format of ['yaml', 'json', 'dbml']) await command(['schema', 'people.yaml', '--format', format])
    await command(['record', 'people.yaml'])
    await command(['test', 'people.yaml', '--update'])
    await command(['test', 'people.yaml'])
    await command(['drift', 'people.yaml'])
    await command(['run', 'half.yaml', '--verbose', '--debug'], 1, { ...spans, ...preload })
    for (const path of Object.keys(BROKEN)) {
      const name = path.slice(1)
      const ended = await sluiceProcess(['run', `${name}.yaml`, '--verbose', '--debug'], {
        cwd: folder,
        env: { ...ENV, ...spans, ...preload },
      })
      printed.push(`${name}\n${ended.stdout}\n${ended.stderr}`)
      expectHidden(printed.at(-1) ?? '')
    }
    const left = await filesOf('.')
    for (const text of [...left, ...during]) expectHidden(text, /zebra/i)
    for (const text of left.filter(one => !/\.sluice\//.test(one.split('\n', 1)[0] ?? ''))) expectHidden(text)
    // The same search finds what is not hidden in each of these places.
    const finds = (what: RegExp) => left.some(text => what.test(text.split('\n', 1)[0] ?? '') && text.includes(SHOWN))
    expect(finds(/\.sluice\/.*/), 'journals').toBe(true)
    expect(finds(/recording\.warc/), 'recordings').toBe(true)
    expect(during.some(text => text.includes(SHOWN))).toBe(true)
    expect(printed.some(text => text.includes(SHOWN))).toBe(true)
    expect(left.some(text => text.startsWith(join(folder, 'spans.ndjson')))).toBe(true)
  })

  it('is in nothing that the studio answers', async () => {
    const studio = await startStudio({ paths: ['.'], from: { cwd: folder, env: ENV }, clock: systemClock })
    onTestFinished(() => studio.close())
    const { origin, hash } = new URL(studio.address)
    const answers: string[] = []
    const ask = async (path: string, options: RequestInit = {}): Promise<string> => {
      const headers = { authorization: `Bearer ${hash.slice(1)}` }
      const text = await (await fetch(new URL(path, origin), { ...options, headers })).text()
      answers.push(`${path} ${text}`)
      return text
    }
    const { pipelines } = JSON.parse(await ask('/api/pipelines')) as PipelineList
    const readable = pipelines.filter((entry): entry is PipelineFacts => 'name' in entry)
    expect(readable.length).toBe(Object.keys(BROKEN).length + 2)
    for (const { id } of readable) {
      const { run } = JSON.parse(await ask(`/api/pipelines/${id}/runs`, { method: 'POST', body: '{}' })) as RunFacts
      await ask(`/api/runs/${run}/events`)
      for (const part of ['', '/loads', '/tables', '/versions', '/plan', '/document'])
        await ask(`/api/pipelines/${id}${part}`)
      for (const table of ['people', 'fixed', 'people__phones', 'lines', '_sluice_receipts'])
        await ask(`/api/pipelines/${id}/query`, {
          method: 'POST',
          body: JSON.stringify({ sql: `SELECT * FROM ${table}` }),
        })
    }
    for (const answer of answers) expectHidden(answer)
    expect(answers.join('\n')).toContain(SHOWN)
  })

  it('is in nothing that an agent is told', async () => {
    const { PATH = '' } = process.env
    const transport = new StdioClientTransport({
      command: process.execPath,
      args: [main, 'mcp'],
      cwd: folder,
      env: { PATH, ...ENV },
      stderr: 'pipe',
    })
    const client = new Client({ name: 'a test', version: '0' }, { capabilities: {} })
    await client.connect(transport)
    onTestFinished(() => client.close())
    const told: string[] = []
    const call = async (name: string, asked: object = {}) => {
      const answer = JSON.stringify(await client.callTool({ name, arguments: { ...asked } }))
      told.push(answer)
      expectHidden(answer)
    }
    for (const pipeline of ['people', ...Object.keys(BROKEN).map(path => path.slice(1))]) {
      for (const tool of ['plan', 'check', 'history', 'schema']) await call(tool, { pipeline })
      await call('prove', { pipeline, budget: 3 })
    }
    await call('query', { pipeline: 'people', sql: 'SELECT * FROM people' })
    await call('trace', { pipeline: 'people', table: 'people', key: { id: 1 } })
    expect(told.join('\n')).toContain(SHOWN)
  })
})
