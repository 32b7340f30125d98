import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { progressView } from '../../src/cli/terminal/progress.js'
import { receiptLines } from '../../src/cli/terminal/receiptLines.js'
import { interject } from '../../src/cli/terminal/terminal.js'
import { duckdb, pipeline, restApi } from '../../src/index.js'
import type { RunEvent } from '../../src/model/events.js'
import type { Receipt } from '../../src/model/receipt.js'
import { testApi, testFolder } from '../pipeline/api.js'
import { screen } from './screen.js'

const receipt: Receipt = {
  resource: 'feedback_data',
  extent: 'whole',
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

function page(records = 100, resource = 'feedback_data', announced?: number): RunEvent {
  return { type: 'page', resource, records, bytes: 40_000, fromJournal: false, announced }
}

const QUARTER_PAST = Date.parse('2026-03-01T14:15:00Z')

it('names the resource of a warning once', () => {
  const output = screen({ isTerminal: false, columns: 80 })
  const view = progressView(
    output,
    () => 0,
    () => QUARTER_PAST,
  )
  const warning = { type: 'warning', code: 'other', resource: 'books' } as const
  view.show({ ...warning, message: 'the list of books is odd', namesResource: true })
  view.show({ ...warning, message: 'books: a field of that name is odd' })
  view.show({ ...warning, message: 'something odd' })
  view.close()
  expect(output.visible()).toEqual([
    '14:15:00Z warning: the list of books is odd',
    '14:15:00Z warning: books: books: a field of that name is odd',
    '14:15:00Z warning: books: something odd',
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
    .map(line => line.replace(/^\S+Z /, ''))
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
      'feature_flags   1 page   50 records   50/s  1 retry  retry in 900 ms: status 429',
    ])
    time += 500
    view.show(page(10, 'feature_flags'))
    view.show({ type: 'resource_finished', resource: 'feedback_data', receipt })
    view.close()
    expect(output.visible().slice(2)).toEqual([
      'feedback_data  2 pages  200 records  133/s           ✔ complete',
      'feature_flags  2 pages   60 records   40/s  1 retry',
    ])
  })

  it('leaves a line of somebody else above the lines that it redraws', () => {
    const output = screen({ isTerminal: true, columns: 80 })
    const view = progressView(output, () => 1_000)
    view.show(started)
    view.show({ type: 'resource_started', resource: 'feedback_data' })
    view.show({ type: 'warning', code: 'other', message: 'odd', resource: 'feedback_data' })
    output.write('^C')
    interject(output, 'stopping')
    view.close()
    interject(output, 'stopped')
    expect(output.visible().map(line => line.split('  ')[0])).toEqual([
      'feedback → duckdb:feedback.duckdb, dataset feedback_dataset',
      'warning: feedback_data: odd',
      'stopping',
      'feedback_data',
      'stopped',
    ])
  })

  it('leaves out what a narrow terminal has no room for, and keeps name, amount and wait', () => {
    for (const columns of [40, 60, 80, 120]) {
      const output = screen({ isTerminal: true, columns })
      let time = 0
      const view = progressView(output, () => time)
      for (let index = 0; index < 4; index++) view.show(page(100, 'conversations_of_customers', 123_456))
      time = 5_000
      view.show({ type: 'waiting', resource: 'conversations_of_customers', reason: 'a limit', delayMs: 9_000 })
      view.close()
      const [line = ''] = output.visible()
      expect(line.length).toBeLessThan(columns)
      expect(line).toMatch(/^conversations_o.*400 of 123,456/)
      if (columns >= 80) expect(line).toMatch(/^conversations_of_customers .*waiting 9\.0 s: a limit$/)
    }
  })

  it('begins a long wait where the line has nothing else to tell, before it cuts it', () => {
    const waits = (columns: number): string | undefined => {
      const output = screen({ isTerminal: true, columns })
      let time = 0
      const view = progressView(output, () => time)
      for (let index = 0; index < 3; index++) view.show(page(1_000, 'events', 30_000))
      view.show(page(40, 'issues'))
      time = 5_000
      view.show({ type: 'waiting', resource: 'issues', reason: 'the API asks to wait', delayMs: 9_000 })
      view.close()
      for (const line of output.visible()) expect(line.length).toBeLessThan(columns)
      return output.visible()[1]
    }
    expect(waits(80)).toMatch(/^issues +40 records {2,}waiting 9\.0 s: the API asks to wait$/)
    expect(waits(60)).toMatch(/^issues +40 records {2}waiting 9\.0 s: the API a.*…$/)
  })

  it('takes its lines away where what follows says the same', () => {
    const output = screen({ isTerminal: true })
    const view = progressView(output, () => 0)
    view.show(started)
    view.show(page())
    view.clear()
    expect(output.visible()).toEqual(['feedback → duckdb:feedback.duckdb, dataset feedback_dataset'])
  })

  it('never lets a line wrap', () => {
    const output = screen({ isTerminal: true, columns: 20 })
    const view = progressView(output, () => 0)
    view.show(page(100, 'a_resource_with_a_very_long_name'))
    view.close()
    for (const line of output.visible()) expect(line.length).toBeLessThan(20)
  })
})

