import { readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { sluice } from '../../src/cli/program.js'
import { boxTable } from '../../src/cli/terminal/boxTable.js'
import { displayWidth } from '../../src/cli/terminal/printable.js'
import { textTable } from '../../src/cli/terminal/table.js'
import { testApi, testFolder } from '../pipeline/api.js'
import { type Screen, screen } from './screen.js'

const LONG = 'conversations_of_customers_with_everybody_who_ever_answered_one_of_their_many_questions'
const RECORD = {
  id: 1,
  [`${LONG}_title`]: 'words and words '.repeat(20).trim(),
  url: `https://example.com/${'x'.repeat(200)}`,
  日本語の長い名前: '日本語の文章'.repeat(20),
}

async function prepared(): Promise<{ readonly file: string; readonly api: string }> {
  const folder = await testFolder()
  const api = await testApi(({ pathname }) =>
    pathname.endsWith('broken')
      ? { status: 404, json: {} }
      : { json: { total: 3, data: [RECORD, { id: 2, at: '2024-01-02T00:00:00Z' }] } },
  )
  const file = join(folder, 'a_pipeline_file_with_a_name.json')
  const resource = {
    name: LONG,
    primary_key: 'id',
    endpoint: { path: 'a/long/path/'.repeat(12), data_selector: 'data' },
  }
  await writeFile(
    file,
    JSON.stringify({
      name: 'p',
      destination: `duckdb:${join(folder, 'x.duckdb')}`,
      dataset: 'd',
      source: { client: { base_url: api.url, paginator: 'single_page' }, resources: [resource] },
    }),
  )
  return { file, api: api.url }
}

async function command(args: readonly string[], columns: number) {
  const [out, err] = [screen({ isTerminal: true, columns }), screen({ isTerminal: true, columns })]
  const exitCode = await sluice(args, {
    terminal: { out, err },
    version: '0.0.0',
    signal: new AbortController().signal,
    now: () => 0,
  })
  return { out, err, exitCode }
}

function widest({ out, err }: { readonly out: Screen; readonly err: Screen }): number {
  return Math.max(...[...out.visible(), ...err.visible()].map(displayWidth))
}

/** What is there whatever the line breaks. */
function unbroken({ out, err }: { readonly out: Screen; readonly err: Screen }): string {
  return `${out.text()}${err.text()}`.replace(/\s+/g, '')
}

describe.each([80, 120])('on a terminal of %i columns no line is wider', columns => {
  it('whatever the command', { timeout: 60_000 }, async () => {
    const { file } = await prepared()
    const wide = async (...args: readonly string[]) => {
      const ended = await command(args, columns)
      expect(widest(ended), args.join(' ')).toBeLessThanOrEqual(columns)
      return unbroken(ended)
    }
    expect(await wide('run', file, '--allow-incomplete')).toContain(LONG)
    expect(await wide('run', file)).toContain(LONG)
    expect(await wide('check', file)).toContain(LONG)
    expect(await wide('plan', file)).toContain('a/long/path/'.repeat(12))
    expect(await wide('show', file)).toContain(LONG.slice(-10))
    const shown = await wide('show', file, LONG)
    expect(shown).toMatch(/conversations_of_customers.*questions_title/)
    expect(shown).toContain('…')
    const listed = await command(['history', file, '--json'], columns)
    const { loadId } = JSON.parse(listed.out.text().split('\n')[0] ?? '') as { loadId: string }
    expect(await wide('history', file)).toContain(loadId)
    expect(await wide('history', file, loadId)).toContain(LONG)
    const second = await prepared()
    expect(await wide('run', file, second.file)).toContain(LONG)
    await wide('query', file, `SELECT * FROM ${LONG}`)
    expect(await wide('query', file, `SELECT ${LONG}_missing FROM ${LONG}`)).toContain(`${LONG}_missing`)
    expect(await wide('show', file, `${LONG}_missing`)).toContain(`${LONG}_missing`)
    expect(await wide('run', file, '--select', `${LONG}_missing`)).toContain(`${LONG}_missing`)
    await wide('state', file)
    await wide('doctor', file)
    await wide('explain', 'rate_limit')
    await wide('explain', 'rate_limits_of_everybody')
    await wide('run', '--help')
    await wide('--help')
  })

  it('also of commands for windows, recordings, proofs, locks and jobs', { timeout: 120_000 }, async () => {
    const { file, api } = await prepared()
    const folder = dirname(file)
    const wide = async (...args: readonly string[]) => {
      const ended = await command(args, columns)
      expect(widest(ended), `${args.join(' ')}\n${ended.out.text()}${ended.err.text()}`).toBeLessThanOrEqual(columns)
      return unbroken(ended)
    }
    const windows = join(folder, 'windows.json')
    const incremental = {
      cursor_path: 'at',
      initial_value: '2024-01-01T00:00:00Z',
      start_param: 'since',
      end_param: 'to',
    }
    await writeFile(
      windows,
      JSON.stringify({
        destination: `duckdb:${join(folder, 'w.duckdb')}`,
        client: { base_url: api, paginator: 'single_page' },
        resources: [
          {
            name: LONG,
            primary_key: 'id',
            write_disposition: 'merge',
            endpoint: {
              path: 'windows',
              data_selector: 'data',
              incremental: { ...incremental, window: { step: 'P1D' } },
            },
          },
          {
            name: `${LONG}_broken`,
            endpoint: { path: 'broken', incremental: { ...incremental, window: { step: 'P1D' } } },
          },
        ],
      }),
    )
    const to = ['--to', '2024-01-04T00:00:00Z']
    expect(await wide('backfill', windows, '--resource', LONG, ...to)).toContain(LONG)
    expect(await wide('backfill', windows, '--resource', LONG, ...to, '--status')).toContain(LONG)
    expect(await wide('backfill', windows, '--resource', `${LONG}_broken`, ...to)).toContain('404')
    expect(await wide('backfill', windows, '--resource', `${LONG}_broken`, ...to, '--status')).toContain('404')
    expect(await wide('backfill', windows, '--resource', `${LONG}_missing`, ...to)).toContain(`${LONG}_missing`)
    expect(await wide('prove', file)).toContain(LONG)
    expect(await wide('drift', file)).toContain('record')
    await wide('record', file)
    await wide('test', file)
    await wide('drift', file)
    await wide('run', file, '--allow-incomplete', '--keep-journal')
    await wide('replay', file, '--allow-incomplete')
    await wide('replay', file, LONG)
    await wide('schema', 'diff', file)
    await wide('schema', 'lock', file)
    const lock = join(folder, 'a_pipeline_file_with_a_name.schema.lock')
    const locked = await readFile(lock, 'utf8')
    await writeFile(lock, locked.replaceAll('text', 'bigint'))
    expect(await wide('schema', 'diff', file)).toMatch(/bigint/)
    await wide('schema', 'accept', file)
    await wide('drop', file, `${LONG}_missing`, '--yes')
    await wide('drop', file, LONG, '--yes')
    await wide('import', 'curl', `curl ${api}/${'long/'.repeat(30)}?page=1`, '--out', join(folder, 'curl.yaml'))
    await wide('init', '--url', `${api}/${'long/'.repeat(30)}`, '--auth', 'none', '--out', join(folder, 'init.yaml'))
    await wide('init', '--url', `${api}/broken`, '--auth', 'none', '--out', join(folder, 'broken.yaml'))
    const failure = 'words of a failure '.repeat(20)
    const jobs = await testApi(() => ({
      json: {
        rows: [
          {
            id: 'inv_1aBcDeFgHiJkLmNoPqRsTuVwXyZ0123456789',
            target_service_key: LONG,
            target_handler_name: 'run',
            status: 'completed',
            completion_result: 'failure',
            completion_failure: failure,
            created_at: '2026-01-01T00:00:00Z',
            retry_count: 3,
            last_failure: null,
          },
        ],
      },
    }))
    expect(await wide('jobs', '--restate', jobs.url)).toContain('wordsofafailure')
    await wide('jobs', '--restate', 'http://127.0.0.1:1')
    await wide('submit', file, '--restate', 'http://127.0.0.1:1')
    await wide('cancel', 'x'.repeat(100), '--restate', 'http://127.0.0.1:1')
  })

  it('and of every help', async () => {
    const { out } = await command(['--help'], columns)
    const names = [...out.text().matchAll(/^ {2}([a-z]+) /gm)].map(([, name = '']) => name)
    expect(names.length).toBeGreaterThan(20)
    for (const name of names)
      expect(widest(await command([name, '--help'], columns)), name).toBeLessThanOrEqual(columns)
  })
})

describe('a table', () => {
  const columns = [
    { title: 'name' },
    { title: 'of', align: 'right' },
    { title: 'more', align: 'right', mayGoBelow: true },
    { title: 'said' },
  ] as const
  const rows = [
    ['a_name', '1', '2,000', 'some words here'],
    ['b', '1', '0', 'x'],
  ]
  it.each<[number, readonly string[]]>([
    [
      40,
      [
        'name    of   more  said',
        '──────  ──  ─────  ───────────────',
        'a_name   1  2,000  some words here',
        'b        1      0  x',
      ],
    ],
    [
      32,
      [
        'name    of   more  said',
        '──────  ──  ─────  ─────────────',
        'a_name   1  2,000  some words',
        '                   here',
        'b        1      0  x',
      ],
    ],
    [
      26,
      [
        'name    of  said',
        '──────  ──  ──────────────',
        'a_name   1  some words',
        '            here',
        '  more 2,000',
        'b        1  x',
      ],
    ],
    [14, ['name a_name', 'of 1', 'more 2,000', 'said some', '  words here', '', 'name b', 'of 1', 'more 0', 'said x']],
  ])('of %i columns wraps texts, moves numbers below, or is stacked', (width, lines) => {
    expect(textTable(columns, rows, width)).toEqual(lines)
  })
})

describe('a table in a box', () => {
  const text = (title: string) => ({ title, type: 'varchar', align: 'left', isWhole: false }) as const
  const time = (title: string) => ({ title, type: 'timestamp', align: 'left', isWhole: true }) as const
  const plain = (_style: unknown, shown: string) => shown
  const long = 'words and words and words'
  const at = '2024-02-29T12:00:00.000Z'

  it.each([
    [
      'all columns where they fit, also those of dlt in their place',
      80,
      [text('_dlt_id'), text('name')],
      ['xyz', 'a'],
      ['│ xyz     │ a       │'],
      [],
    ],
    [
      'columns of dlt go first, times stay whole, texts stay readable',
      60,
      [text('_dlt_id'), text('name'), time('at'), text('_dlt_load_id')],
      [long, long, at, long],
      [`│ ${long} │ ${at} │`],
      ['_dlt_id', '_dlt_load_id'],
    ],
    [
      'then the last ones',
      50,
      [text('a'), text('b'), time('at'), text('c')],
      [long, long, at, long],
      ['│ words and words and … │ words and words and … │'],
      ['at', 'c'],
    ],
    ['one is always there', 12, [time('at'), text('c')], [at, 'x'], ['│ 2024-02… │'], ['c']],
  ] as const)('%s', (_, width, columns, row, lines, hidden) => {
    const table = boxTable(columns, [row], width, plain)
    expect(table.lines.slice(4, -1)).toEqual(lines)
    expect(table.hidden).toEqual(hidden)
    for (const line of table.lines) expect(displayWidth(line)).toBeLessThanOrEqual(width)
  })
})

it.each([[['import', 'swagger', 'shop.yaml']], [['import', 'shop.yaml']], [['run', '--selct', 'shops', 'shop.yaml']]])(
  'a wrong command line, %j, fits into 50 columns',
  async args => {
    const ended = await command(args, 50)
    expect(ended.exitCode).toBe(2)
    expect(ended.err.visible().join('\n')).toMatch(/^error: [\s\S]*\(--help lists commands and options\)/)
    expect(widest(ended)).toBeLessThanOrEqual(50)
  },
)
