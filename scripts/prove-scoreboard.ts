/**
 * What `prove` says of simulated APIs, some of which lie, against what is true of them: whether the document loads the
 * whole list, as a run of it shows, and what its totals, keys and parameters are.
 *
 *     npx tsx scripts/prove-scoreboard.ts [KIND]
 */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Clock, duckdb, type Finding, type Pipeline, pipeline, prove, restApi } from '../src/index.js'
import { provenApi, type Traits } from '../test/import/provenApis.js'

type Json = Readonly<Record<string, unknown>>

interface Case {
  readonly api: Traits
  readonly paginator: Json | string
  readonly params?: Json
  readonly key?: string
  readonly incremental?: Json
}

type Ways = readonly (readonly [way: Traits['way'], paginator: Json])[]

const page = (more: Json = {}): Json => ({ type: 'page_number', base_page: 1, total_path: null, ...more })
const offset = (more: Json = {}): Json => ({ type: 'offset', limit: 5, total_path: null, ...more })
const cursor = (more: Json = {}): Json => ({ type: 'cursor', cursor_path: 'next', ...more })
const keyset: Json = { type: 'keyset', field: 'id', param: 'after', limit: 5 }

const COUNTED: Ways = [
  ['page1', page()],
  ['page0', page({ base_page: 0 })],
  ['offset', offset()],
  ['offset1', offset({ offset: 1 })],
]
const FOLLOWED: Ways = [
  ['cursor', cursor()],
  ['cursor_in_header', { type: 'header_cursor', cursor_key: 'x-next-cursor' }],
  ['next_url', { type: 'json_link', next_url_path: 'next' }],
  ['link', { type: 'header_link' }],
]
const ALL: Ways = [...COUNTED, ...FOLLOWED, ['keyset', keyset]]

/** The same traits with each way to ask for pages. */
function across(ways: Ways, traits: Omit<Traits, 'way'>, more: Omit<Case, 'api' | 'paginator'> = {}): readonly Case[] {
  return ways.map(([way, paginator]) => ({ api: { way, ...traits }, paginator, ...more }))
}

/** Paginators with another key each. */
function having(ways: Ways, key: Json): Ways {
  return ways.map(([way, paginator]) => [way, { ...paginator, ...key }])
}

const since = (more: Json = {}): Json => ({
  cursor_path: 'updated',
  initial_value: '2026-01-01T00:00:00.000Z',
  start_param: 'since',
  ...more,
})
const TWO: Ways = [COUNTED[0], FOLLOWED[0]].filter(way => way !== undefined)
const TOTALS = ['records', 'too_small', 'too_large', 'moving'] as const

