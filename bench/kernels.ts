import { parseArgs } from 'node:util'
import { RowEncoder } from '../src/destinations/postgres/copy/rowEncoder.js'
import { skipValue } from '../src/json/bytes.js'
import { skipList } from '../src/json/skip.js'
import type { ColumnBatch } from '../src/model/batch.js'
import { CellRules } from '../src/normalize/exact/cells.js'
import { Evolver } from '../src/normalize/exact/evolve.js'
import { TreeReader } from '../src/normalize/exact/tree.js'
import { Kernel } from '../src/normalize/kernel/kernel.js'
import { createNormalizer, type NormalizerOptions } from '../src/normalize/normalizer.js'
import { LoadShapes } from '../src/normalize/tables/loadShapes.js'
import { IdColumn, nestedId } from '../src/normalize/tables/rowIds.js'
import { naming } from '../src/schema/naming.js'
import { newSchema } from '../src/schema/stored/document.js'
import { applyTableHints } from '../src/schema/tableHints.js'
import { machine, median } from './measure.js'
import { feedbackRecord, wideRecord } from './records.js'

/**
 * `npx tsx bench/kernels.ts [--rows 20000] [--runs 9]`: what each kernel brings alone, beside plain JavaScript that does the
 * same with the same input in the same process, in turns. Medians; the first run of each side is not counted.
 */
const { values } = parseArgs({ options: { rows: { type: 'string' }, runs: { type: 'string' } } })
const ROWS = Number(values.rows ?? 20_000)
const RUNS = Number(values.runs ?? 9)
const TABLE = 'items'
const COMMA = 0x2c

/** A page of records as a JSON array. */
function page(record: (id: number) => string): Uint8Array {
  return Buffer.from(`[${Array.from({ length: ROWS }, (_, row) => record(row + 1)).join(',')}]`)
}

function compare(what: string, withKernel: () => number, without: () => number): void {
  const times: [number[], number[]] = [[], []]
  for (let run = 0; run <= RUNS; run++) {
    const counts = [withKernel, without].map((side, index) => {
      const begun = performance.now()
      const count = side()
      if (run > 0) times[index]?.push(performance.now() - begun)
      return count
    })
    if (counts[0] !== counts[1]) throw new Error(`${what}: the sides differ: ${counts.join(' and ')}`)
  }
  const [fast, slow] = times.map(side => (ROWS / median(side)) * 1000) as [number, number]
  const shown = [fast, slow].map(rate => Math.round(rate).toLocaleString('en'))
  console.log(`${what}: ${shown[0]} rows/s with, ${shown[1]} without, ${(fast / slow).toFixed(2)} ×`)
}

/** Finds where each record ends. Without the kernel: the loop that finds the end of short values. */
function skipBench(records: Uint8Array): void {
  compare(
    'skip (ends of records)',
    () => (skipList(records, 0)?.separators ?? 0) + 1,
    () => {
      let count = 0
      for (let at = 0; at < records.length - 1; count++) {
        at = skipValue(records, at + 1)
        if (at < records.length - 1 && records[at] !== COMMA) throw new Error('a comma is missing')
      }
      return count
    },
  )
}

function normalizerOptions(): NormalizerOptions {
  const convention = naming('snake_case')
  const schema = newSchema('bench', { naming: convention })
  applyTableHints(schema, { resource: TABLE, table: TABLE, hints: {}, naming: convention })
  return {
    schema,
    naming: convention,
    loadId: '1700000000.25',
    warn: () => {},
    nulInText: true,
    decimals: { decimal: [38, 9], wei: [38, 0] },
  }
}

/** Bytes of records to columns. Without the kernel: the exact way, for every record instead of only for new shapes. */
function walkBench(what: string, records: Uint8Array): void {
  compare(
    `walk (${what})`,
    () => {
      const normalizer = createNormalizer({ ...normalizerOptions(), batchRows: ROWS * 10 })
      return normalizer.write(TABLE, records).records
    },
    () => {
      const options = normalizerOptions()
      const kernel = new Kernel(() => {
        throw new Error('the walk is not used')
      })
      const shapes = new LoadShapes({
        ...options,
        kernel,
        maxNesting: undefined,
        maxColumns: undefined,
        contract: undefined,
      })
      const evolver = new Evolver(shapes, new CellRules(options, () => {}))
      const family = shapes.family(TABLE)
      const reader = new TreeReader(Buffer.concat([records, Buffer.alloc(1)]))
      reader.expect(0x5b)
      let count = 0
      do {
        evolver.record(family.root, reader.read())
        count++
      } while (reader.accept(COMMA))
      return count
    },
  )
}

