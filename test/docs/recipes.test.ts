import { generateKeyPairSync } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { loadPipelineFile } from '../../src/index.js'
import { serve, type TestServer } from '../rest/clientServer.js'
import { type Block, blocksOf } from './blocks.js'
import { type NamedApi, namedApis, secrets } from './namedApis.js'

interface Outcome {
  /** Rows of each table in the first and in the second run. */
  readonly rows: readonly [Readonly<Record<string, number>>, Readonly<Record<string, number>>]
  /** Number of requests in the first and in the second run. */
  readonly requests: readonly [number, number]
  /** A request of the second run that shows where it went on, or its body. */
  readonly asks: string
  readonly deleted?: number
}

/** What the recipes of docs/apis.md do in two runs. Both are always complete. */
const outcomes: Readonly<Record<string, Outcome>> = {
  github: {
    rows: [
      { repos: 3, issues: 5 },
      { repos: 3, issues: 4 },
    ],
    requests: [6, 5],
    asks: 'GET /repos/acme/repo3/issues?per_page=100&state=all&sort=updated&direction=asc&since=2024-01-02T23:50:00Z',
  },
  stripe: {
    rows: [{ charges: 5 }, { charges: 4 }],
    requests: [3, 2],
    asks: 'GET /v1/charges?limit=100&created[gte]=1704412800&starting_after=ch_6',
  },
  hubspot: {
    rows: [{ contacts: 5 }, { contacts: 5 }],
    requests: [3, 3],
    asks: 'GET /crm/v3/objects/contacts?limit=100&properties=email,lifecyclestage&after=4',
  },
  hubspot_search: {
    rows: [{ contacts: 5 }, { contacts: 2 }],
    requests: [3, 1],
    asks: '"value":1704412800000',
  },
  shopify: {
    rows: [
      { orders: 5, orders__line_items: 5 },
      { orders: 2, orders__line_items: 2 },
    ],
    requests: [3, 1],
    asks: 'GET /admin/api/2025-07/orders.json?status=any&limit=250&updated_at_min=2024-01-05T00:00:00Z',
  },
  jira: {
    rows: [
      { projects: 3, issues: 5 },
      { projects: 3, issues: 2 },
    ],
    requests: [5, 3],
    asks: 'GET /rest/api/3/search/jql?jql=updated >= "2024-01-04 23:58" ORDER BY updated ASC&fields=summary,status,assignee,updated&maxResults=100',
  },
  salesforce: {
    rows: [{ accounts: 5 }, { accounts: 2 }],
    requests: [4, 2],
    asks: 'GET /services/data/v62.0/query?q=SELECT Id, Name, AnnualRevenue, SystemModstamp FROM Account WHERE SystemModstamp >= 2024-01-05T00:00:00Z ORDER BY SystemModstamp',
  },
  notion: { rows: [{ tasks: 5 }, { tasks: 2 }], requests: [3, 1], asks: '"on_or_after":"2024-01-05T00:00:00Z"' },
  slack: {
    rows: [
      { channels: 3, messages: 5 },
      { channels: 3, messages: 4 },
    ],
    requests: [6, 5],
    asks: 'GET /api/conversations.history?limit=200&channel=C3&inclusive=true&oldest=1704409200.0001',
  },
  zendesk: {
    rows: [{ tickets: 5 }, { tickets: 2 }],
    requests: [3, 2],
    asks: 'GET /api/v2/tickets.json?page[size]=100&sort=-updated_at&page[after]=2',
  },
  airtable: {
    rows: [{ tasks: 5 }, { tasks: 2 }],
    requests: [3, 1],
    asks: "GET /v0/appAbCdEfGhIjKlMn/Tasks?pageSize=100&filterByFormula=NOT(IS_BEFORE({Last modified}, '2024-01-05T00:00:00Z'))",
  },
  strapi: {
    rows: [{ articles: 5 }, { articles: 2 }],
    requests: [3, 1],
    asks: 'GET /api/articles?pagination[pageSize]=100&populate=*&sort=updatedAt&filters[updatedAt][$gte]=2024-01-05T00:00:00Z&pagination[page]=1',
  },
  directus: {
    rows: [{ articles: 220 }, { articles: 219 }],
    requests: [3, 3],
    asks: 'GET /items/articles?meta=filter_count&sort=id&offset=200&limit=100',
    deleted: 1,
  },
  unleash: {
    rows: [{ features: 120 }, { features: 119 }],
    requests: [2, 2],
    asks: 'GET /api/admin/search/features?offset=100&limit=100',
    deleted: 1,
  },
  graph: {
    rows: [
      { users: 3, messages: 5 },
      { users: 3, messages: 4 },
    ],
    requests: [7, 6],
    asks: 'GET /v1.0/users/u3/messages?$top=100&$count=true&$select=id,subject,receivedDateTime&$filter=receivedDateTime ge 2024-01-02T23:50:00Z&$orderby=receivedDateTime',
  },
  elasticsearch: {
    rows: [
      { orders: 5, orders__sort: 10 },
      { orders: 2, orders__sort: 4 },
    ],
    requests: [4, 2],
    asks: '"gte":"2024-01-05T00:00:00Z"',
  },
  graphql: {
    rows: [
      { orders: 5, orders__lines: 5 },
      { orders: 2, orders__lines: 2 },
    ],
    requests: [3, 1],
    asks: '"since":"2024-01-05T00:00:00Z"',
  },
  jsonapi: {
    rows: [{ articles: 5 }, { articles: 2 }],
    requests: [3, 1],
    asks: 'GET /articles?page[size]=50&sort=updated_at&filter[updated_since]=2024-01-05T00:00:00Z',
  },
  fhir: {
    rows: [{ patients: 5 }, { patients: 2 }],
    requests: [3, 1],
    asks: 'GET /r4/Patient?_count=100&_lastUpdated=ge2024-01-05T00:00:00Z',
  },
  kubernetes: {
    rows: [
      { nodes: 1, pods: 5 },
      { nodes: 1, pods: 5 },
    ],
    requests: [4, 4],
    asks: 'GET /api/v1/pods?limit=500&continue=4',
    deleted: 1,
  },
  google: {
    rows: [{ events: 5 }, { events: 2 }],
    requests: [4, 2],
    asks: 'GET /calendar/v3/calendars/team@acme.example/events?maxResults=250&showDeleted=true&singleEvents=true&updatedMin=2024-01-05T00:00:00Z',
  },
  gmail: {
    rows: [{ messages: 5 }, { messages: 3 }],
    requests: [5, 3],
    asks: 'GET /gmail/v1/users/me/history?maxResults=500&historyTypes=messageAdded&historyTypes=messageDeleted&startHistoryId=100',
  },
  drive: {
    rows: [{ files: 5 }, { files: 4 }],
    requests: [5, 3],
    asks: 'GET /drive/v3/changes?pageSize=1000&fields=nextPageToken,newStartPageToken,changes(fileId,removed,file(name,modifiedTime,trashed))&pageToken=40',
  },
  couchdb: {
    rows: [
      { orders: 5, orders__changes: 5 },
      { orders: 2, orders__changes: 2 },
    ],
    requests: [6, 4],
    asks: 'GET /orders/_changes?include_docs=true&limit=25&since=7-g1AAAA',
    deleted: 0,
  },
  plaid: {
    rows: [{ transactions: 5 }, { transactions: 3 }],
    requests: [2, 1],
    asks: '"cursor":"c2"',
  },
}

