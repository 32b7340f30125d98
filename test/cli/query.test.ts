import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { asyncBufferFromFile, parquetReadObjects } from 'hyparquet'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Ended, main, sluiceProcess } from './process.js'

/** A dataset whose API cannot be asked by anybody who reads it: its secret is known only while it is loaded. */
const PIPELINE = `
client:
  base_url: "\${env.API}/v1"
  auth: {type: bearer, token: "\${secrets.token}"}
  headers: {X-Team: "\${secrets.team}"}
resources:
  - name: shops
    primary_key: id
    records:
      - {id: 1, name: "Äpfel, \\"rot\\"", tags: [a, b], opened: "2024-02-29T12:00:00Z", rating: 4.5, note: ""}
      - {id: 9007199254740993, name: "line\\nbreak", tags: [], opened: null, rating: null}
`

const MODULE = `
import { duckdb, pipeline, restApi, secret } from 'sluice'
const client = { base_url: 'https://api.example.com', auth: { type: 'bearer', token: secret('token') } }
export default pipeline({
  name: 'shops',
  source: restApi({ client, resources: ['shops'] }),
  destination: duckdb('shops.duckdb'),
  dataset: 'shops_dataset',
})
`

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-query-'))
  await writeFile(join(folder, 'shops.yaml'), PIPELINE)
  await writeFile(join(folder, 'shops.ts'), MODULE)
  const loaded = await sluiceProcess(['run', 'shops.yaml'], {
    cwd: folder,
    env: { API: 'https://api.example.com', TOKEN: 'token-4711', TEAM: 'team-4711' },
  })
  expect(loaded).toMatchObject({ exitCode: 0 })
}, 60_000)
afterAll(async () => {
  await rm(folder, { recursive: true, force: true })
})

function sluice(args: readonly string[], input = ''): Promise<Ended> {
  return sluiceProcess(args, { cwd: folder, env: {}, input })
}

/** Runs the command on a terminal, and types each text once what is before it has been shown. Gives what was shown. */
function onTerminal(
  args: readonly string[],
  talk: readonly (readonly [shown: string, typed: string])[],
): Promise<string> {
  return new Promise((resolve, reject) => {
    const command = [process.execPath, main, ...args].map(word => `'${word}'`).join(' ')
    const { PATH = '' } = process.env
    const env = { PATH, TERM: 'xterm', NO_COLOR: '1' }
    const child = spawn('/usr/bin/script', ['-qec', command, '/dev/null'], { cwd: folder, env })
    let shown = ''
    let seen = 0
    let step = 0
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      shown += text
      for (let next = talk[step]; next !== undefined; next = talk[step]) {
        const at = shown.indexOf(next[0], seen)
        if (at < 0) return
        seen = at + next[0].length
        step++
        child.stdin.write(next[1])
      }
    })
    child.stdin.once('error', reject)
    child.once('error', reject)
    child.once('close', () => resolve(shown))
  })
}