const KINDS: Readonly<Record<string, readonly Case[]>> = {
  'the way that the document has': across(ALL, {}),
  'one more full page': across(ALL, { records: 20 }),
  'lists of one page': across(ALL, { records: 3 }),
  'empty lists': across(COUNTED, { records: 0 }),
  'long lists': across(ALL, { records: 400 }),
  'another way than that of the document': [
    ...across([['cursor', offset()]], {}),
    ...across([['next_url', page()]], {}),
    ...across([['offset', page()]], { total: 'records' }, { params: { limit: 5 } }),
    ...across([['page1', cursor()]], { total: 'records' }),
    ...across([['link', offset()]], {}),
  ],
  'another beginning': [
    ...across([['page0', page()]], {}),
    ...across([['page1', page({ base_page: 0 })]], {}),
    ...across([['offset1', offset()]], {}),
    ...across([['offset', offset({ offset: 1 })]], {}),
    ...across([['offset_of_pages', offset()]], { records: 200 }),
  ],
  'one page, and there are more': [
    ...across(
      ALL.map(([way]) => [way, { type: 'single_page' }] as const),
      { total: 'records' },
    ),
  ],
  'a list that is whole': across([['whole', { type: 'single_page' }]], {}),
  'the position is ignored': across(ALL, { ignores: 'position' }),
  'totals of records': TOTALS.flatMap(total =>
    across(having([...COUNTED.slice(2), ...FOLLOWED], { total_path: 'total' }), { total }),
  ),
  'totals of pages': (['pages', 'records', 'too_large'] as const).flatMap(total =>
    across(having(COUNTED.slice(0, 2), { total_path: 'total' }), { total }),
  ),
  'flags that tell of more': (['has_more', 'last', 'always'] as const).flatMap(flag =>
    across(having(COUNTED, { has_more_path: 'has_more' }), { flag }),
  ),
  'flags that tell of the end': (['has_more', 'last'] as const).flatMap(flag =>
    across(having(COUNTED, { done_path: flag }), { flag }),
  ),
  'behind the end': (['404', '400', 'last_again', 'first_again'] as const).flatMap(beyond =>
    across(COUNTED, { beyond }),
  ),
  'pages that wrap around': across(COUNTED, { wraps: true, records: 10 }),
  'sizes that are capped or ignored': [
    ...across([['offset', offset({ limit: 50 })]], {}),
    ...across([['offset', offset({ limit: 3 })]], { sizes: 'ignored' }),
    ...across([['offset', offset({ limit: 8 })]], { sizes: 'always' }),
    ...across([COUNTED[0] ?? ['page1', page()]], {}, { params: { per_page: 50 } }),
    ...across([COUNTED[0] ?? ['page1', page()]], { sizes: 'ignored' }, { params: { per_page: 3 } }),
  ],
  'bounds that are included': across([...FOLLOWED.slice(0, 1), ['keyset', keyset]], { includes: true }),
  'lists that move': (['grows', 'shuffles', 'random'] as const).flatMap(moves =>
    across([...COUNTED.slice(0, 1), ...COUNTED.slice(2, 3), ...FOLLOWED.slice(0, 1)], { moves }),
  ),
  'keys that repeat or lack': (['repeat', 'missing', 'by_page'] as const).flatMap(ids => across(TWO, { ids })),
  'keys of another column': (['group', 'name', 'uuid'] as const).flatMap(key => across(TWO, {}, { key })),
  'parameters that filter': [{}, { sinceIncludes: false }].flatMap(api => across(TWO, api, { incremental: since() })),
  'parameters that do not filter': [
    ...across(TWO, { ignores: 'since' }, { incremental: since() }),
    ...across(TWO, {}, { incremental: since({ start_param: 'updated_after' }) }),
  ],
  'APIs that fail': [
    ...across(TWO, { fails: request => (request === 2 ? 429 : undefined) }),
    ...across(TWO, { fails: request => (request > 1 ? 500 : undefined) }),
    ...across(TWO, { fails: (request, position) => (position && request > 1 ? 401 : undefined) }),
  ],
}

/** What is true of a document. Undefined: nobody can know. */
interface Truth {
  /** Whether a run loads each record of the list once. */
  readonly isWhole: boolean | undefined
  /** Nothing that the API answers tells whether it is. */
  readonly isHidden: boolean
  readonly keys: Readonly<Record<string, boolean | undefined>>
}

const clock: Clock = { now: () => Date.now(), sleep: async () => {}, random: () => 0.5 }

