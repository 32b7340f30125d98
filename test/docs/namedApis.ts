/** A request as an API of the recipes sees it. */
interface Asked {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly text: string
  readonly origin: string
}

interface Answer {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body: unknown
}

/** An API that answers as its documentation says. `round` counts runs from 1: records may change between two of them. */
export type NamedApi = (asked: Asked, round: number) => Answer

/** The secrets of all recipes, by the variable of the environment. */
export const secrets: Readonly<Record<string, string>> = {
  GITHUB_TOKEN: 'ghp_recipe_4711',
  STRIPE_KEY: 'sk_test_recipe_4711',
  HUBSPOT_TOKEN: 'pat-eu1-recipe-4711',
  SHOPIFY_TOKEN: 'shpat_recipe_4711',
  JIRA_EMAIL: 'ann@acme.example',
  JIRA_TOKEN: 'jira-recipe-4711',
  SALESFORCE_CLIENT_ID: 'salesforce-client-4711',
  SALESFORCE_CLIENT_SECRET: 'salesforce-secret-4711',
  NOTION_TOKEN: 'ntn_recipe_4711',
  SLACK_TOKEN: 'xoxb-recipe-4711',
  ZENDESK_TOKEN: 'zendesk-recipe-4711',
  AIRTABLE_TOKEN: 'pat.recipe.4711',
  STRAPI_TOKEN: 'strapi-recipe-4711',
  DIRECTUS_TOKEN: 'directus-recipe-4711',
  UNLEASH_TOKEN: 'user:recipe-4711',
  GRAPH_CLIENT_ID: 'graph-client-4711',
  GRAPH_CLIENT_SECRET: 'graph-secret-4711',
  ELASTIC_API_KEY: 'ZWxhc3RpYy1yZWNpcGU0NzEx',
  API_TOKEN: 'api-recipe-4711',
  FHIR_TOKEN: 'fhir-recipe-4711',
  SERVICE_ACCOUNT_TOKEN: 'kubernetes-recipe-4711',
  COUCH_PASSWORD: 'couch-recipe-4711',
  PLAID_CLIENT_ID: 'plaid-client-4711',
  PLAID_SECRET: 'plaid-secret-4711',
  PLAID_ACCESS_TOKEN: 'access-production-4711',
  GOOGLE_PRIVATE_KEY: '', // made by the test
}

const day = (number: number): string => `2024-01-${String(number).padStart(2, '0')}T00:00:00Z`
const notFound: Answer = { status: 404, body: { message: 'not found' } }
const json = (asked: Asked): Record<string, unknown> => JSON.parse(asked.text) as Record<string, unknown>
const basic = (user: string, password: string): string =>
  `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`
const bearer = (name: string): string => `Bearer ${secrets[name]}`

/** Answers 401 where a header does not hold what it should. */
function signed(header: string, expected: string, api: NamedApi): NamedApi {
  return (asked, round) =>
    asked.headers[header] === expected ? api(asked, round) : { status: 401, body: { message: 'unauthorized' } }
}

/** Answers 401 where a request does not have the token that a service account of Google gets. */
function byServiceAccount(expected: { readonly scope: string; readonly sub?: string }, api: NamedApi): NamedApi {
  return (asked, round) => {
    if (asked.path === '/token') {
      const form = new URLSearchParams(asked.text)
      const [, claims = ''] = form.get('assertion')?.split('.') ?? []
      const { iss, scope, sub } = JSON.parse(Buffer.from(claims, 'base64url').toString()) as Record<string, string>
      const isKnown = iss === 'loader@acme.iam.gserviceaccount.com' && scope?.endsWith(`/auth/${expected.scope}`)
      return isKnown && sub === (expected.sub ?? iss)
        ? { body: { access_token: 'ya29.recipe', expires_in: 3599, token_type: 'Bearer' } }
        : { status: 400, body: { error: 'invalid_grant' } }
    }
    if (asked.headers.authorization !== 'Bearer ya29.recipe') return { status: 401, body: {} }
    return api(asked, round)
  }
}

/** The part of a list that begins at `start`. */
const part = <Item>(items: readonly Item[], start: number, size: number): readonly Item[] =>
  items.slice(start, start + size)

