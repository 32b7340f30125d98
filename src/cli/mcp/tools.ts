import type { JsonObject, JsonValue } from '../../json/value.js'
import {
  flag,
  names,
  needed,
  type OptionKind,
  type OptionKinds,
  optionKind,
  optionsOf,
  text,
  wholeFromOne,
  wordOf,
} from '../../model/optionKinds.js'
import { worstVerdict } from '../../model/receipt.js'
import type { Clock } from '../../model/source.js'
import type { RowKey } from '../../pipeline/look/traceRow.js'
import type { Pipeline } from '../../pipeline/pipeline.js'
import { exportSchema, type SchemaFormat } from '../../schema/export/export.js'
import { queryRows } from '../../studio/tableRows.js'
import { traceJson } from '../commands/data/trace.js'

export interface ToolContext {
  readonly pipeline: Pipeline
  /** Of its file. */
  readonly path: string
  /** Whether a person says yes to this. */
  readonly approve: (question: string) => Promise<boolean>
  readonly signal: AbortSignal
  readonly clock: Clock
}

export interface Tool {
  readonly name: string
  readonly description: string
  /** JSON Schemas of its arguments. */
  readonly properties: Readonly<Record<string, object>>
  readonly required: readonly string[]
  readonly kind: OptionKind
  /** `secrets`: it sends requests. `files`: it is about all pipelines. */
  readonly needs: 'nothing' | 'secrets' | 'files'
  /** Changes nothing, at the API nor at the destination. */
  readonly isReading: boolean
  answer(asked: object, context: ToolContext): Promise<JsonValue>
}

interface Described<Asked> extends Pick<Tool, 'name' | 'description' | 'needs' | 'isReading'> {
  readonly properties: { readonly [Key in keyof Asked]-?: object }
  readonly required?: readonly (keyof Asked & string)[]
  readonly kinds: OptionKinds<Asked>
  readonly answer: (asked: Asked, context: ToolContext) => Promise<object>
}

const PIPELINE = {
  type: 'string',
  description: 'Name or file of the pipeline. May be left out if there is only one.',
}

function tool<Asked extends object>({ kinds, properties, required = [], answer, ...rest }: Described<Asked>): Tool {
  return {
    ...rest,
    required,
    properties: rest.needs === 'files' ? {} : { pipeline: PIPELINE, ...properties },
    kind: optionsOf<Asked>('arguments', kinds),
    answer: async (asked, context) => plain(await answer(asked as Asked, context)),
  }
}

/** Without what JSON has not: undefined members, dates, bytes. */
function plain(value: unknown): JsonValue {
  if (value instanceof Date) return value.toISOString()
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64')
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value)
  if (typeof value !== 'object' || value === null) return (value ?? null) as JsonValue
  const members = Object.entries(value).filter(([, member]) => member !== undefined)
  return Object.fromEntries(members.map(([key, member]) => [key, plain(member)])) as JsonObject
}

const RESOURCES = { type: 'array', items: { type: 'string' }, description: 'Only these resources.' }
const FORMATS = ['yaml', 'json', 'dbml', 'mermaid', 'typescript'] as const satisfies readonly SchemaFormat[]
const MOST_ROWS = 1_000
const MOST_LOADS = 100
const MOST_REQUESTS = 100

function upTo(most: number): OptionKind {
  return optionKind(
    `a whole number from 1 to ${most}`,
    value => typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= most,
  )
}

function wholeUpTo(maximum: number, description: string): object {
  return { type: 'integer', minimum: 1, maximum, description }
}