/** Ids of nested rows. Without the kernel: SHAKE-128 of node:crypto, one row at a time. */
function idsBench(): void {
  const kernel = new Kernel(() => {
    throw new Error('the walk is not used')
  })
  const parents = new IdColumn(kernel)
  parents.makeRandom(0, ROWS)
  const indexes = kernel.exports.acquireZeroed(ROWS * 4)
  const one = new IdColumn(kernel)
  const other = new IdColumn(kernel)
  const sum = (ids: IdColumn): number => ids.at(0).charCodeAt(3) * 1000 + ids.at(ROWS - 1).charCodeAt(5)
  compare(
    'keccak (ids of nested rows)',
    () => {
      one.makeNested(parents, 'items__replies', indexes, 0, ROWS)
      return sum(one)
    },
    () => {
      for (let row = 0; row < ROWS; row++) other.set(row, nestedId(parents.at(row), 'items__replies', 0))
      return sum(other)
    },
  )
}

/** Rows of binary COPY. Without the kernel: the same loop over the same columns in JavaScript. */
function rowsBench(batch: ColumnBatch): void {
  const sizeOf = (encoder: RowEncoder): number => {
    let bytes = 0
    while (!encoder.done) bytes += encoder.next().length
    return bytes
  }
  compare(
    `rows (binary COPY, ${batch.columns.length} columns)`,
    () => sizeOf(new RowEncoder(batch, new Map())),
    () => plainRows(batch),
  )
}

const TO_2000_MICROSECONDS = 946_684_800_000_000n

/** Writes the rows to one buffer and returns their length. */
function plainRows({ rows, columns }: ColumnBatch): number {
  const most = columns.reduce((bytes, { values }) => bytes + values.length, 0) + rows * (2 + columns.length * 12)
  const out = Buffer.allocUnsafe(most)
  const sources = columns.map(({ dataType, validity, values }) => ({
    dataType,
    validity,
    values: Buffer.from(values.buffer, values.byteOffset, values.length),
  }))
  const places = new Array<number>(columns.length).fill(0)
  let at = 0
  for (let row = 0; row < rows; row++) {
    at = out.writeUInt16BE(columns.length, at)
    for (const [index, { dataType, validity, values }] of sources.entries()) {
      if (validity !== undefined && (((validity[row >> 3] ?? 0) >> (row & 7)) & 1) === 0) {
        at = out.writeInt32BE(-1, at)
        continue
      }
      const place = places[index] ?? 0
      if (dataType === 'text') {
        const length = values.readUInt32LE(place)
        at = out.writeUInt32BE(length, at)
        at += values.copy(out, at, place + 4, place + 4 + length)
        places[index] = place + 4 + length
      } else if (dataType === 'bool') {
        at = out.writeUInt32BE(1, at)
        at = out.writeUInt8(((values[place >> 3] ?? 0) >> (place & 7)) & 1, at)
        places[index] = place + 1
      } else {
        const value = values.readBigInt64LE(place)
        at = out.writeUInt32BE(8, at)
        at = out.writeBigInt64BE(dataType === 'timestamp' ? value - TO_2000_MICROSECONDS : value, at)
        places[index] = place + 8
      }
    }
  }
  return at
}

console.log(`${machine()}; ${ROWS} rows, medians of ${RUNS} runs`)
const nested = page(feedbackRecord)
skipBench(nested)
walkBench('nested records', nested)
walkBench(
  'sparse records of 200 columns',
  page(id => wideRecord(id)),
)
idsBench()
const normalizer = createNormalizer({ ...normalizerOptions(), batchRows: ROWS })
normalizer.write(TABLE, nested)
const root = normalizer.take(true).find(batch => batch.table === TABLE)
if (root !== undefined) rowsBench(root)
