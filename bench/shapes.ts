import { join } from 'node:path'
import {
  type Bench,
  described,
  inTurns,
  listDocument,
  loadByReadJson,
  loadDocument,
  median,
  medianOf,
  withServer,
} from './measure.js'
import { idsUpTo, mixed, WORDS, writeRecords } from './records.js'

/** Records of one shape, and how DuckDB reads them into the same tables. */
interface Shape {
  readonly record: (id: number) => string
  /** Columns of `read_json`. */
  readonly columns: string
  /** A query of the table `stage` for each table. */
  readonly tables: Readonly<Record<string, string>>
}

const ROOT = '_dlt_load_id, _dlt_id'

/** Ids of the elements of a list, as Sluice makes them for a child table. */
function elements(
  list: string,
  table: string,
  columns: string,
  from = 'stage',
  parent = '_dlt_id',
  root = '_dlt_id',
): string {
  return `SELECT ${columns}, ${root} AS _dlt_root_id, ${parent} AS _dlt_parent_id, i - 1 AS _dlt_list_idx,
    left(md5(${parent} || '_${table}_' || i), 14) AS _dlt_id FROM (SELECT ${from}.*, unnest(${list}) AS e,
    generate_subscripts(${list}, 1) AS i FROM ${from})`
}

const shapes: Readonly<Record<string, Shape>> = {
  'flat, 13 columns': {
    record: id => {
      const seed = mixed(id)
      return `{"id":${id},"name":"${word(seed)}","city":"${word(seed >>> 4)}","amount":${(seed % 10_000) / 4},"count":${seed % 97},"is_open":${seed % 2 === 0},"created_at":"2026-0${1 + (seed % 9)}-11T0${seed % 10}:00:00Z","updated_at":"2026-0${1 + (seed % 9)}-12T0${seed % 10}:30:00Z","status":"${word(seed >>> 8)}","owner":"${word(seed >>> 12)} ${seed % 50}","score":${(seed % 1000) / 8},"rank":${seed % 1000},"note":"${word(seed)} ${word(seed >>> 3)}"}`
    },
    columns: `{id: 'BIGINT', name: 'VARCHAR', city: 'VARCHAR', amount: 'DOUBLE', count: 'BIGINT', is_open: 'BOOLEAN', created_at: 'TIMESTAMPTZ',
      updated_at: 'TIMESTAMPTZ', status: 'VARCHAR', owner: 'VARCHAR', score: 'DOUBLE', rank: 'BIGINT', note: 'VARCHAR'}`,
    tables: { t: 'SELECT * FROM stage' },
  },
  'text keys': {
    record: id => {
      const seed = mixed(id)
      const key = `${seed.toString(16).padStart(8, '0')}-${mixed(seed).toString(16).padStart(8, '0')}-${id.toString(36)}`
      return `{"id":"${key}","name":"${word(seed)}","amount":${seed % 10_000},"tags":["${word(seed)}","${word(seed >>> 4)}"]}`
    },
    columns: `{id: 'VARCHAR', name: 'VARCHAR', amount: 'BIGINT', tags: 'VARCHAR[]'}`,
    tables: {
      t: `SELECT id, name, amount, ${ROOT} FROM stage`,
      t__tags: elements('tags', 't__tags', 'e AS "value"'),
    },
  },
  'many short texts': {
    record: id => `{"id":${id},${texts(20, id, 2)}}`,
    columns: `{id: 'BIGINT', ${textColumns(20)}}`,
    tables: { t: 'SELECT * FROM stage' },
  },
  'long texts': {
    record: id => `{"id":${id},${texts(2, id, 300)}}`,
    columns: `{id: 'BIGINT', ${textColumns(2)}}`,
    tables: { t: 'SELECT * FROM stage' },
  },
  'numbers only': {
    record: id => {
      const pairs = Array.from({ length: 12 }, (_, index) => {
        const seed = mixed(id * 12 + index)
        return `"n${index}":${index % 2 === 0 ? seed % 1_000_000 : (seed % 1_000_000) / 64}`
      })
      return `{"id":${id},${pairs.join(',')}}`
    },
    columns: `{id: 'BIGINT', ${Array.from({ length: 12 }, (_, index) => `n${index}: '${index % 2 === 0 ? 'BIGINT' : 'DOUBLE'}'`).join(', ')}}`,
    tables: { t: 'SELECT * FROM stage' },
  },
  'deep objects': {
    record: id => {
      const seed = mixed(id)
      return `{"id":${id},"a":{"x":${seed % 100},"b":{"y":"${word(seed)}","c":{"z":${(seed % 100) / 8},"d":{"w":"${word(seed >>> 4)}","e":{"v":${seed % 7},"at":"2026-01-02T03:04:05Z"}}}}}}`
    },
    columns: `{id: 'BIGINT', a: 'STRUCT(x BIGINT, b STRUCT(y VARCHAR, c STRUCT(z DOUBLE, d STRUCT(w VARCHAR, e STRUCT(v BIGINT, "at" TIMESTAMPTZ)))))'}`,
    tables: {
      t: `SELECT id, a.x AS a__x, a.b.y AS a__b__y, a.b.c.z AS a__b__c__z, a.b.c.d.w AS a__b__c__d__w, a.b.c.d.e.v AS a__b__c__d__e__v,
        a.b.c.d.e."at" AS a__b__c__d__e__at, ${ROOT} FROM stage`,
    },
  },
  'lists of lists': {
    record: id => {
      const seed = mixed(id)
      const lines = [0, 1].map(
        line => `{"sku":"${word(seed >>> line)}","parts":[{"n":${seed % 9}},{"n":${(seed >>> 4) % 9}}]}`,
      )
      return `{"id":${id},"name":"${word(seed)}","lines":[${lines.join(',')}]}`
    },
    columns: `{id: 'BIGINT', name: 'VARCHAR', lines: 'STRUCT(sku VARCHAR, parts STRUCT(n BIGINT)[])[]'}`,
    tables: {
      t: `SELECT id, name, ${ROOT} FROM stage`,
      t__lines: elements('lines', 't__lines', 'e.sku AS sku'),
      t__lines__parts: `WITH lines AS (${elements('lines', 't__lines', 'e.parts AS parts')})
        ${elements('parts', 't__lines__parts', 'e.n AS n', 'lines', '_dlt_id', '_dlt_root_id')}`,
    },
  },
  'mostly null': {
    record: id => {
      const seed = mixed(id)
      const pairs = Array.from(
        { length: 30 },
        (_, index) => `"c${index}":${mixed(seed + index) % 10 === 0 ? `"${word(seed + index)}"` : 'null'}`,
      )
      return `{"id":${id},${pairs.join(',')}}`
    },
    columns: `{id: 'BIGINT', ${Array.from({ length: 30 }, (_, index) => `c${index}: 'VARCHAR'`).join(', ')}}`,
    tables: { t: 'SELECT * FROM stage' },
  },
}