/** An address of the same list with other parameters, as in links to a next page. */
function linkTo({ origin, path, query }: Asked, changes: Record<string, string>, only = false): string {
  const params = new URLSearchParams(only ? {} : query)
  for (const [name, value] of Object.entries(changes)) params.set(name, value)
  return `${origin}${path}?${params}`
}

/** Records 1 to `count` whose last two changed between the runs; all but them are older. */
function changing<Item>(count: number, round: number, item: (id: number, changedOn: number) => Item): readonly Item[] {
  return Array.from({ length: count }, (_, index) => {
    const id = index + 1
    return item(id, round === 2 && id > count - 2 ? 20 + id : id)
  })
}

const since = <Item>(items: readonly Item[], from: string | null, of: (item: Item) => string): readonly Item[] =>
  from === null ? items : items.filter(item => Date.parse(of(item)) >= Date.parse(from))

/** Lists of pages of two records, named by the recipe. */
export const namedApis: Readonly<Record<string, NamedApi>> = {
  github: signed('authorization', bearer('GITHUB_TOKEN'), (asked, round) => {
    if (asked.headers['x-github-api-version'] !== '2022-11-28') return { status: 400, body: {} }
    const paged = (items: readonly unknown[]): Answer => {
      const page = Number(asked.query.get('page') ?? 1)
      const last = Math.max(1, Math.ceil(items.length / 2))
      const links = [
        ...(page < last ? [['next', page + 1] as const, ['last', last] as const] : []),
        ...(page > 1 ? [['prev', page - 1] as const, ['first', 1] as const] : []),
      ]
      const link = links.map(([rel, number]) => `<${linkTo(asked, { page: String(number) })}>; rel="${rel}"`).join(', ')
      return { ...(link !== '' && { headers: { link } }), body: part(items, (page - 1) * 2, 2) }
    }
    if (asked.path === '/orgs/acme/repos') {
      return paged([1, 2, 3].map(id => ({ id, full_name: `acme/repo${id}`, license: null })))
    }
    const repo = /^\/repos\/acme\/repo(\d)\/issues$/.exec(asked.path)?.[1]
    if (repo === undefined || asked.query.get('state') !== 'all') return notFound
    const issues = changing(repo === '1' ? 3 : 1, round, (id, on) => ({
      id: Number(repo) * 100 + id,
      number: id,
      updated_at: day(on),
    }))
    return paged(since(issues, asked.query.get('since'), ({ updated_at }) => updated_at))
  }),

  stripe: signed('authorization', basic(secrets.STRIPE_KEY ?? '', ''), ({ path, query }, round) => {
    if (path !== '/v1/charges') return notFound
    // The newest comes first.
    const newest = (round === 1 ? [1, 2, 3, 4, 5] : [1, 2, 3, 4, 5, 6, 7])
      .map(id => ({ id: `ch_${id}`, object: 'charge', created: 1704067200 + id * 86_400, amount: id * 100 }))
      .filter(({ created }) => created >= Number(query.get('created[gte]') ?? 0))
      .toReversed()
    const after = newest.findIndex(({ id }) => id === query.get('starting_after'))
    const data = part(newest, after + 1, 2)
    return { body: { object: 'list', url: path, has_more: after + 1 + data.length < newest.length, data } }
  }),

  hubspot: signed('authorization', bearer('HUBSPOT_TOKEN'), ({ path, query, origin }, round) => {
    if (path !== '/crm/v3/objects/contacts' || query.get('limit') !== '100') return notFound
    const start = Number(query.get('after') ?? 0)
    const contacts = changing(5, round, (id, on) => ({
      id: String(id),
      properties: { email: `c${id}@example.com`, lifecyclestage: 'lead' },
      updatedAt: day(on),
    }))
    const results = part(contacts, start, 2)
    const after = String(start + 2)
    return {
      body: {
        results,
        ...(start + 2 < contacts.length && { paging: { next: { after, link: `${origin}${path}?after=${after}` } } }),
      },
    }
  }),

  hubspot_search: signed('authorization', bearer('HUBSPOT_TOKEN'), (asked, round) => {
    if (asked.method !== 'POST' || asked.path !== '/crm/v3/objects/contacts/search') return notFound
    const { filterGroups, after } = json(asked) as {
      filterGroups: { filters: { operator: string; value: unknown }[] }[]
      after?: string
    }
    const from = filterGroups[0]?.filters[0]?.value
    if (typeof from !== 'number') return { status: 400, body: { message: `invalid value ${String(from)}` } }
    const contacts = changing(5, round, (id, on) => ({ id: String(id), updatedAt: day(on), properties: {} })).filter(
      ({ updatedAt }) => Date.parse(updatedAt) >= from,
    )
    const start = Number(after ?? 0)
    return {
      body: {
        total: contacts.length,
        results: part(contacts, start, 2),
        ...(start + 2 < contacts.length && { paging: { next: { after: String(start + 2) } } }),
      },
    }
  }),

  shopify: signed('x-shopify-access-token', secrets.SHOPIFY_TOKEN ?? '', (asked, round) => {
    if (asked.path !== '/admin/api/2025-07/orders.json') return notFound
    const cursor = asked.query.get('page_info')
    // With page_info no other parameter but limit is allowed.
    if (cursor !== null && asked.query.has('status')) return { status: 400, body: { errors: 'page_info stands alone' } }
    const [from, start] = cursor === null ? [asked.query.get('updated_at_min'), 0] : JSON.parse(atob(cursor))
    const orders = since(
      changing(5, round, (id, on) => ({ id, updated_at: day(on), total_price: '9.90', line_items: [{ id: id * 10 }] })),
      from,
      ({ updated_at }) => updated_at,
    )
    const info = (at: number): string =>
      linkTo(asked, { limit: '250', page_info: btoa(JSON.stringify([from, at])) }, true)
    const links = [
      ...(start > 0 ? [`<${info(start - 2)}>; rel="previous"`] : []),
      ...(start + 2 < orders.length ? [`<${info(start + 2)}>; rel="next"`] : []),
    ]
    return {
      ...(links.length > 0 && { headers: { link: links.join(', ') } }),
      body: { orders: part(orders, start, 2) },
    }
  }),

  jira: signed('authorization', basic(secrets.JIRA_EMAIL ?? '', secrets.JIRA_TOKEN ?? ''), ({ path, query }, round) => {
    if (path === '/rest/api/3/project/search') {
      const startAt = Number(query.get('startAt'))
      const values = part(
        [1, 2, 3].map(id => ({ id: String(id), key: `P${id}` })),
        startAt,
        2,
      )
      return { body: { startAt, maxResults: 2, total: 3, isLast: startAt + values.length >= 3, values } }
    }
    const from = /^updated >= "(\d{4}-\d\d-\d\d \d\d:\d\d)" ORDER BY updated ASC$/.exec(query.get('jql') ?? '')?.[1]
    if (path !== '/rest/api/3/search/jql' || from === undefined) {
      return { status: 400, body: { errorMessages: ['Error in the JQL Query'] } }
    }
    const issues = changing(5, round, (id, on) => ({
      id: String(id),
      key: `P1-${id}`,
      fields: { summary: `issue ${id}`, updated: day(on).replace('Z', '.000+0000') },
    })).filter(({ fields }) => Date.parse(fields.updated) >= Date.parse(`${from}Z`))
    const start = Number(query.get('nextPageToken') ?? 0)
    const isLast = start + 2 >= issues.length
    return { body: { issues: part(issues, start, 2), ...(!isLast && { nextPageToken: String(start + 2) }), isLast } }
  }),

  salesforce: (asked, round) => {
    if (asked.path === '/services/oauth2/token') {
      const form = new URLSearchParams(asked.text)
      const isKnown =
        form.get('client_id') === secrets.SALESFORCE_CLIENT_ID &&
        form.get('client_secret') === secrets.SALESFORCE_CLIENT_SECRET &&
        form.get('grant_type') === 'client_credentials'
      return isKnown
        ? { body: { access_token: '00Drecipe!4711', token_type: 'Bearer', instance_url: asked.origin } }
        : { status: 400, body: { error: 'invalid_client' } }
    }
    if (asked.headers.authorization !== 'Bearer 00Drecipe!4711') return { status: 401, body: [] }
    const [, batch] = /^\/services\/data\/v62\.0\/query(?:\/(.+))?$/.exec(asked.path) ?? []
    const [from, start] =
      batch === undefined
        ? [/SystemModstamp >= (\S+Z)/.exec(asked.query.get('q') ?? '')?.[1], 0]
        : (JSON.parse(Buffer.from(batch, 'base64url').toString()) as [string, number])
    if (from === undefined) return { status: 400, body: [{ errorCode: 'MALFORMED_QUERY' }] }
    const accounts = changing(5, round, (id, on) => ({
      attributes: { type: 'Account' },
      Id: `001${id}`,
      AnnualRevenue: [0, 1000.5, 2001, null, 5][id - 1],
      SystemModstamp: day(on).replace('Z', '.000+0000'),
    })).filter(({ SystemModstamp }) => Date.parse(SystemModstamp) >= Date.parse(from))
    const next = Buffer.from(JSON.stringify([from, start + 2])).toString('base64url')
    const done = start + 2 >= accounts.length
    return {
      body: {
        totalSize: accounts.length,
        done,
        ...(!done && { nextRecordsUrl: `/services/data/v62.0/query/${next}` }),
        records: part(accounts, start, 2),
      },
    }
  },

  notion: signed('authorization', bearer('NOTION_TOKEN'), (asked, round) => {
    if (asked.method !== 'POST' || asked.path !== '/v1/databases/8a1f0c52d6d24e1b9d3f6b7a5c4e2f10/query')
      return notFound
    if (asked.headers['notion-version'] !== '2022-06-28') return { status: 400, body: { code: 'missing_version' } }
    const { filter, start_cursor } = json(asked) as {
      filter: { last_edited_time: { on_or_after: string } }
      start_cursor?: unknown
    }
    if (start_cursor !== undefined && typeof start_cursor !== 'string') {
      return { status: 400, body: { code: 'validation_error' } }
    }
    const tasks = since(
      changing(5, round, (id, on) => ({
        object: 'page',
        id: `task-${id}`,
        last_edited_time: day(on),
        properties: { Tags: { multi_select: [{ name: 'a' }] } },
      })),
      filter.last_edited_time.on_or_after,
      ({ last_edited_time }) => last_edited_time,
    )
    const start = Number(start_cursor ?? 0)
    const has_more = start + 2 < tasks.length
    const next_cursor = has_more ? String(start + 2) : null
    return { body: { object: 'list', results: part(tasks, start, 2), next_cursor, has_more, type: 'page_or_database' } }
  }),

  slack: ({ headers, path, query }, round) => {
    if (headers.authorization !== bearer('SLACK_TOKEN')) return { body: { ok: false, error: 'invalid_auth' } }
    const start = Number(query.get('cursor') ?? 0)
    const paged = (name: string, items: readonly unknown[]): Answer => ({
      body: {
        ok: true,
        [name]: part(items, start, 2),
        ...(name === 'messages' && { has_more: start + 2 < items.length }),
        response_metadata: { next_cursor: start + 2 < items.length ? String(start + 2) : '' },
      },
    })
    if (path === '/api/conversations.list') return paged('channels', [{ id: 'C1' }, { id: 'C2' }, { id: 'C3' }])
    const channel = /^C([123])$/.exec(query.get('channel') ?? '')?.[1]
    if (path !== '/api/conversations.history' || channel === undefined) {
      return { body: { ok: false, error: 'channel_not_found' } }
    }
    const messages = changing(channel === '1' ? 3 : 1, round, (id, on) => ({
      type: 'message',
      ts: `${1704067200 + (on + Number(channel)) * 86_400}.00010${id}`,
      text: `message ${id}`,
    })).filter(({ ts }) => Number(ts) >= Number(query.get('oldest')))
    return paged('messages', messages.toReversed())
  },

  zendesk: signed(
    'authorization',
    basic('agent@example.com/token', secrets.ZENDESK_TOKEN ?? ''),
    ({ path, query }, round) => {
      if (path !== '/api/v2/tickets.json' || query.get('sort') !== '-updated_at') return notFound
      const tickets = changing(5, round, (id, on) => ({
        id,
        updated_at: day(on),
        subject: `ticket ${id}`,
      })).toReversed()
      const start = Number(query.get('page[after]') ?? 0)
      const has_more = start + 2 < tickets.length
      const meta = { has_more, after_cursor: String(start + 2), before_cursor: String(start) }
      return { body: { tickets: part(tickets, start, 2), meta, links: { prev: null, next: null } } }
    },
  ),

  airtable: signed('authorization', bearer('AIRTABLE_TOKEN'), ({ path, query }, round) => {
    const from = /^NOT\(IS_BEFORE\(\{Last modified\}, '(.+)'\)\)$/.exec(query.get('filterByFormula') ?? '')?.[1]
    if (path !== '/v0/appAbCdEfGhIjKlMn/Tasks') return notFound
    if (from === undefined) return { status: 422, body: { error: { type: 'INVALID_FILTER_BY_FORMULA' } } }
    const tasks = since(
      changing(5, round, (id, on) => ({ id: `rec${id}`, createdTime: day(1), fields: { 'Last modified': day(on) } })),
      from,
      ({ fields }) => fields['Last modified'],
    )
    const start = Number(/^itr(\d+)$/.exec(query.get('offset') ?? '')?.[1] ?? 0)
    return {
      body: { records: part(tasks, start, 2), ...(start + 2 < tasks.length && { offset: `itr${start + 2}` }) },
    }
  }),

  strapi: signed('authorization', bearer('STRAPI_TOKEN'), ({ path, query }, round) => {
    if (path !== '/api/articles') return notFound
    const articles = since(
      changing(5, round, (id, on) => ({ id, documentId: `doc${id}`, updatedAt: day(on), title: `article ${id}` })),
      query.get('filters[updatedAt][$gte]'),
      ({ updatedAt }) => updatedAt,
    )
    const page = Number(query.get('pagination[page]') ?? 1)
    const pagination = { page, pageSize: 2, pageCount: Math.ceil(articles.length / 2), total: articles.length }
    return { body: { data: part(articles, (page - 1) * 2, 2), meta: { pagination } } }
  }),

  directus: signed('authorization', bearer('DIRECTUS_TOKEN'), ({ path, query }, round) => {
    if (path !== '/items/articles') return notFound
    // One of twelve is gone in the second run.
    const items = Array.from({ length: 220 }, (_, index) => ({ id: index + 1, date_updated: null })).filter(
      ({ id }) => round === 1 || id !== 7,
    )
    return {
      body: {
        ...(query.get('meta') === 'filter_count' && { meta: { filter_count: items.length } }),
        data: part(items, Number(query.get('offset') ?? 0), Number(query.get('limit') ?? 100)),
      },
    }
  }),

  unleash: signed('authorization', secrets.UNLEASH_TOKEN ?? '', ({ path, query }, round) => {
    if (path !== '/api/admin/search/features') return notFound
    const flags = Array.from({ length: 120 }, (_, index) => ({ project: 'default', name: `flag-${index}` })).filter(
      ({ name }) => round === 1 || name !== 'flag-3',
    )
    const features = part(flags, Number(query.get('offset') ?? 0), Number(query.get('limit') ?? 50))
    return { body: { features, total: flags.length } }
  }),

  graph: (asked, round) => {
    if (asked.path === '/acme.onmicrosoft.com/oauth2/v2.0/token') {
      const form = new URLSearchParams(asked.text)
      return form.get('client_secret') === secrets.GRAPH_CLIENT_SECRET && form.get('scope')?.endsWith('/.default')
        ? { body: { token_type: 'Bearer', expires_in: 3599, access_token: 'graph-recipe-token' } }
        : { status: 401, body: { error: 'invalid_client' } }
    }
    if (asked.headers.authorization !== 'Bearer graph-recipe-token') return { status: 401, body: {} }
    const start = Number(asked.query.get('$skiptoken') ?? 0)
    const paged = (items: readonly unknown[]): Answer => ({
      body: {
        '@odata.context': 'https://graph.microsoft.com/v1.0/$metadata',
        ...(asked.query.get('$count') === 'true' && start === 0 && { '@odata.count': items.length }),
        ...(start + 2 < items.length && { '@odata.nextLink': linkTo(asked, { $skiptoken: String(start + 2) }) }),
        value: part(items, start, 2),
      },
    })
    if (asked.path === '/v1.0/users') {
      if (asked.headers.consistencylevel !== 'eventual') return { status: 400, body: {} }
      return paged([1, 2, 3].map(id => ({ id: `u${id}`, displayName: `User ${id}`, mail: null })))
    }
    const user = /^\/v1\.0\/users\/u([123])\/messages$/.exec(asked.path)?.[1]
    const from = /^receivedDateTime ge (\S+)$/.exec(asked.query.get('$filter') ?? '')?.[1]
    if (user === undefined || from === undefined) return notFound
    const messages = changing(user === '1' ? 3 : 1, round, (id, on) => ({
      id: `u${user}-m${id}`,
      subject: 'hello',
      receivedDateTime: day(on),
    }))
    return paged(since(messages, from, ({ receivedDateTime }) => receivedDateTime))
  },

  elasticsearch: signed('authorization', `ApiKey ${secrets.ELASTIC_API_KEY}`, (asked, round) => {
    if (asked.method !== 'POST' || asked.path !== '/orders/_search') return notFound
    const { query, search_after, track_total_hits } = json(asked) as {
      query: { range: { updated_at: { gte: string } } }
      search_after?: [number, number]
      track_total_hits?: boolean
    }
    const hits = since(
      changing(5, round, (id, on) => ({
        _index: 'orders',
        _id: `o${id}`,
        _source: { order_id: id, amount: id * 10, updated_at: day(on) },
        sort: [Date.parse(day(on)), id],
      })),
      query.range.updated_at.gte,
      ({ _source }) => _source.updated_at,
    )
    const start =
      search_after === undefined ? 0 : hits.findIndex(({ _source }) => _source.order_id === search_after[1]) + 1
    const total = track_total_hits ? { value: hits.length, relation: 'eq' } : { value: 2, relation: 'gte' }
    return { body: { took: 1, timed_out: false, hits: { total, max_score: null, hits: part(hits, start, 2) } } }
  }),

  graphql: signed('authorization', bearer('API_TOKEN'), (asked, round) => {
    if (asked.method !== 'POST' || asked.path !== '/graphql') return notFound
    const { query, variables } = json(asked) as {
      query: string
      variables: { first: number; after: string | null; since: string }
    }
    if (query.includes('{{') || !query.includes('pageInfo { endCursor hasNextPage }')) {
      return { body: { data: null, errors: [{ message: 'Syntax Error: Expected Name, found "{".' }] } }
    }
    const orders = since(
      changing(5, round, (id, on) => ({ id, status: 'paid', updatedAt: day(on), lines: [{ sku: 'a', quantity: id }] })),
      variables.since,
      ({ updatedAt }) => updatedAt,
    )
    const start = Number(variables.after ?? 0)
    const nodes = part(orders, start, 2)
    const pageInfo = { endCursor: String(start + nodes.length), hasNextPage: start + 2 < orders.length }
    return { body: { data: { orders: { nodes, pageInfo } } } }
  }),

  jsonapi: signed('authorization', bearer('API_TOKEN'), (asked, round) => {
    if (asked.path !== '/articles' || asked.headers.accept !== 'application/vnd.api+json') return notFound
    const articles = since(
      changing(5, round, (id, on) => ({ type: 'articles', id: String(id), attributes: { updated_at: day(on) } })),
      asked.query.get('filter[updated_since]'),
      ({ attributes }) => attributes.updated_at,
    )
    const start = Number(asked.query.get('page[offset]') ?? 0)
    const next = start + 2 < articles.length ? linkTo(asked, { 'page[offset]': String(start + 2) }) : null
    return {
      headers: { 'content-type': 'application/vnd.api+json' },
      body: { data: part(articles, start, 2), links: { self: linkTo(asked, {}), next } },
    }
  }),

  fhir: signed('authorization', bearer('FHIR_TOKEN'), (asked, round) => {
    if (asked.path !== '/r4/Patient') return notFound
    const from = /^ge(.+)$/.exec(asked.query.get('_lastUpdated') ?? '')?.[1] ?? null
    const patients = since(
      changing(5, round, (id, on) => ({ resourceType: 'Patient', id: `p${id}`, meta: { lastUpdated: day(on) } })),
      from,
      ({ meta }) => meta.lastUpdated,
    )
    const start = Number(asked.query.get('_offset') ?? 0)
    const entry = part(patients, start, 2).map(resource => ({ fullUrl: `urn:${resource.id}`, resource }))
    return {
      headers: { 'content-type': 'application/fhir+json' },
      body: {
        resourceType: 'Bundle',
        type: 'searchset',
        total: patients.length,
        link: [
          { relation: 'self', url: linkTo(asked, {}) },
          ...(start + 2 < patients.length
            ? [{ relation: 'next', url: linkTo(asked, { _offset: String(start + 2) }) }]
            : []),
        ],
        ...(entry.length > 0 && { entry }),
      },
    }
  }),

  kubernetes: signed('authorization', bearer('SERVICE_ACCOUNT_TOKEN'), ({ path, query }, round) => {
    if (path === '/api/v1/nodes') {
      const items = [{ metadata: { uid: 'node-1', name: 'a' } }]
      return { body: { kind: 'NodeList', apiVersion: 'v1', metadata: { resourceVersion: '7' }, items } }
    }
    if (path !== '/api/v1/pods' || query.get('limit') !== '500') return notFound
    const pods = [1, 2, 3, 4, 5].map(id => ({
      metadata: { uid: `uid-${round === 2 && id === 2 ? 12 : id}`, name: `pod-${id}`, namespace: 'default' },
      spec: { containers: [{ name: 'main', image: 'app:1' }] },
    }))
    const start = Number(query.get('continue') ?? 0)
    const remaining = pods.length - start - 2
    const more = remaining > 0 ? { continue: String(start + 2), remainingItemCount: remaining } : {}
    return {
      body: {
        kind: 'PodList',
        apiVersion: 'v1',
        metadata: { resourceVersion: String(100 + round), ...more },
        items: part(pods, start, 2),
      },
    }
  }),

  google: byServiceAccount({ scope: 'calendar.readonly' }, (asked, round) => {
    if (decodeURIComponent(asked.path) !== '/calendar/v3/calendars/team@acme.example/events') return notFound
    const events = since(
      changing(5, round, (id, on) => ({ kind: 'calendar#event', id: `e${id}`, updated: day(on) })),
      asked.query.get('updatedMin'),
      ({ updated }) => updated,
    )
    const start = Number(asked.query.get('pageToken') ?? 0)
    const isLast = start + 2 >= events.length
    return {
      body: {
        kind: 'calendar#events',
        ...(isLast ? { nextSyncToken: 'sync-4711' } : { nextPageToken: String(start + 2) }),
        items: part(events, start, 2),
      },
    }
  }),

  gmail: byServiceAccount({ scope: 'gmail.readonly', sub: 'ann@acme.example' }, ({ path, query }, round) => {
    const message = (number: number) => ({ id: `m${number}`, threadId: `t${number}` })
    const start = Number(query.get('pageToken') ?? 0)
    const next = (isLast: boolean) => (isLast ? {} : { nextPageToken: String(start + 2) })
    const me = '/gmail/v1/users/me'
    if (path === `${me}/profile`)
      return { body: { emailAddress: 'ann@acme.example', messagesTotal: 5, historyId: '100' } }
    if (path === `${me}/messages`) {
      const messages = [5, 4, 3, 2, 1].map(message)
      return { body: { messages: part(messages, start, 2), ...next(start + 2 >= 5), resultSizeEstimate: 5 } }
    }
    if (path !== `${me}/history` || query.getAll('historyTypes').join() !== 'messageAdded,messageDeleted')
      return notFound
    if (Number(query.get('startHistoryId')) < 100) return { status: 404, body: { error: { code: 404 } } }
    const entry = (id: number, kind: string, of: number) => ({
      id: String(id),
      messages: [message(of)],
      [kind]: [{ message: { ...message(of), labelIds: ['INBOX'] } }],
    })
    // The first of them arrived while the list was read.
    const history = [entry(101, 'messagesAdded', 6), entry(105, 'messagesDeleted', 2), entry(107, 'messagesAdded', 7)]
    const isQuiet = round === 1
    return {
      body: {
        ...(!isQuiet && { history: part(history, start, 2) }),
        ...next(isQuiet || start + 2 >= 3),
        historyId: '107',
      },
    }
  }),

  drive: byServiceAccount({ scope: 'drive.metadata.readonly' }, ({ path, query }) => {
    const file = (number: number, on = number) => ({ name: `file ${number}`, modifiedTime: day(on), trashed: false })
    const token = Number(query.get('pageToken') ?? 0)
    if (path === '/drive/v3/changes/startPageToken') return { body: { startPageToken: '40' } }
    if (path === '/drive/v3/files' && query.get('q') === 'trashed = false') {
      const files = [1, 2, 3, 4, 5].map(number => ({ id: `f${number}`, ...file(number) }))
      return { body: { files: part(files, token, 2), ...(token + 2 < 5 && { nextPageToken: String(token + 2) }) } }
    }
    if (path !== '/drive/v3/changes' || query.has('q')) return notFound
    const changes = [
      { fileId: 'f6', removed: false, file: file(6) },
      { fileId: 'f1', removed: true },
      { fileId: 'f2', removed: false, file: { ...file(2, 20), trashed: true } },
      { fileId: 'f3', removed: false, file: file(3, 21) },
    ]
    const isLast = token + 2 >= 44
    return {
      body: {
        changes: part(changes, token - 40, 2),
        ...(isLast ? { newStartPageToken: '44' } : { nextPageToken: String(token + 2) }),
      },
    }
  }),

  couchdb: signed('authorization', basic('loader', secrets.COUCH_PASSWORD ?? ''), ({ path, query }, round) => {
    if (path !== '/orders/_changes' || query.get('include_docs') !== 'true') return notFound
    // A proxy in front of it refuses more.
    if (Number(query.get('limit')) > 25) return { status: 413, body: { error: 'too_large' } }
    const change = (seq: number, id: string, isDeleted = false) => ({
      seq: `${seq}-g1AAAA`,
      id,
      changes: [{ rev: `${seq}-a` }],
      ...(isDeleted && { deleted: true }),
      doc: { _id: id, _rev: `${seq}-a`, ...(isDeleted ? { _deleted: true } : { amount: seq }) },
    })
    const changes = [1, 2, 3, 4, 5].map(seq => change(seq, `order:${seq}`))
    if (round === 2) changes.push(change(6, 'order:6'), change(7, 'order:2', true))
    const since = Number.parseInt(query.get('since') ?? '0', 10)
    const results = part(changes, since, 2)
    return {
      body: {
        results,
        last_seq: results.at(-1)?.seq ?? query.get('since'),
        pending: changes.length - since - results.length,
      },
    }
  }),
  plaid: asked => {
    const { client_id, secret, access_token, cursor, count } = json(asked)
    const isKnown =
      client_id === secrets.PLAID_CLIENT_ID &&
      secret === secrets.PLAID_SECRET &&
      access_token === secrets.PLAID_ACCESS_TOKEN
    if (asked.method !== 'POST' || asked.path !== '/transactions/sync' || count !== 500) return notFound
    if (!isKnown) return { status: 400, body: { error_type: 'INVALID_INPUT', error_code: 'INVALID_API_KEYS' } }
    const transaction = (number: number, amount = number) => ({ transaction_id: `t${number}`, amount, pending: false })
    const changes: Readonly<Record<string, object>> = {
      null: { added: [1, 2, 3].map(number => transaction(number)), next_cursor: 'c1', has_more: true },
      c1: { added: [4, 5].map(number => transaction(number)), next_cursor: 'c2', has_more: false },
      c2: {
        added: [transaction(6)],
        modified: [transaction(2, 20)],
        removed: [{ transaction_id: 't1', account_id: 'a1' }],
        next_cursor: 'c3',
        has_more: false,
      },
    }
    const found = changes[String(cursor ?? null)]
    if (found === undefined) return { status: 400, body: { error_code: 'INVALID_FIELD' } }
    return { body: { added: [], modified: [], removed: [], request_id: 'r1', ...found } }
  },
}
