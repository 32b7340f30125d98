import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js'
import { ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js'
import { describe, expect, it, onTestFinished } from 'vitest'
import fc from '../properties.js'
import { type Api, api } from '../rest/listServer.js'
import { ENCODERS, traces } from '../security/spellings.js'
import { main } from './process.js'

const SECRET = 'key-4711-$ecret'

/** An API that tells the secret back, as some do. */
async function echoing(): Promise<Api> {
  const shops = await api(async url => {
    if (url.searchParams.get('api_key') !== SECRET) return { status: 401, json: { error: `not ${SECRET}` } }
    const offset = Number(url.searchParams.get('offset'))
    const items = [1, 2, 3].map(id => ({
      id,
      name: `shop ${id}`,
      link: `https://x.example/?api_key=${SECRET}&id=${id}`,
    }))
    if (url.pathname === '/shops') return { json: { items: items.slice(offset, offset + 2), total: 3 } }
    return { status: 404, json: { error: `nothing for ${SECRET}` } }
  })
  onTestFinished(() => shops.close())
  return shops
}

interface Tools {
  readonly folder: string
  /** Every text that was answered. */
  readonly answers: string[]
  /** What a person was asked. */
  readonly questions: string[]
  readonly client: Client
  call(
    name: string,
    asked?: object,
  ): Promise<{ readonly text: string; readonly isError: boolean; readonly json: never }>
}

interface Setting {
  readonly origin: string
  /** Of the API. */
  readonly secret?: string
  readonly args?: readonly string[]
  /** What the person answers. Absent: the client cannot ask. */
  readonly approves?: readonly boolean[]
}

/** The tools of the built command, as an agent has them. */
async function toolsOf({ origin, secret = SECRET, args = [], approves }: Setting): Promise<Tools> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-mcp-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  await writeFile(
    join(folder, 'shops.yaml'),
    `client:
  base_url: ${origin}
  auth: { type: api_key, name: api_key, location: query, api_key: '\${secrets.api_key}' }
  paginator: { type: offset, limit: 2 }
resources:
  - name: shops
    primary_key: id
    write_disposition: merge
    endpoint: { path: shops, data_selector: items }
`,
  )
  const { PATH = '' } = process.env
  const transport = new StdioClientTransport({
    command: process.execPath,
    args: [main, 'mcp', ...args],
    cwd: folder,
    env: { PATH, API_KEY: secret },
    stderr: 'pipe',
  })
  const client = new Client(
    { name: 'a test', version: '0' },
    { capabilities: approves === undefined ? {} : { elicitation: {} } },
  )
  const questions: string[] = []
  if (approves !== undefined) {
    client.setRequestHandler(ElicitRequestSchema, ({ params }) => {
      questions.push(params.message)
      return { action: 'accept', content: { approve: approves[questions.length - 1] ?? false } }
    })
  }
  await client.connect(transport)
  onTestFinished(() => client.close())
  const answers: string[] = []
  return {
    folder,
    answers,
    questions,
    client,
    async call(name, asked = {}) {
      const { content, isError } = await client.callTool({ name, arguments: { ...asked } })
      const [{ text = '' } = {}] = content as readonly { readonly text?: string }[]
      answers.push(text)
      return { text, isError: isError === true, json: (isError === true ? undefined : JSON.parse(text)) as never }
    },
  }
}

const keys = fc
  .array(fc.constantFrom(...`abcdefgXYZ019!'()*~"\\%&<>+/=?#:;-_.üéß日本😀`), { minLength: 12, maxLength: 40 })
  .map(parts => `k${parts.join('')}e`)
  .filter(text => new Set(text).size > 6)