describe('sluice query', () => {
  it('prints a table that fits, with the types of its columns', async () => {
    const { exitCode, stdout, stderr } = await sluice([
      'query',
      'shops.yaml',
      'SELECT id, name, opened, rating FROM shops',
    ])
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' })
    expect(stdout.split('\n')).toEqual([
      '┌──────────────────┬──────────────┬──────────────────────────┬────────┐',
      '│               id │ name         │ opened                   │ rating │',
      '│           bigint │ varchar      │ timestamp with time zone │ double │',
      '├──────────────────┼──────────────┼──────────────────────────┼────────┤',
      '│                1 │ Äpfel, "rot" │ 2024-02-29T12:00:00.000Z │    4.5 │',
      '│ 9007199254740993 │ line\\nbreak  │ NULL                     │   NULL │',
      '└──────────────────┴──────────────┴──────────────────────────┴────────┘',
      '2 rows',
      '',
    ])
  })

  it('cuts nothing in a pipe, whatever its width', async () => {
    const columns = Array.from({ length: 40 }, (_, n) => `repeat('x', 150) AS c${n}`)
    const { stdout } = await sluice(['query', 'shops.yaml', `SELECT ${columns}`])
    expect(stdout.match(/x{150} /g)).toHaveLength(40)
    expect(stdout).toMatch(/\n1 row\n$/)
    const shown = await sluice(['show', 'shops.yaml', '_dlt_version', '--limit', '1'])
    expect(shown.stdout).toMatch(/^schema +\{.*\}$/m)
  })

  it('prints lines of JSON and CSV, with every digit', async () => {
    const sql =
      'SELECT id, name, tags, opened, rating, note FROM shops LEFT JOIN (SELECT _dlt_parent_id AS _dlt_id, list(value ORDER BY value) AS tags FROM shops__tags GROUP BY 1) USING (_dlt_id) ORDER BY id'
    const json = await sluice(['query', 'shops.yaml', sql, '--json'])
    expect(json.stdout.split('\n')).toEqual([
      '{"id":1,"name":"Äpfel, \\"rot\\"","tags":["a","b"],"opened":"2024-02-29T12:00:00.000Z","rating":4.5,"note":""}',
      '{"id":9007199254740993,"name":"line\\nbreak","tags":null,"opened":null,"rating":null,"note":null}',
      '',
    ])
    const csv = await sluice(['query', 'shops.yaml', sql, '--csv'])
    expect(csv.stdout).toBe(
      'id,name,tags,opened,rating,note\n' +
        '1,"Äpfel, ""rot""","[""a"",""b""]",2024-02-29T12:00:00.000Z,4.5,""\n' +
        '9007199254740993,"line\nbreak",,,,\n',
    )
  })

  it('prints values exactly: microseconds, empty texts and bytes, quotation marks, negative zero', async () => {
    const sql = `SELECT TIMESTAMPTZ '1969-12-31 23:59:59.000001Z' AS a, TIMESTAMP_NS '2024-01-01 00:00:00.123456789' AS b,
      '' AS c, ''::BLOB AS d, '""' AS e, NULL AS f, -0.0::DOUBLE AS g, '=1+1' AS h`
    expect((await sluice(['query', 'shops.yaml', sql, '--csv'])).stdout).toBe(
      'a,b,c,d,e,f,g,h\n1969-12-31T23:59:59.000001Z,2024-01-01T00:00:00.123456789Z,"","","""""",,-0.0,=1+1\n',
    )
    expect((await sluice(['query', 'shops.yaml', sql, '--json'])).stdout).toContain(
      '{"a":"1969-12-31T23:59:59.000001Z","b":"2024-01-01T00:00:00.123456789Z","c":"","d":"",',
    )
    const shown = await sluice(['show', 'shops.yaml', '_dlt_version', '--csv'])
    expect(shown.stdout).toMatch(/,\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3,6}Z,/)
  })

  it('prints 100 rows of a table and says that there are more; --limit, and no limit for CSV', async () => {
    const numbers = 'SELECT unnest(range(5000)) AS n'
    expect((await sluice(['query', 'shops.yaml', numbers])).stdout).toMatch(/\n100 rows; there are more/)
    expect((await sluice(['query', 'shops.yaml', numbers, '--limit', '7'])).stdout).toMatch(/\n7 rows; there are more/)
    expect((await sluice(['query', 'shops.yaml', numbers, '--csv'])).stdout.split('\n')).toHaveLength(5002)
    expect((await sluice(['query', 'shops.yaml', `${numbers} WHERE false`, '--csv'])).stdout).toBe('n\n')
  })

  it('takes statements from the standard input, one or one after the other', async () => {
    expect((await sluice(['query', 'shops.yaml', '--csv'], 'SELECT count(*) AS n\nFROM shops')).stdout).toBe('n\n2\n')
    const talk = await sluice(
      ['query', 'shops.yaml', '--interactive', '--csv'],
      'SELECT 1 AS a,\n2 AS b;\nSELECT missing FROM shops;\nSELECT 3 AS c;\n.quit\nSELECT 4;\n',
    )
    // A statement that fails does not stop the others, and whoever fed them hears of it.
    expect(talk).toMatchObject({ exitCode: 2, stdout: 'a,b\n1,2\nc\n3\n' })
    expect(talk.stderr).toContain('missing')
  })

  it.each(['help', '.help', '\\?'])('its shell answers %s with what it knows', async word => {
    const talk = await sluice(['query', 'shops.yaml', '--interactive'], `${word}\n`)
    expect(talk).toMatchObject({ exitCode: 0, stdout: '' })
    expect(talk.stderr).toMatch(/\.tables[\s\S]*\.schema TABLE[\s\S]*\.quit/)
  })

  it('its shell lists tables and columns', async () => {
    const talk = await sluice(['query', 'shops.yaml', '--interactive'], '.tables\n\\d shops\n\\d shop\n.nothing\n')
    expect(talk.stdout).toMatch(/^shops +2$/m)
    expect(talk.stdout).toMatch(/^rating +\S+ +yes$/m)
    expect(talk.stderr).toMatch(/no table shop \(did you mean shops\?\)/)
    expect(talk.stderr).toContain('There is no command .nothing. .help lists them.')
    expect(talk.exitCode).toBe(2)
  })

  it.each(['exit', 'quit', 'exit;', 'QUIT', '.quit', '.exit', '.q', '\\q'])('its shell ends at %s', async word => {
    const talk = await sluice(
      ['query', 'shops.yaml', '--interactive', '--csv'],
      `SELECT 'a\nexit\n' AS t;\n${word}\nSELECT 2;\n`,
    )
    expect(talk).toMatchObject({ exitCode: 0, stdout: 't\n"a\nexit\n"\n', stderr: '' })
  })

  it('writes CSV for Excel into a file, whole or not at all', async () => {
    const file = join(folder, 'for excel.csv')
    const flags = ['--csv', '--bom', '--separator', ';', '--out', file]
    const written = await sluice([
      'query',
      'shops.yaml',
      ...flags,
      "SELECT id, name, 'a;b' AS c FROM shops ORDER BY id",
    ])
    expect(written, written.stderr).toMatchObject({ exitCode: 0, stdout: '' })
    const whole = '\uFEFFid;name;c\n1;"Äpfel, ""rot""";"a;b"\n9007199254740993;"line\nbreak";"a;b"\n'
    expect(await readFile(file, 'utf8')).toBe(whole)
    const failed = await sluice(['query', 'shops.yaml', ...flags, 'SELECT nothing FROM shops'])
    expect(failed.exitCode).not.toBe(0)
    expect(await readFile(file, 'utf8')).toBe(whole)
    expect((await readdir(folder)).filter(name => name.includes('partial'))).toEqual([])
    const printed = await sluice(['query', 'shops.yaml', '--csv', '--separator', 'tab', 'SELECT 1 AS a, 2 AS b'])
    expect(printed.stdout).toBe('a\tb\n1\t2\n')
  })

  it.each([
    [['--bom'], /--bom' belongs to --csv/],
    [['--separator', ';'], /--separator' belongs to --csv/],
    [['--csv', '--separator', 'x'], /One of , ; \| or tab is expected/],
    [['--out', 'x.csv'], /--out' belongs to --csv or --json/],
  ] as const)('refuses %s', async (flags, message) => {
    const { exitCode, stderr } = await sluice(['query', 'shops.yaml', ...flags, 'SELECT 1'])
    expect(exitCode).toBe(2)
    expect(stderr.replace(/\s+/g, ' ')).toMatch(message)
  })

  it.skipIf(!existsSync('/usr/bin/script'))(
    'its shell completes names by Tab, and knows the lines of an earlier session',
    { timeout: 120_000 },
    async () => {
      const first = await onTerminal(
        ['query', 'shops.yaml'],
        [
          ['sluice> ', 'SELECT max(rati\t'],
          ['rating', ') AS best FROM shops WHERE shops.i\t'],
          ['shops.id', ' = 1;\r'],
          ['1 row', ''],
          ['sluice> ', '.qui\t'],
          ['.quit', '\r'],
        ],
      )
      expect(first).toMatch(/│ +4\.5 │/)
      const kept = join(folder, '.sluice', 'query_history')
      expect((await stat(kept)).mode & 0o777).toBe(0o600)
      expect(await readFile(kept, 'utf8')).toContain('SELECT max(rating) AS best FROM shops WHERE shops.id = 1;')
      const up = '\u001b[A'
      const second = await onTerminal(
        ['query', 'shops.yaml'],
        [
          ['sluice> ', up + up],
          ['= 1;', '\r'],
          ['1 row', ''],
          ['sluice> ', '.quit\r'],
        ],
      )
      expect(second).toMatch(/│ +4\.5 │/)
    },
  )

  it.skipIf(!existsSync('/usr/bin/script'))(
    'its shell forgets what is typed at Ctrl-C, and stops what runs',
    {
      timeout: 120_000,
    },
    async () => {
      const ctrlC = '\u0003'
      const shown = await onTerminal(
        ['query', 'shops.yaml'],
        [
          ['sluice> ', 'SELECT 1 AS forgotten,\r'],
          ['...> ', ctrlC],
          ['sluice> ', 'SELECT count(*) FROM range(100000000000) a, range(100000000000) b;\r'],
          ['b;', ctrlC],
          ['stopped', ''],
          ['sluice> ', 'SELECT 5 AS kept;\r'],
          ['1 row', ''],
          ['sluice> ', ctrlC],
        ],
      )
      expect(shown).toContain('stopped (Ctrl-C)')
      expect(shown.match(/│ +5 │/g)).toHaveLength(1)
      expect(shown).not.toMatch(/Error/)
    },
  )

  it('its shell shows errors in colour, not the codes of the colour', async () => {
    const options = { cwd: folder, env: { FORCE_COLOR: '1' }, input: 'selct 1;\n' }
    const { stderr } = await sluiceProcess(['query', 'shops.yaml', '--interactive'], options)
    expect(stderr).toMatch(new RegExp(`^${String.fromCharCode(27)}\\[31mthe statement cannot be run`))
    expect(stderr).not.toContain('\\x1b')
  })

  it.each([
    ['of an unknown column', 'SELECT nam FROM shops', /Candidate bindings: "name"[\s\S]*LINE 1/],
    ['that writes', 'DELETE FROM shops', /a query only reads, and this statement is DELETE/],
    ['that is two', 'SELECT 1; SELECT 2', /expected one statement that reads, not 2/],
    ['that is the name of a table', 'shops', /shops is one word\. .* write SELECT \* FROM shops LIMIT 10/],
    ['that is empty', ' ', /there is none\. Write it behind the file/],
  ])('a statement %s is refused with exit code 2', async (_, sql, message) => {
    const refused = await sluice(['query', 'shops.yaml', sql])
    expect(refused).toMatchObject({ exitCode: 2, stdout: '' })
    expect(refused.stderr).toMatch(message)
  })

  it('writes the rows into a Parquet file, whole or not at all', async () => {
    const out = join(folder, 'out')
    await mkdir(out, { recursive: true })
    const file = join(out, 'shops.parquet')
    const sql = 'SELECT id, name, opened, rating FROM shops ORDER BY id'
    for (const statement of [`${sql} LIMIT 1`, sql]) {
      const written = await sluice(['query', 'shops.yaml', statement, '--parquet', 'out/shops.parquet'])
      expect(written).toMatchObject({ exitCode: 0, stdout: '' })
      expect(written.stderr).toMatch(/[12] rows? written into out\/shops\.parquet\./)
    }
    const rows = await parquetReadObjects({ file: await asyncBufferFromFile(file) })
    expect(rows).toMatchObject([
      { id: 1n, name: 'Äpfel, "rot"', opened: new Date('2024-02-29T12:00:00Z'), rating: 4.5 },
      { id: 9_007_199_254_740_993n, name: 'line\nbreak', rating: null },
    ])
    const before = await readFile(file)
    const failed = await sluice(['query', 'shops.yaml', 'SELECT nam FROM shops', '--parquet', 'out/shops.parquet'])
    expect(failed).toMatchObject({ exitCode: 2 })
    expect(await readFile(file)).toEqual(before)
    expect(await readdir(out)).toEqual(['shops.parquet'])
  })

  it.each([
    [['--parquet', '.'], /--parquet: "\." is a folder; name a file in it/],
    [['--parquet', 'none/rows.parquet'], /--parquet: the folder \S*none does not exist; make it first/],
    [['--parquet', 'rows.parquet', '--csv'], /--csv.*--parquet writes all rows of one statement into a file/],
    [['--parquet', 'rows.parquet', '--limit', '5'], /--limit.*--parquet writes all rows/],
  ] as const)('refuses %j before it asks', async (options, message) => {
    const refused = await sluice(['query', 'shops.yaml', 'SELECT 1 AS one', ...options])
    expect(refused).toMatchObject({ exitCode: 2, stdout: '' })
    expect(refused.stderr.replace(/\s+/g, ' ')).toMatch(message)
  })

  it('makes no database where there is none', async () => {
    const nothing = await sluice(['query', 'shops.yaml', 'SELECT 1', '--destination', 'duckdb:nowhere.duckdb'])
    expect(nothing).toMatchObject({ exitCode: 2 })
    expect(nothing.stderr).toMatch(/there is no .*nowhere\.duckdb yet/)
    expect(await readdir(folder)).not.toContain('nowhere.duckdb')
  })
})

describe('commands that only read the destination', () => {
  it.each(['shops.yaml', 'shops.ts'])('need no secret of the API: %s', { timeout: 120_000 }, async file => {
    for (const [command = '', ...more] of [
      ['show'],
      ['show', 'shops'],
      ['schema'],
      ['types'],
      ['state'],
      ['query', 'SELECT 1'],
    ]) {
      expect(await sluice([command, file, ...more]), command).toMatchObject({ exitCode: 0, stderr: '' })
    }
    const run = await sluice(['run', file])
    expect(run).toMatchObject({ exitCode: 2 })
    expect(run.stderr).toContain('the secret `token` is missing')
  })

  it('show prints its list and its rows as JSON and as CSV', async () => {
    const list = await sluice(['show', 'shops.yaml', '--csv'])
    expect(list.stdout).toMatch(/^table,rows\nshops,2\nshops__tags,2\n/)
    const rows = await sluice(['show', 'shops.yaml', 'shops', '--json'])
    expect(
      rows.stdout
        .trim()
        .split('\n')
        .map(line => (JSON.parse(line) as { name: string }).name),
    ).toEqual(['Äpfel, "rot"', 'line\nbreak'])
    const one = await sluice(['show', 'shops.yaml', 'shops__tags', '--csv', '--limit', '1'])
    expect(one.stdout).toMatch(/^value,_dlt_parent_id,_dlt_list_idx,_dlt_id\na,[^\n]*\n$/)
  })

  it('show prints CSV for Excel, as query does', async () => {
    const flags = ['--csv', '--bom', '--separator', ';']
    const list = await sluice(['show', 'shops.yaml', ...flags])
    expect(list.stdout, list.stderr).toMatch(/^\uFEFFtable;rows\nshops;2\n/)
    const rows = await sluice(['show', 'shops.yaml', 'shops__tags', ...flags])
    expect(rows.stdout, rows.stderr).toMatch(/^\uFEFFvalue;_dlt_parent_id;_dlt_list_idx;_dlt_id\na;/)
    const idle = await sluice(['show', 'shops.yaml', 'shops__tags', '--separator', ';'])
    expect(idle).toMatchObject({ exitCode: 2, stdout: '' })
    expect(idle.stderr.replace(/\s+/g, ' ')).toContain("'--separator' belongs to --csv")
  })
})