describe('what is still to come', () => {
  function drawnAfter(ms: number, events: readonly RunEvent[]): string[] {
    let time = 0
    const output = screen({ isTerminal: true, columns: 120 })
    const view = progressView(
      output,
      () => time,
      () => QUARTER_PAST,
    )
    for (const event of events) view.show(event)
    time = ms
    view.show({ type: 'gate', resource: 'feedback_data', origin: 'http://a', allowed: 2 })
    view.close()
    for (const line of output.visible()) expect(line.length).toBeLessThan(120)
    return output.visible()
  }

  it.each<[string, number | undefined, RegExp]>([
    ['a total', 1_000, /^feedback_data {2}━{4}╌{12} {2}3 pages {2}300 of 1,000 records {2}30 % {2}100\/s {2}7 s left$/],
    ['no total', undefined, /^feedback_data {2}3 pages {2}300 records {2}100\/s$/],
    ['fewer than came', 299, /^feedback_data {2}3 pages {2}300 records {2}100\/s$/],
    ['as many as came, before the end', 300, /300 of 300 records {2}99 % {2}100\/s$/],
    ['none', 0, /^feedback_data {2}3 pages {2}300 records {2}100\/s$/],
    ['less than none', -5, /^feedback_data {2}3 pages {2}300 records {2}100\/s$/],
    ['no number', Number.NaN, /^feedback_data {2}3 pages {2}300 records {2}100\/s$/],
    ['no whole number', 1_000.5, /^feedback_data {2}3 pages {2}300 records {2}100\/s$/],
    ['more than a number holds', 1e300, /^feedback_data {2}3 pages {2}300 records {2}100\/s$/],
    ['years of work', 2 ** 52, /300 of 4,503,599,627,370,496 records {2}0 % {2}100\/s$/],
  ])('with %s announced', (_, announced, line) => {
    const pages = Array.from({ length: 3 }, () => page(100, 'feedback_data', announced))
    expect(drawnAfter(3_000, pages)).toEqual([expect.stringMatching(line)])
  })

  it('promises no time after a first page, after pages of the journal, and at the end', () => {
    expect(drawnAfter(9_000, [page(100, 'a', 1_000)])[0]).toMatch(/10 % {2}11\/s$/)
    const stored = Array.from({ length: 5 }, () => ({ ...page(100, 'a', 1_000), fromJournal: true }) as RunEvent)
    expect(drawnAfter(9_000, stored)[0]).toMatch(/5 pages \(5 from the journal\) {2}500 of 1,000 records {2}50 %$/)
    const end: RunEvent = { type: 'list_finished', resource: 'a' }
    expect(drawnAfter(9_000, [...Array.from({ length: 3 }, () => page(100, 'a', 1_000)), end])[0]).toMatch(
      /^a +3 pages +300 records +read$/,
    )
  })

  it.each<[string, RunEvent, RegExp]>([
    [
      'a short wait',
      { type: 'waiting', resource: 'a', reason: 'the API asks to wait', delayMs: 5_000 },
      /waiting 4\.0 s: the API asks to wait$/,
    ],
    [
      'a long one',
      { type: 'waiting', resource: 'a', reason: 'the API asks to wait', delayMs: 19 * 60_000 },
      /waiting 18 min 59 s \(until 14:34:00Z\): the API asks to wait$/,
    ],
    [
      'a day',
      { type: 'waiting', resource: 'a', reason: 'the API asks to wait', delayMs: 24 * 3_600_000 },
      /\(until 2026-03-02T14:15:00Z\)/,
    ],
    [
      'another attempt',
      { type: 'retry', resource: 'a', url: 'http://a/', reason: 'status 503', attempt: 1, delayMs: 2_000 },
      /1 retry {2}retry in 1\.0 s: status 503$/,
    ],
  ])('says what is waited for: %s', (_, event, line) => {
    expect(drawnAfter(1_000, [page(100, 'a'), event])[0]).toMatch(line)
  })

  it('counts the parents whose lists were read, of all where their number is known', async () => {
    const authors = Array.from({ length: 25 }, (_, index) => ({ id: index }))
    const api = await testApi(({ pathname, searchParams }) => {
      const offset = Number(searchParams.get('offset'))
      return pathname === '/authors'
        ? { json: { total: 25, data: authors.slice(offset, offset + 10) } }
        : { json: { total: 1, data: [{ title: pathname }] } }
    })
    const folder = await testFolder()
    const source = restApi(
      {
        client: { base_url: api.url, paginator: { type: 'offset', limit: 10, total_path: 'total' } },
        resource_defaults: { endpoint: { data_selector: 'data' } },
        resources: ['authors', { name: 'books', endpoint: { path: 'authors/{resources.authors.id}/books' } }],
      },
      { env: {} },
    )
    const output = screen({ isTerminal: true, columns: 120 })
    const view = progressView(output, () => 0)
    const seen = new Set<string>()
    await pipeline({
      name: 'p',
      source,
      destination: duckdb(join(folder, 'x.duckdb')),
      home: join(folder, 'home'),
    }).run({
      concurrency: 1,
      onEvent: event => {
        view.show(event)
        if (event.type === 'list_finished' && event.resource === 'books') {
          seen.add(`${event.parentsRead} of ${event.parentsKnown}`)
        }
      },
    })
    view.close()
    expect([...seen].slice(0, 2)).toEqual(['1 of 10', '2 of 10'])
    expect([...seen].at(-1)).toBe('25 of 25')
    const books = output.visible().find(line => line.startsWith('books'))
    expect(books).toMatch(/25 parents\s+25 pages\s+25 records\s+✔ complete$/)
  })

  it('takes the number of parents from the total of their list, unless a filter leaves some out', () => {
    const child: RunEvent = { type: 'resource_started', resource: 'replies', parent: 'items' }
    const read = (parentsRead: number, parentsKnown: number): RunEvent => {
      return { type: 'list_finished', resource: 'replies', parentsRead, parentsKnown }
    }
    const begun = [page(100, 'items', 371), child, page(4, 'replies')]
    const replies = (...events: RunEvent[]): string | undefined => drawnAfter(0, [...begun, ...events])[1]
    expect(replies(read(12, 100))).toMatch(/^replies .* 12 of 371 parents .* 3 %$/)
    expect(replies(read(12, 90))).toMatch(/^replies .* 12 parents +1 page +4 records$/)
    expect(replies(page(271, 'items', 371), { type: 'list_finished', resource: 'items' }, read(12, 90))).toMatch(
      /^replies .* 12 of 90 parents /,
    )
  })
})