describe('sluice mcp', { timeout: 120_000 }, () => {
  it('answers agents, runs only what a person approves, and shows no secret', async () => {
    const shops = await echoing()
    const { client, call, answers, questions } = await toolsOf({ origin: shops.origin, approves: [false, true] })
    const { tools } = await client.listTools()
    expect(tools.filter(({ annotations }) => annotations?.readOnlyHint !== true).map(({ name }) => name)).toEqual([
      'run',
    ])

    expect((await call('pipelines')).json).toMatchObject([{ name: 'shops', file: 'shops.yaml', resources: ['shops'] }])
    expect((await call('plan')).json).toMatchObject({ resources: [{ resource: 'shops' }] })
    expect((await call('history')).json).toEqual([])
    expect(shops.asked).toEqual([])
    expect((await call('check', { pipeline: 'shops' })).json).toMatchObject({
      resources: [{ records: 2, announced: 3 }],
    })
    expect((await call('prove', { budget: 6 })).json).toMatchObject({ resources: [{ resource: 'shops' }] })
    const asked = shops.asked.length
    expect(asked).toBeLessThanOrEqual(7)

    expect((await call('run')).json).toMatchObject({ state: 'refused' })
    expect(shops.asked).toHaveLength(asked)
    expect((await call('run', { keepJournal: true })).json).toMatchObject({
      rows: { shops: 3 },
      receipts: [{ verdict: 'complete' }],
    })
    expect(questions).toHaveLength(2)
    expect(questions[1]).toContain(
      'Run the pipeline shops: load every resource into duckdb:shops.duckdb, dataset shops_dataset?',
    )

    expect((await call('history')).json).toMatchObject([{ verdict: 'complete', receipts: [{ records: 3 }] }])
    expect((await call('schema')).text).toContain('primary_key')
    expect((await call('trace', { table: 'shops', key: '3' })).json).toMatchObject({
      journal: { state: 'found', sources: [{ record: { path: '$.items[0]' } }] },
    })
    expect((await call('query', { sql: 'SELECT id, link FROM shops ORDER BY id', limit: 2 })).json).toEqual({
      columns: [expect.objectContaining({ name: 'id' }), expect.objectContaining({ name: 'link' })],
      rows: [
        [1, 'https://x.example/?api_key=***&id=1'],
        [2, 'https://x.example/?api_key=***&id=2'],
      ],
      isCut: true,
    })
    expect(answers.filter(text => text.includes(SECRET))).toEqual([])
  })

  it('says what cannot be: statements that write, wrong words, tools and pipelines that are not there', async () => {
    const shops = await echoing()
    const { folder, call, answers } = await toolsOf({ origin: `${shops.origin}/nowhere` })
    await writeFile(join(folder, 'broken.yaml'), 'client: {}\nresources: 3\n')
    const cases: readonly (readonly [tool: string, asked: object, says: string])[] = [
      ['query', { pipeline: 'shops', sql: 'DROP TABLE shops' }, 'query: '],
      ['query', { pipeline: 'shops', sql: "SELECT * FROM read_text('/etc/passwd')" }, 'query: '],
      ['query', { pipeline: 'shops', sql: 'SELECT 1', limit: 1_000_000 }, 'a whole number from 1 to 1000'],
      ['query', { pipeline: 'shops' }, 'sql'],
      ['plan', { pipeline: 'shop' }, 'did you mean shops?'],
      ['plan', { pipeline: 'broken.yaml' }, 'resources'],
      ['plan', { pipeline: '../shops.yaml' }, 'there is no pipeline'],
      ['prove', { pipeline: 'shops' }, 'budget'],
      ['check', { pipeline: 'shops' }, '404'],
      ['nope', {}, 'there is no tool nope'],
      // This client cannot ask a person.
      ['run', { pipeline: 'shops' }, 'start `sluice mcp` with --allow-run'],
    ]
    for (const [tool, asked, says] of cases) {
      const answer = await call(tool, asked)
      expect(answer.isError, `${tool} ${answer.text}`).toBe(true)
      expect(answer.text).toContain(says)
    }
    expect(answers.filter(text => text.includes(SECRET) || text.includes('    at '))).toEqual([])
  })

  it('shows no key in the answer of any tool, however an API writes it', { timeout: 240_000 }, async () => {
    const some = { numRuns: Number(process.env.SLUICE_PROPERTY_RUNS ?? 2) }
    await fc.assert(
      fc.asyncProperty(keys, async key => {
        const echoes = ENCODERS.map(spell => spell(key))
        const shops = await api(async url => {
          if (url.pathname !== '/shops') return { status: 404, json: { error: echoes } }
          const offset = Number(url.searchParams.get('offset'))
          const items = echoes.map((echo, id) => ({ id, echo, [`n_${id % 3}`]: { inner: [echo, { [echo]: id }] } }))
          return { json: { items: items.slice(offset, offset + 2), total: items.length, you: echoes } }
        })
        const { call, answers, client, folder } = await toolsOf({
          origin: shops.origin,
          secret: key,
          args: ['--allow-run'],
        })
        const file = await readFile(join(folder, 'shops.yaml'), 'utf8')
        await writeFile(join(folder, 'refused.yaml'), file.replace('path: shops', 'path: nowhere'))
        const shopsFile = { pipeline: 'shops' }
        await call('run', { ...shopsFile, keepJournal: true })
        for (const pipeline of ['shops', 'refused']) {
          for (const tool of ['plan', 'check', 'history', 'run']) await call(tool, { pipeline })
          for (const format of ['yaml', 'json', 'dbml', 'mermaid', 'typescript'])
            await call('schema', { pipeline, format })
          await call('prove', { pipeline, budget: 4 })
        }
        await call('pipelines')
        for (const sql of [
          'SELECT * FROM shops',
          'SELECT hex(echo), to_base64(echo::BLOB), url_encode(echo), upper(echo) FROM shops WHERE id = 0',
          "SELECT CAST(error('no ' || echo) AS INT) FROM shops WHERE id = 0",
          'SELECT schema FROM _dlt_version',
          'SELECT * FROM _sluice_receipts',
        ])
          await call('query', { ...shopsFile, sql })
        for (const id of echoes.keys()) await call('trace', { ...shopsFile, table: 'shops', key: String(id) })
        await Promise.all([client.close(), shops.close()])
        const text = answers.join('\n')
        expect(text).toContain('***')
        for (const trace of traces(key, ...echoes)) {
          const at = text.indexOf(trace)
          expect(at < 0 ? '' : text.slice(Math.max(0, at - 200), at + trace.length + 20), `as ${trace}`).toBe('')
        }
      }),
      some,
    )
  })

  it('runs without asking where --allow-run says so', async () => {
    const shops = await echoing()
    const { call } = await toolsOf({ origin: shops.origin, args: ['--allow-run'] })
    expect((await call('run', { limit: 1 })).json).toMatchObject({ rows: { shops: 2 } })
  })
})
