import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { progressView } from '../../src/cli/terminal/progress.js'
import { receiptLines } from '../../src/cli/terminal/receiptLines.js'
import { duckdb, pipeline, restApi } from '../../src/index.js'
import type { RunEvent } from '../../src/model/events.js'
import type { Receipt } from '../../src/model/receipt.js'
import { testApi, testFolder } from '../pipeline/api.js'
import { screen } from './screen.js'

const receipt: Receipt = {
  resource: 'feedback_data',
  requests: 32,
  retries: 2,
  pages: 30,
  pagesFromJournal: 0,
  records: 3_000,
  filtered: 0,
  discardedRows: 0,
  discardedValues: 0,
  rows: { feedback_data: 3_000, feedback_data__replies: 2_114 },
  bytes: 1_234_567,
  announced: 3_000,
  waitedMs: 1_040,
  verdict: 'complete',
  reasons: ['3,000 of 3,000 announced records arrived'],
}

const started: RunEvent = {
  type: 'run_started',
  pipeline: 'feedback',
  dataset: 'feedback_dataset',
  destination: 'duckdb:feedback.duckdb',
  loadId: '1.5',
  resumedPages: 0,
}

function page(records = 100, resource = 'feedback_data'): RunEvent {
  return { type: 'page', resource, records, bytes: 40_000, fromJournal: false }
}

it('names the resource of a warning once', () => {
  const output = screen({ isTerminal: false, columns: 80 })
  const view = progressView(output, () => 0)
  const warning = { type: 'warning', code: 'other', resource: 'books' } as const
  view.show({ ...warning, message: 'the list of books is odd', namesResource: true })
  view.show({ ...warning, message: 'books: a field of that name is odd' })
  view.show({ ...warning, message: 'something odd' })
  view.close()
  expect(output.visible()).toEqual([
    'warning: the list of books is odd',
    'warning: books: books: a field of that name is odd',
    'warning: books: something odd',
  ])
})

it('names it once in what a run warns of, however the warning names it', async () => {
  const api = await testApi(({ pathname }) => (pathname === '/b' ? { status: 404, json: {} } : { json: [{ v: 1 }] }))
  const folder = await testFolder()
  const source = restApi(
    {
      client: { base_url: api.url, paginator: 'single_page' },
      resource_defaults: { write_disposition: 'merge', table_name: 'both' },
      resources: ['a', { name: 'b', endpoint: { response_actions: [{ status_code: 404, action: 'ignore' }] } }],
    },
    { env: {} },
  )
  const destination = duckdb(join(folder, 'x.duckdb'))
  const output = screen({ isTerminal: false, columns: 200 })
  const view = progressView(output, () => 0)
  await pipeline({ name: 'p', source, destination, home: join(folder, 'home') }).run({
    onEvent: event => view.show(event),
    allowIncomplete: true,
  })
  view.close()
  const warnings = output
    .text()
    .split('\n')
    .filter(line => line.startsWith('warning: '))
  expect(warnings.sort()).toEqual([
    expect.stringMatching(/^warning: Resources a, b all load into table both/),
    expect.stringMatching(/^warning: a is merged but has neither/),
    expect.stringMatching(/^warning: b: the answer 404 /),
  ])
})