/** Each shape with each disposition, into a new file, beside `read_json` of the same records, the same tables with ids, and a check of the key for merge. */
export async function matrix(bench: Bench): Promise<void> {
  const records = Math.round(200_000 * bench.scale)
  const ratios: number[] = []
  for (const [name, { record, columns, tables }] of Object.entries(shapes)) {
    const path = join(bench.data, `${name.replaceAll(/\W+/g, '-')}-${records}.ndjson`)
    await writeRecords(path, idsUpTo(records), record)
    await withServer(path, {}, async url => {
      for (const disposition of ['append', 'replace', 'merge']) {
        const shape = { columns, tables, isMerge: disposition === 'merge' }
        const [ours, theirs] = await inTurns(
          bench.runs,
          () => loadDocument(bench, listDocument(url, 't', disposition)),
          () => loadByReadJson(bench, 'shape', path, shape),
        )
        bench.print(described(`Sluice, ${name}, ${disposition}`, ours))
        bench.print(described('read_json', theirs))
        const ratio = medianOf(ours, 'wallMs') / medianOf(theirs, 'wallMs')
        bench.ratio(`${name}, ${disposition}`, ratio, 1)
        ratios.push(ratio)
      }
    })
  }
  bench.ratio('median', median(ratios), 0.85)
}

function word(seed: number): string {
  return WORDS[seed & 15] as string
}

function texts(columns: number, id: number, words: number): string {
  return Array.from({ length: columns }, (_, column) => {
    let seed = mixed(id * columns + column)
    const text = Array.from({ length: words }, () => {
      seed = mixed(seed)
      return word(seed)
    })
    return `"t${column}":"${text.join(' ')}"`
  }).join(',')
}

function textColumns(columns: number): string {
  return Array.from({ length: columns }, (_, column) => `t${column}: 'VARCHAR'`).join(', ')
}