async function serving<T>(traits: Traits, work: (origin: string) => Promise<T>): Promise<T> {
  const answer = provenApi(traits)
  const server = createServer((request, response) => {
    const {
      status = 200,
      json,
      headers = {},
    } = answer(new URL(request.url ?? '/', `http://${request.headers.host}`)) as {
      readonly status?: number
      readonly json?: unknown
      readonly headers?: Readonly<Record<string, string>>
    }
    response.writeHead(status, { 'content-type': 'application/json', ...headers })
    response.end(JSON.stringify(json))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  try {
    return await work(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  } finally {
    await new Promise<void>(resolve => {
      server.close(() => resolve())
      server.closeAllConnections()
    })
  }
}

function pipelineOf(
  { api, paginator, params, key = 'id', incremental }: Case,
  origin: string,
  isTruth = false,
): Pipeline {
  const endpoint = {
    data_selector: api.place ?? 'items',
    paginator,
    ...(params !== undefined && { params }),
    ...(incremental !== undefined && { incremental }),
  }
  const things = { name: 'things', endpoint, ...(!isTruth && { primary_key: key }) }
  const source = restApi(
    { client: { base_url: origin, retry: { attempts: 2 } }, resources: [things] as never },
    { env: {} },
  )
  return pipeline({ name: 'test', source, destination: duckdb(':memory:') })
}

async function truthOf(one: Case): Promise<Truth> {
  const { api, key = 'id', paginator } = one
  const records = api.records ?? 25
  const isKnown = api.moves === undefined && api.fails === undefined && one.incremental === undefined && !isHidden(one)
  const isWhole = isKnown ? await serving(api, origin => loadsAll(pipelineOf(one, origin, true), records)) : undefined
  const config = typeof paginator === 'string' ? {} : paginator
  const isOfPages = config.type === 'page_number'
  return {
    isWhole,
    isHidden: isHidden(one),
    keys: {
      primary_key: records > 0 ? isUnique(api, key) : undefined,
      total_path: config.total_path === 'total' ? api.total === (isOfPages ? 'pages' : 'records') : undefined,
      has_more_path: config.has_more_path === undefined ? undefined : api.flag === 'has_more',
      done_path: config.done_path === undefined ? undefined : api.flag === 'last',
      start_param:
        one.incremental === undefined ? undefined : api.ignores !== 'since' && one.incremental.start_param === 'since',
    },
  }
}

/** A list that always gives its first page looks like one that has no other, unless something tells of more. */
function isHidden({ api: { ignores, total, flag, way } }: Case): boolean {
  const isCounted = COUNTED.some(([counted]) => counted === way)
  return ignores === 'position' && isCounted && total === undefined && flag === undefined
}

function isUnique({ ids = 'unique', records = 25 }: Traits, key: string): boolean {
  if (key === 'id') return ids === 'unique' || (ids === 'repeat' && records <= 7)
  return key === 'name' && records <= 101
}

async function loadsAll(made: Pipeline, records: number): Promise<boolean> {
  try {
    await made.run({ allowIncomplete: true, maxPages: 200 })
    const rows = await made.dataset().query('SELECT size, updated FROM things')
    return rows.length === records && new Set(rows.map(({ updated }) => String(updated))).size === records
  } catch {
    return records === 0
  }
}

interface Judged {
  readonly isRight: boolean
  readonly isFalselyProven: boolean
  readonly why: string
}

function judged(findings: readonly Finding[], truth: Truth): Judged {
  const of = (end: string) => findings.findLast(({ key }) => key.endsWith(`.${end}`))
  const faults: string[] = []
  let isFalselyProven = false
  for (const [key, isTrue] of Object.entries(truth.keys)) {
    const status = of(key)?.status
    if (isTrue === false && status === 'proven') isFalselyProven = true
    if ((isTrue === false && status === 'proven') || (isTrue === true && status === 'wrong'))
      faults.push(`${key} is ${isTrue}, and called ${status}`)
  }
  const isAnyWrong = findings.some(({ status }) => status === 'wrong')
  const isAllProven = findings.every(({ status }) => status === 'proven')
  if (truth.isWhole === false && isAllProven) {
    isFalselyProven = true
    faults.push('a run does not load the list, and all is called proven')
  }
  const paging = of('paginator')?.status
  if (truth.isWhole === false && !isAnyWrong && !isAllProven)
    faults.push(`a run does not load the list, and nothing is called wrong (${paging})`)
  if (truth.isHidden && paging === 'proven') {
    isFalselyProven = true
    faults.push('nobody can know whether the paginator is right, and it is called proven')
  }
  if (truth.isWhole === true && paging === 'wrong')
    faults.push('a run loads the list, and its paginator is called wrong')
  return { isRight: faults.length === 0, isFalselyProven, why: faults.join('; ') }
}

const only = process.argv[2]
let apis = 0
let right = 0
let falselyProven = 0
let mostRequests = 0
for (const [kind, cases] of Object.entries(KINDS)) {
  if (only !== undefined && !kind.includes(only)) continue
  let rightHere = 0
  for (const one of cases) {
    const proof = await serving(one.api, origin => prove(pipelineOf(one, origin), { clock }))
    const findings = proof.resources.flatMap(resource => resource.findings)
    const { isRight, isFalselyProven, why } = judged(findings, await truthOf(one))
    apis += 1
    mostRequests = Math.max(mostRequests, ...proof.resources.map(({ requests }) => requests.length))
    if (isRight) rightHere += 1
    else console.log(`  ${isFalselyProven ? 'FALSE' : 'open '} ${JSON.stringify(one)}: ${why}`)
    if (isFalselyProven) falselyProven += 1
  }
  right += rightHere
  console.log(`${kind.padEnd(44)} ${rightHere} of ${cases.length}`)
}
console.log(`
${'simulated APIs'.padEnd(44)} ${apis}, of ${Object.keys(KINDS).length} kinds
${'right'.padEnd(44)} ${right} (${((100 * right) / apis).toFixed(1)} %)
${'wrong, and called proven'.padEnd(44)} ${falselyProven}
${'most requests of one'.padEnd(44)} ${mostRequests}`)
process.exitCode = falselyProven === 0 ? 0 : 1