describe('plain lines', () => {
  it('says at once what is waited for, where it takes long', () => {
    const output = screen()
    const view = progressView(
      output,
      () => 0,
      () => QUARTER_PAST,
    )
    view.show(page(100, 'a', 400))
    view.show({ type: 'waiting', resource: 'a', reason: 'the API asks to wait', delayMs: 90_000 })
    view.show({ type: 'committing', loadId: '1.5', rows: 3 })
    expect(output.text().split('\n')).toEqual([
      '14:15:00Z a  1 page  100 of 400 records  25 %  waiting 1 min 30 s (until 14:16:30Z): the API asks to wait',
      '14:15:00Z committing 3 rows',
      '',
    ])
  })

  it('come at most every two seconds a resource, and at its end', () => {
    let time = 0
    const output = screen()
    const view = progressView(
      output,
      () => time,
      () => QUARTER_PAST + time,
    )
    for (let index = 0; index < 50; index += 1) {
      view.show(page())
      time += 100
    }
    view.show({ type: 'resource_finished', resource: 'feedback_data', receipt })
    view.close()
    expect(output.text().split('\n')).toEqual([
      '14:15:02Z feedback_data  21 pages  2,100 records  1,050/s',
      '14:15:04Z feedback_data  41 pages  4,100 records  1,025/s',
      '14:15:05Z feedback_data  50 pages  5,000 records  1,000/s  complete',
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

  it('counts rows in the place of earlier ones as replaced, and those that fewer rows take the place of as deleted', () => {
    const lines = receiptLines([receipt], {
      changes: {
        feedback_data: { isNew: false, newColumns: [], inserted: 3_000, replaced: 2_990 },
        feedback_data__replies: { isNew: false, newColumns: [], inserted: 2_114, replaced: 2_120, deleted: 1 },
      },
    })
    expect(lines.slice(4)).toEqual([
      'table                   rows loaded  inserted  replaced  deleted',
      '──────────────────────  ───────────  ────────  ────────  ───────',
      'feedback_data                 3,000        10     2,990        0',
      'feedback_data__replies        2,114         0     2,114        7',
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
    expect(lines).toContain('feedback_data: 7 records left out: known already, or filtered')
    expect(lines).toContain('feedback_data: 4 rows discarded by the schema contract')
  })

  it('is empty without receipts', () => {
    expect(receiptLines([])).toEqual([])
  })
})