const recipes = new Map(
  (await blocksOf('docs/apis.md')).flatMap(block => (nameOf(block) ? [[nameOf(block), block]] : [])),
)
let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-recipes-'))
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  for (const [name, value] of Object.entries({ ...secrets, GOOGLE_PRIVATE_KEY: pem })) vi.stubEnv(name, value)
})
afterAll(async () => {
  vi.unstubAllEnvs()
  await rm(folder, { recursive: true, force: true })
})

test('every recipe has an API and an outcome', () => {
  expect([...recipes.keys()]).toEqual(Object.keys(outcomes))
  expect(Object.keys(namedApis)).toEqual(Object.keys(outcomes))
})

test.each(Object.entries(outcomes))('%s', async (name, outcome) => {
  let round = 1
  const server = await simulate(namedApis[name]!, () => round)
  try {
    const { language, text } = recipes.get(name)!
    const file = join(folder, `${name}.${language}`)
    const destination = `duckdb:${join(folder, `${name}.duckdb`)}`
    await writeFile(file, text.replaceAll(/https:\/\/[\w.-]+(?::\d+)?/g, server.origin))
    for (; round <= 2; round++) {
      const before = server.seen.length
      const { pipelines } = await loadPipelineFile(file, { cwd: folder, destination })
      const { rows, receipts } = await pipelines[0]!.run()
      const asked = server.seen.slice(before).map(asLine)
      const unproven = receipts.filter(({ verdict }) => verdict !== 'complete').map(({ resource }) => resource)
      const loaded = Object.fromEntries(Object.entries(rows).filter(([, count]) => count > 0))
      expect(loaded).toEqual(outcome.rows[round - 1])
      expect(asked).toHaveLength(outcome.requests[round - 1]!)
      expect(unproven).toEqual([])
      if (round === 1) continue
      expect(asked.join('\n')).toContain(outcome.asks)
      const deleted = receipts.reduce((sum, receipt) => sum + (receipt.deleted ?? 0), 0)
      expect(deleted).toBe(outcome.deleted ?? 0)
    }
  } finally {
    await server.close()
  }
})

async function simulate(api: NamedApi, round: () => number): Promise<TestServer> {
  const server = await serve(({ method, url, headers, body: text }, response) => {
    const { pathname: path, searchParams: query } = new URL(url, server.origin)
    const answer = api({ method, path, query, headers, text, origin: server.origin }, round())
    response.writeHead(answer.status ?? 200, { 'content-type': 'application/json', ...answer.headers })
    response.end(JSON.stringify(answer.body))
  })
  return server
}

/** A request in one line, its percent signs decoded. */
function asLine({ method, url, body }: TestServer['seen'][number]): string {
  return `${method} ${decodeURIComponent(url.replaceAll('+', ' '))}${body === '' ? '' : ` ${body}`}`
}

function nameOf({ words }: Block): string | undefined {
  return words.find(word => word.startsWith('recipe='))?.slice('recipe='.length)
}