/** What an agent may ask for. A run alone changes anything, and needs approval. */
export const TOOLS: readonly Tool[] = [
  tool<Record<never, never>>({
    name: 'pipelines',
    description: 'Lists the pipelines with their files, destinations and resources, and what is wrong with a file.',
    needs: 'files',
    isReading: true,
    properties: {},
    kinds: {},
    answer: async () => ({}),
  }),
  tool<{ readonly select?: readonly string[] }>({
    name: 'plan',
    description: 'The first requests of a run, the reasons for them, and where it starts. Sends no request to the API.',
    needs: 'nothing',
    isReading: true,
    properties: { select: RESOURCES },
    kinds: { select: names },
    answer: ({ select }, { pipeline, signal }) => pipeline.plan({ select, signal }),
  }),
  tool<{ readonly select?: readonly string[] }>({
    name: 'check',
    description: 'Validates the file and requests one page of each root resource. Writes nothing.',
    needs: 'secrets',
    isReading: true,
    properties: { select: RESOURCES },
    kinds: { select: names },
    answer: ({ select }, { pipeline, signal }) => pipeline.check({ select, signal }),
  }),
  tool<{ readonly select?: readonly string[]; readonly budget: number }>({
    name: 'prove',
    description:
      'Asks the API whether the file is right: pages, total, key, cursor. Each finding says what to write instead. Loads nothing, and keeps no proof.',
    needs: 'secrets',
    isReading: true,
    properties: {
      select: RESOURCES,
      budget: wholeUpTo(MOST_REQUESTS, 'Most requests for each resource; 12 are usual.'),
    },
    required: ['budget'],
    kinds: { select: names, budget: needed(upTo(MOST_REQUESTS)) },
    answer: async ({ select, budget }, { pipeline, signal, clock }) => {
      const { prove } = await import('../../import/prove/proveDocument.js')
      return await prove(pipeline, { select, budget, signal, clock })
    },
  }),
  tool<{ readonly format?: SchemaFormat }>({
    name: 'schema',
    description: 'The tables and columns of the last load.',
    needs: 'nothing',
    isReading: true,
    properties: { format: { type: 'string', enum: FORMATS, description: 'Default: yaml.' } },
    kinds: { format: wordOf(FORMATS) },
    answer: async ({ format = 'yaml' }, { pipeline }) => {
      const schema = await pipeline.dataset().schema()
      if (schema === undefined) return { tables: 'nothing was loaded yet' }
      return { format, text: await exportSchema(schema, format, { dataset: pipeline.datasetName }) }
    },
  }),
  tool<{ readonly limit?: number; readonly load?: string }>({
    name: 'history',
    description:
      'The committed loads, newest first, each with its receipts: what was read, and whether it is complete.',
    needs: 'nothing',
    isReading: true,
    properties: {
      limit: wholeUpTo(MOST_LOADS, 'Loads, newest first. Default 5.'),
      load: { type: 'string', description: 'Only the load with this id.' },
    },
    kinds: { limit: upTo(MOST_LOADS), load: text },
    answer: async ({ limit = 5, load }, { pipeline }) => {
      const loads = await pipeline.dataset().history({ limit, loadId: load })
      return loads.map(({ receipts, ...one }) => ({ ...one, verdict: worstVerdict(receipts), receipts }))
    },
  }),
  tool<{ readonly table: string; readonly key: RowKey }>({
    name: 'trace',
    description:
      'Where a row comes from: load, receipt, and, if the journal was kept, the request and the bytes of each value.',
    needs: 'nothing',
    isReading: true,
    properties: {
      table: { type: 'string' },
      key: {
        description: 'Value of the primary key, a _dlt_id, or an object of columns and values, all as texts.',
        anyOf: [{ type: 'string' }, { type: 'object', additionalProperties: { type: 'string' } }],
      },
    },
    required: ['table', 'key'],
    kinds: { table: needed(text), key: optionKind('a text, or texts by column', () => true) },
    answer: async ({ table, key }, { pipeline, signal }) => {
      const trace = await pipeline.trace(table, key, { signal })
      return trace === undefined ? { row: 'there is no such row' } : traceJson(trace)
    },
  }),
  tool<{ readonly sql: string; readonly limit?: number }>({
    name: 'query',
    description:
      "One SQL statement that only reads, in the destination's SQL. Every other is refused. Long texts and many rows are cut.",
    needs: 'nothing',
    isReading: true,
    properties: { sql: { type: 'string' }, limit: wholeUpTo(MOST_ROWS, 'Most rows. Default 100.') },
    required: ['sql'],
    kinds: { sql: needed(text), limit: upTo(MOST_ROWS) },
    answer: ({ sql, limit = 100 }, { pipeline, signal }) => queryRows(pipeline, sql, { limit, signal }),
  }),
  tool<{ readonly select?: readonly string[]; readonly limit?: number; readonly keepJournal?: boolean }>({
    name: 'run',
    description: 'Loads the pipeline and commits it. Needs the approval of a person.',
    needs: 'secrets',
    isReading: false,
    properties: {
      select: RESOURCES,
      limit: { type: 'integer', minimum: 1, description: 'Pages of each list. Default: all.' },
      keepJournal: { type: 'boolean', description: 'Keep every answer, so that rows can be traced to it.' },
    },
    kinds: { select: names, limit: wholeFromOne, keepJournal: flag },
    answer: async ({ select, limit, keepJournal }, { pipeline, approve, signal }) => {
      const { name, destination, datasetName } = pipeline
      const what = select === undefined ? 'every resource' : select.join(', ')
      const pages = limit === undefined ? '' : `, ${limit} pages of each list`
      const isApproved = await approve(
        `Run the pipeline ${name}: load ${what}${pages} into ${destination.name}, dataset ${datasetName}?`,
      )
      if (!isApproved) return { state: 'refused', why: 'the run was not approved; nothing was loaded' }
      return await pipeline.run({ select, maxPages: limit, keepJournal, signal })
    },
  }),
]
