import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { Webhook } from 'standardwebhooks'
import { describe, expect, it, test } from 'vitest'
import {
  duckdb,
  loadPipelineFile,
  type Notice,
  type Notification,
  notifying,
  type Pipeline,
  pipeline,
  type RunEvent,
  restApi,
} from '../../src/index.js'
import { type Answer, testApi, testFolder } from './api.js'

interface Delivery {
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

const NOTHING: Delivery = { path: '', headers: {}, body: '' }

/** A receiver of webhooks that keeps what it gets, and answers with these statuses, the last one for ever. */
async function receiver(...statuses: readonly number[]) {
  const deliveries: Delivery[] = []
  const { url } = await testApi(async ({ pathname }, request) => {
    deliveries.push({ path: pathname, headers: request.headers as Record<string, string>, body: await text(request) })
    return { status: statuses[Math.min(deliveries.length, statuses.length) - 1] ?? 204, json: {} }
  })
  return {
    url,
    deliveries,
    notices: (): readonly Notice[] => deliveries.map(({ body }) => JSON.parse(body) as Notice),
  }
}

/** A pipeline of one resource whose answers are taken one after the other, the last one for ever. */
async function orders(answers: readonly Answer[], resource: object = {}): Promise<Pipeline> {
  let asked = 0
  const { url } = await testApi(() => answers[Math.min(asked++, answers.length - 1)] ?? {})
  const folder = await testFolder()
  return pipeline({
    name: 'orders',
    source: restApi({
      client: { base_url: url, retry: { attempts: 1 }, paginator: 'single_page' },
      resources: [{ name: 'orders', ...resource }],
    }),
    destination: duckdb(join(folder, 'orders.duckdb')),
    home: join(folder, 'home'),
  })
}

const ONE: Answer = { json: [{ id: 1 }] }
const TWELVE = Array.from({ length: 12 }, (_, id) => id)

describe('occasions', () => {
  const few = { expect: { min_records: 2 } }
  const frozen = { schema_contract: { columns: 'discard_value' } }
  it.each<[string, readonly Answer[], object, object, readonly string[], RegExp]>([
    ['success', [ONE], {}, {}, ['success'], /^orders: the run succeeded$/],
    ['failure', [{ status: 500, json: {} }], {}, {}, ['failure'], /^orders: the run failed: .*500/],
    [
      'failure, incomplete',
      [ONE],
      few,
      {},
      ['failure', 'incomplete'],
      /the run failed: .*min_records.*[^.]\. Nothing was committed; `allowIncomplete` \(--allow-incomplete\) commits/,
    ],
    [
      'incomplete',
      [ONE],
      few,
      { allowIncomplete: true },
      ['incomplete'],
      /^orders: orders is incomplete: .*min_records/,
    ],
    [
      'drift',
      [{ json: TWELVE.map(id => ({ id, lines: [{ sku: 'a' }] })) }, { json: TWELVE.map(id => ({ id })) }],
      { primary_key: 'id', write_disposition: 'merge' },
      {},
      ['drift'],
      /^orders: 12 rows of orders .* gone: orders__lines \(12 rows\)\./,
    ],
    ['drift', [ONE, { json: [{ id: 1, coupon: 'x' }] }], {}, {}, ['drift'], /schema changed: .*new orders\.coupon/],
    ['drift', [ONE, { json: [{ id: 'x' }] }], {}, {}, ['drift'], /schema changed: .*orders\.id__v_text/],
    ['drift', [ONE, { json: [{ id: 1, coupon: 'x' }] }], frozen, {}, ['drift'], /contract discarded/],
  ])('%s', async (_, answers, resource, options, occasions, message) => {
    const hook = await receiver()
    const made = await orders(answers, resource)
    for (const _earlier of answers.slice(1)) await made.run()
    const all = notifying(made, [{ on: ['failure', 'incomplete', 'drift', 'success'], webhook: hook.url }])
    await all.run(options).catch(() => {})
    expect(hook.notices()).toMatchObject([{ occasions, message: expect.stringMatching(message), pipeline: 'orders' }])
  })

  it('nobody is told of what nobody wants to know', async () => {
    const hook = await receiver()
    const made = notifying(await orders([ONE]), [
      { webhook: hook.url },
      { on: ['failure'], webhook: hook.url },
      { on: ['late'], webhook: hook.url, lateAfter: 'PT1H' },
    ])
    await made.run()
    expect(hook.deliveries).toEqual([])
  })

  it('the run that was stopped is nobody’s failure', async () => {
    const hook = await receiver()
    const made = notifying(await orders([ONE]), [{ webhook: hook.url }])
    await expect(made.run({ signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'aborted' })
    expect(hook.deliveries).toEqual([])
  })

  it('late is a run that loads nothing long after the last load', async () => {
    const hook = await receiver()
    const made = await orders([ONE, { status: 500, json: {} }])
    await made.run()
    const late = notifying(made, [
      { on: ['late'], webhook: `${hook.url}/soon`, lateAfter: 'PT0.001S' },
      { on: ['late'], webhook: `${hook.url}/tomorrow`, lateAfter: 'P1D' },
    ])
    await expect(late.run()).rejects.toThrow('500')
    const [load] = await made.dataset().history()
    expect(hook.deliveries.map(({ path }) => path)).toEqual(['/soon'])
    expect(hook.notices()).toMatchObject([
      { occasions: ['failure', 'late'], last_load: load?.committedAt.toISOString(), load_id: null },
    ])
  })

  it('a pipeline that never loaded is late', async () => {
    const hook = await receiver()
    const never = await orders([{ status: 500, json: {} }])
    await notifying(never, [{ on: ['late'], webhook: hook.url, lateAfter: 'P1D' }])
      .run()
      .catch(() => {})
    expect(hook.notices()).toMatchObject([{ last_load: null, message: expect.stringContaining('never a load') }])
  })

  it('a backfill is told once, with the load of its last window', async () => {
    const hook = await receiver()
    const incremental = {
      cursor_path: 'at',
      initial_value: '2024-01-01',
      row_order: 'asc',
      start_param: 'from',
      end_param: 'to',
    }
    const made = await orders([{ json: [{ id: 1, at: '2024-01-01' }] }], { endpoint: { incremental } })
    const told = notifying(made, [{ on: ['success', 'failure'], webhook: hook.url }])
    const { loads } = await told.backfill('orders', { from: '2024-01-01', to: '2024-01-04', step: 'P1D' })
    expect(loads).toHaveLength(3)
    expect(hook.notices()).toMatchObject([{ work: 'backfill', load_id: loads.at(-1)?.loadId }])
  })
})

describe('a webhook', () => {
  it.each([
    ['a text', 'a key that is a text', { format: 'raw' }],
    [
      'base64, as of Standard Webhooks',
      `whsec_${Buffer.from('a key of 24 bytes or so').toString('base64')}`,
      undefined,
    ],
  ] as const)('is signed by a key that is %s', async (_, secret, options) => {
    const hook = await receiver()
    const made = notifying(await orders([ONE]), [{ on: ['success'], webhook: hook.url, secret }])
    await made.run()
    const [{ headers, body } = NOTHING] = hook.deliveries
    const verifier = options === undefined ? new Webhook(secret) : new Webhook(secret, options)
    expect(verifier.verify(body, { ...headers })).toMatchObject({
      version: 1,
      id: headers['webhook-id'],
    })
    expect(() => verifier.verify(`${body} `, { ...headers })).toThrow('signature')
    const later = { ...headers, 'webhook-timestamp': String(Number(headers['webhook-timestamp']) - 3600) }
    expect(() => verifier.verify(body, later)).toThrow('old')
  })

  it('is sent again with the same id after a passing fault', async () => {
    const hook = await receiver(503, 429, 200)
    const { warnings } = await notifying(await orders([ONE]), [{ on: ['success'], webhook: hook.url }]).run()
    expect(warnings).toEqual([])
    expect(hook.deliveries).toHaveLength(3)
    expect(new Set(hook.notices().map(({ id }) => id)).size).toBe(1)
  })

  it.each([
    ['refuses', [404], { maxSeconds: 5 }, 1, 'answered 404'],
    ['leads elsewhere', [302], { maxSeconds: 5 }, 1, 'answered 302'],
    ['never works', [500], { maxSeconds: 5 }, 3, 'answered 500 3 times'],
    ['has no time to work again', [500], { maxSeconds: 0.1 }, 1, 'answered 500'],
  ] as const)('that %s is a warning of a run that succeeds', async (_, statuses, bound, times, said) => {
    const hook = await receiver(...statuses)
    const heard: RunEvent[] = []
    const webhook = `${hook.url}/services/T0/the-credential-of-a-chat`
    const made = notifying(await orders([ONE]), [{ on: ['success'], webhook, ...bound }])
    const { warnings, rows } = await made.run({ onEvent: event => void heard.push(event) })
    expect(rows).toEqual({ orders: 1 })
    expect(warnings).toEqual([expect.objectContaining({ code: 'notify_failed' })])
    expect(warnings[0]?.message).toBe(`notify[0]: the webhook at ${hook.url} ${said}; the work itself is not affected`)
    expect(heard.filter(event => event.type === 'warning')).toEqual(warnings)
    expect(hook.deliveries).toHaveLength(times)
  })

  it('that never answers holds the run no longer than its bound', async () => {
    const { url } = await testApi(() => new Promise(() => {}))
    const made = notifying(await orders([ONE]), [{ on: ['success'], webhook: url, maxSeconds: 0.2 }])
    const { warnings } = await made.run()
    expect(warnings).toMatchObject([{ code: 'notify_failed', message: expect.stringContaining('in time') }])
  })

  it('of a failure leaves the failure as it is', async () => {
    const heard: RunEvent[] = []
    const made = notifying(await orders([{ status: 500, json: {} }]), [
      { webhook: 'http://127.0.0.1:9/', maxSeconds: 5 },
    ])
    await expect(made.run({ onEvent: event => void heard.push(event) })).rejects.toMatchObject({ code: 'http_status' })
    expect(heard.at(-1)).toMatchObject({
      code: 'notify_failed',
      message: expect.stringContaining('could not be reached'),
    })
  })

  it('mentions nobody in a chat, and makes no link, whatever the API says', async () => {
    const hook = await receiver()
    const made = await orders([{ status: 500, body: '<!channel> @here <http://evil.example|click>' }])
    await notifying(made, [{ webhook: hook.url }])
      .run()
      .catch(() => {})
    const [notice] = hook.notices()
    expect(notice?.message).toContain('<!channel> @here')
    expect(notice?.text).not.toMatch(/[<>]|@\w/)
  })

  it('never holds a secret', async () => {
    const hook = await receiver()
    const { url } = await testApi((_, { headers }) => ({ status: 500, json: { you_sent: headers.authorization } }))
    const folder = await testFolder()
    const source = restApi({
      client: { base_url: url, retry: { attempts: 1 }, auth: { type: 'bearer', token: 'tok-4711-secret' } },
      resources: ['orders'],
    })
    const made = pipeline({ name: 'orders', source, destination: duckdb(join(folder, 'x.duckdb')), home: folder })
    await notifying(made, [{ webhook: hook.url }])
      .run()
      .catch(() => {})
    expect(hook.notices()).toMatchObject([{ error: { message: expect.stringContaining('you_sent') } }])
    expect(hook.deliveries[0]?.body).not.toContain('4711')
  })
})

describe('a command', () => {
  const keeping = (file: string): readonly string[] => [
    process.execPath,
    '-e',
    `const { readFileSync, writeFileSync } = require('node:fs')
     writeFileSync(${JSON.stringify(file)}, JSON.stringify({ argv: process.argv.slice(1), notice: JSON.parse(readFileSync(0, 'utf8')) }))`,
    '$(touch pwned)',
  ]

  it('gets the notice on its input, and no shell reads its arguments', async () => {
    const folder = await testFolder()
    const file = join(folder, 'kept.json')
    const made = await orders([{ status: 500, body: '"; touch pwned; `touch pwned`' }])
    const told = notifying(made, [{ command: keeping(file) }], { cwd: folder })
    await expect(told.run()).rejects.toThrow('500')
    const { argv, notice } = JSON.parse(await readFile(file, 'utf8')) as { argv: string[]; notice: Notice }
    expect(argv).toEqual(['$(touch pwned)'])
    expect(notice).toMatchObject({ occasions: ['failure'], message: expect.stringContaining('`touch pwned`') })
    await expect(readFile(join(folder, 'pwned'))).rejects.toThrow('ENOENT')
  })

  it.each<[string, Notification, string]>([
    [
      'fails',
      { command: [process.execPath, '-e', 'console.error("no pager"); process.exit(3)'] },
      'ended with 3: no pager',
    ],
    ['is not there', { command: ['no-such-program-anywhere'] }, 'there is no such program'],
    ['may not be run', { command: [fileURLToPath(import.meta.url)] }, '`chmod +x` allows it'],
    ['does not end', { command: [process.execPath, '-e', 'setInterval(() => {}, 1000)'], maxSeconds: 0.3 }, 'in time'],
    ['reads nothing', { command: [process.execPath, '-e', 'process.exit(1)'] }, 'ended with 1'],
  ])('that %s is a warning', async (_, notification, said) => {
    const { warnings } = await notifying(await orders([ONE]), [{ on: ['success'], ...notification }]).run()
    expect(warnings).toMatchObject([{ code: 'notify_failed', message: expect.stringContaining(said) }])
  })
})

describe('a pipeline file', () => {
  const file = async (notify: string, url = 'http://127.0.0.1:9') => {
    const folder = await testFolder()
    const path = join(folder, 'orders.yaml')
    await writeFile(
      path,
      `destination: duckdb:orders.duckdb
profiles: { dev: { dataset: dev, notify: [] } }
${notify}
client: { base_url: ${url}, retry: { attempts: 1 } }
resources: [orders]
`,
    )
    return path
  }

  it('tells as it says, with secrets of the environment', async () => {
    const hook = await receiver()
    const path = await file('notify: { on: failure, webhook: "${env.HOOK}/x", secret: "${secrets.notify_key}" }')
    const env = { HOOK: hook.url, NOTIFY_KEY: 'a key' }
    const [made] = (await loadPipelineFile(path, { env })).pipelines
    await expect(made?.run()).rejects.toMatchObject({ code: 'connection' })
    const [{ headers, body } = NOTHING] = hook.deliveries
    new Webhook('a key', { format: 'raw' }).verify(body, { ...headers })
    expect(hook.notices()).toMatchObject([{ occasions: ['failure'], dataset: 'orders_dataset' }])
    const [dev] = (await loadPipelineFile(path, { env, profile: 'dev' })).pipelines
    await expect(dev?.run()).rejects.toMatchObject({ code: 'connection' })
    expect(hook.deliveries).toHaveLength(1)
  })

  it.each([
    ['notify: { on: failure }', 'notify: tells nobody'],
    ['notify: [{ command: [x], secret: "${secrets.k}" }]', 'notify[0]: has a `secret` but no `webhook`'],
    ['notify: { webhook: ftp://x }', 'notify.webhook: expected an http or https URL'],
    ['notify: { webhook: http://x, secret: in clear }', 'notify.secret: expected a reference to a secret'],
    ['notify: { on: late, command: [x] }', 'without a longest time between loads'],
    ['notify: { command: [x], late_after: 2 hours }', 'notify.late_after: expected an ISO 8601 duration'],
    ['notify: { command: [] }', 'notify.command'],
    ['notify: { on: faliure, command: [x] }', 'failure'],
    ['notify: { command: [x], max_seconds: 3600 }', 'notify.max_seconds'],
    ['notify: { webhook: "${secrets.chat}" }', 'the secret `chat` is missing'],
  ])('with a mistake is refused before anything is requested: %s', async (notify, said) => {
    const path = await file(notify)
    await expect(loadPipelineFile(path, { env: {} })).rejects.toThrow(said)
    await expect(loadPipelineFile(path, { env: {} })).rejects.toThrow(/orders\.yaml:3:\d+/)
  })

  it('whose secrets are missing can be read, and a replay says that it could tell nobody', async () => {
    const path = await file('notify: { on: failure, webhook: "${secrets.chat}" }')
    const heard: RunEvent[] = []
    const { pipelines } = await loadPipelineFile(path, { env: {}, withoutSecrets: true })
    await expect(pipelines[0]?.replay(undefined, { onEvent: event => void heard.push(event) })).rejects.toThrow(
      'journal',
    )
    expect(heard).toMatchObject([
      { type: 'run_failed' },
      { code: 'notify_failed', message: expect.stringContaining('the secret `chat` is missing') },
    ])
  })
})

test('an event names the tables and columns that a load changed, but for the first one', async () => {
  const heard: RunEvent[] = []
  const made = await orders([ONE, { json: [{ id: 1, lines: [{ sku: 'a' }] }] }])
  for (let run = 1; run <= 3; run++) await made.run({ onEvent: event => void heard.push(event) })
  const changed = heard.filter(event => event.type === 'schema_changed')
  expect(changed).toMatchObject([{ changes: [{ what: 'new', place: 'orders__lines', severity: 'notice' }] }])
})

test.each<[string, Notification, string]>([
  ['nobody', {}, 'notifications[0]: tells nobody'],
  ['another word', { on: ['never' as 'late'], command: ['x'] }, 'notifications[0].on[0]'],
])('the function refuses %s', async (_, notification, said) => {
  const made = await orders([ONE])
  expect(() => notifying(made, [notification])).toThrow(said)
})