describe('the live display', () => {
  it('draws no more lines than the terminal has, and all of them at the end', () => {
    const output = screen({ isTerminal: true, rows: 5 })
    const view = progressView(output, () => 0)
    const names = Array.from({ length: 9 }, (_, index) => `resource_${index}`)
    for (const resource of names) view.show(page(100, resource))
    for (const message of ['odd', 'odder']) view.show({ type: 'warning', code: 'other', message })
    const lines = names.map(name => `${name}  1 page  100 records`)
    expect(output.visible()).toEqual(['warning: odd', 'warning: odder', '… 6 more', ...lines.slice(6)])
    const ups = [...output.text().matchAll(/\[(\d+)A/g)].map(([, up]) => Number(up))
    expect(Math.max(...ups)).toBe(4)
    view.close()
    expect(output.visible()).toEqual(['warning: odd', 'warning: odder', ...lines])
  })

  it('keeps one line a resource, with everything that is going on in it', () => {
    let time = 1_000
    const output = screen({ isTerminal: true, columns: 120 })
    const view = progressView(output, () => time)
    view.show(started)
    view.show({ type: 'resource_started', resource: 'feedback_data' })
    view.show({ type: 'resource_started', resource: 'feature_flags' })
    time += 1_000
    view.show(page())
    view.show(page())
    view.show(page(50, 'feature_flags'))
    view.show({
      type: 'retry',
      resource: 'feature_flags',
      url: 'http://a/',
      reason: 'status 429',
      attempt: 1,
      delayMs: 900,
    })
    view.show({ type: 'warning', code: 'other', message: 'something \x1b[2J odd', resource: 'feature_flags' })
    expect(output.visible()).toEqual([
      'feedback → duckdb:feedback.duckdb, dataset feedback_dataset',
      'warning: feature_flags: something \\x1b[2J odd',
      'feedback_data  2 pages  200 records  200/s',
      'feature_flags   1 page   50 records   50/s  1 retry  waiting 900 ms: status 429',
    ])
    time += 500
    view.show(page(10, 'feature_flags'))
    view.show({ type: 'resource_finished', resource: 'feedback_data', receipt })
    view.close()
    expect(output.visible().slice(2)).toEqual([
      'feedback_data  2 pages  200 records  133/s           complete',
      'feature_flags  2 pages   60 records   40/s  1 retry',
    ])
  })

  it('never lets a line wrap', () => {
    const output = screen({ isTerminal: true, columns: 20 })
    const view = progressView(output, () => 0)
    view.show(page(100, 'a_resource_with_a_very_long_name'))
    view.close()
    for (const line of output.visible()) expect(line.length).toBeLessThan(20)
  })
})

describe('plain lines', () => {
  it('come at most every two seconds a resource, and at its end', () => {
    let time = 0
    const output = screen()
    const view = progressView(output, () => time)
    for (let index = 0; index < 50; index += 1) {
      view.show(page())
      time += 100
    }
    view.show({ type: 'resource_finished', resource: 'feedback_data', receipt })
    view.close()
    expect(output.text().split('\n')).toEqual([
      'feedback_data  21 pages  2,100 records  1,050/s',
      'feedback_data  41 pages  4,100 records  1,025/s',
      'feedback_data  50 pages  5,000 records  1,000/s  complete',
      '',
    ])
  })
})

describe('the receipt table', () => {
  it('shows what arrived and where it went', () => {
    expect(receiptLines([receipt])).toEqual([
      'resource       verdict   requests  retries  pages  records  announced    body  waited',
      '─────────────  ────────  ────────  ───────  ─────  ───────  ─────────  ──────  ──────',
      'feedback_data  complete        32        2     30    3,000      3,000  1.2 MB   1.0 s',
      '',
      'table                   rows loaded',
      '──────────────────────  ───────────',
      'feedback_data                 3,000',
      'feedback_data__replies        2,114',
    ])
  })

  it('gives the reasons of every verdict but complete, and what was dropped', () => {
    const lines = receiptLines([
      {
        ...receipt,
        verdict: 'incomplete',
        reasons: ['2,900 of 3,000 announced records arrived'],
        discardedRows: 4,
        filtered: 7,
      },
    ])
    expect(lines).toContain('feedback_data: incomplete: 2,900 of 3,000 announced records arrived')
    expect(lines).toContain('feedback_data: 7 records filtered')
    expect(lines).toContain('feedback_data: 4 rows discarded by the schema contract')
  })

  it('is empty without receipts', () => {
    expect(receiptLines([])).toEqual([])
  })
})
