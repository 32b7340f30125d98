import { setMaxListeners } from 'node:events'
import { elements, kindAt, member, type Span, skipSpace, valueAt } from '../../../json/bytes.js'
import { compiledPath } from '../../../json/path.js'
import type { JsonObject, JsonValue } from '../../../json/value.js'
import { DataError } from '../../../model/errors.js'
import type { RunEvent } from '../../../model/events.js'
import { type ListEnd, type Page, ResourceNotes, type Unread } from '../../../model/source.js'
import { functionError } from '../../../model/userFunction.js'
import { lackingEnd, ResourceJudge } from '../../../model/verdict.js'
import type { NestedListModel } from '../../document/model.js'
import { because, graverUnread } from '../../evidence/evidence.js'
import { describe, flagOf, wholeNumber } from '../../paginators/paginator.js'
import type { ListContext, ListOutline, ListReader } from '../listReader.js'
import { readList } from '../pages.js'
import { beginningDoubt, type Came } from './nestedBeginning.js'

/** A list inside the records, and what is known of its reader before anything is sent. */
export interface NestedOutline {
  readonly list: NestedListModel
  readonly reader: ListOutline
}

/** The same with the reader of it for one record. */
export interface NestedList extends NestedOutline {
  readonly reader: ListReader
}

/** The pages of a list, with the lists inside their records read to their end. */
export async function* completed(
  pages: AsyncGenerator<Page, ListEnd>,
  lists: readonly NestedList[],
  context: ListContext,
): AsyncGenerator<Page, ListEnd> {
  try {
    for (;;) {
      const step = await pages.next()
      if (step.done === true) return step.value
      let page = step.value
      for (const nested of lists) page = await completedPage(page, nested, context).catch(notJson(nested))
      yield page
    }
  } finally {
    await pages.return({ end: 'limited', reason: 'stopped' })
  }
}

/** A record whose list is cut. */
interface Cut {
  readonly record: JsonObject
  /** Where its list belongs in the page. */
  readonly place: Place
  /** Elements that are in the record. */
  readonly beginning: readonly JsonValue[]
  /** How long the list is, if the record tells. */
  readonly total: number | undefined
  /** A flag in the record says that the list goes on. */
  readonly saysMore: boolean
}

/** Bytes that a list replaces, with what must stand around it. */
interface Place extends Span {
  readonly head: string
  readonly tail: string
}

async function completedPage(page: Page, nested: NestedList, context: ListContext): Promise<Page> {
  const { records } = page
  const { list } = nested
  const judge = new ResourceJudge(true)
  const cuts: Cut[] = []
  for (const span of elements(records, skipSpace(records, 0))) {
    const cut = cutAt(records, span, nested)
    if (cut === undefined) continue
    const place = placeOf(records, span, list.names)
    if (place === undefined) judge.list(because('nested_no_place'), 0, undefined)
    else cuts.push({ ...cut, place })
  }
  if (cuts.length === 0 && judge.lists === 0) return page
  const rests = await readAll(cuts, nested, context)
  for (const [index, cut] of cuts.entries()) {
    const { beginning, total } = cut
    const rest = rests[index] as Rest
    const { end, records: came, announced } = rest
    const known = total === undefined ? announced : total - (list.append ? beginning.length : 0)
    // Nothing but its length speaks for the end of some lists.
    const isCounted = total !== undefined && end.isOpen === true && came === known
    judge.list(isCounted ? { end: 'proven', reason: 'its length is known' } : end, came, known)
    const moreAt = cut.saysMore ? list.hasMorePath : undefined
    const doubt = beginningDoubt({ beginning, moreAt, append: list.append }, rest)
    if (doubt !== undefined) judge.list(doubt, came, undefined)
  }
  const bytes = rests.reduce((sum, rest) => sum + rest.bytes, page.bytes)
  const lacks = lackOf(judge, list)
  const whole = { ...page, bytes, records: withLists(records, cuts, rests, list) }
  if (lacks === undefined || page.lacks === undefined) return lacks === undefined ? whole : { ...whole, lacks }
  const unread = graverUnread(page.lacks.unread, lacks.unread)
  return { ...whole, lacks: { ...lackingEnd(page.lacks, lacks), unread } }
}

function lackOf(judge: ResourceJudge, { names }: NestedListModel): ListEnd | undefined {
  const { verdict, reasons } = judge.judgement()
  if (verdict === 'complete') return undefined
  const end = verdict === 'incomplete' ? 'suspect' : 'limited'
  const unread = [...judge.unread].reduce<Unread | undefined>(graverUnread, undefined)
  const reason = `${names.join('.')} is not known to be whole in every record: ${reasons.join('; ')}`
  return { end, reason, ...(unread !== undefined && { unread }) }
}

/** Undefined: nothing says that the list of this record goes on. */
function cutAt(records: Uint8Array, span: Span, { list, reader }: NestedList): Omit<Cut, 'place'> | undefined {
  if (kindAt(records, span.start) !== 'object') return undefined
  const record = valueAt(records, span) as JsonObject
  const value = list.names.reduce<JsonValue | undefined>(memberOf, record)
  if (value !== undefined && value !== null && !Array.isArray(value))
    throw wrong(list, reader, `leads to ${describe(value)}, and not to a list`)
  const beginning = value ?? []
  const present = beginning.length
  const total = told(record, present, list.totalPath, wholeNumber, 'a number', { list, reader })
  const more = told(record, present, list.hasMorePath, flagOf, 'true or false', { list, reader })
  const isCut = more === true || (total !== undefined && total > present) || decides(record, { list, reader })
  return isCut ? { record, beginning, total, saysMore: more === true } : undefined
}

function memberOf(value: JsonValue | undefined, name: string): JsonValue | undefined {
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
  return isObject && Object.hasOwn(value, name) ? (value as JsonObject)[name] : undefined
}

/** What a record says about its list. A record without elements need not say anything. */
function told<Value>(
  record: JsonObject,
  present: number,
  path: string | undefined,
  read: (value: JsonValue | undefined) => Value | undefined,
  expected: string,
  { list, reader }: NestedList,
): Value | undefined {
  if (path === undefined) return undefined
  const [value] = compiledPath(path).matches(record)
  const found = read(value)
  if (found !== undefined || present === 0) return found
  const instead = value === undefined ? 'leads to nothing' : `gives ${describe(value)}`
  throw wrong(list, reader, `"${path}" must give ${expected} in every record that has the list, but ${instead}`)
}

function decides(record: JsonObject, { list, reader }: NestedList): boolean {
  try {
    return list.decides?.(record) === true
  } catch (error) {
    const path = `${list.path}.when`
    throw functionError(reader.resource.name, `the expression at ${path}`, error, { path })
  }
}

/** The values of records are looked at here first: other ways to read a list skip them. */
function notJson({ list, reader }: NestedList): (error: unknown) => never {
  return error => {
    throw error instanceof SyntaxError ? wrong(list, reader, `a record is not JSON: ${error.message}`) : error
  }
}

function wrong({ path }: NestedListModel, { resource }: ListReader, problem: string): DataError {
  return new DataError('selector', `${path}: ${problem}`, { resource: resource.name, path })
}

/** What was read of the list of one record. */
interface Rest extends Came {
  /** Bytes of the answers. */
  readonly bytes: number
  readonly announced: number | undefined
  readonly end: ListEnd
}

/** The list of one record is held in memory, as its record is. */
const MOST_BYTES = 64 << 20

/** Reads the lists of all records, as many at once as the run may. The first failure stops the others. */
async function readAll(
  cuts: readonly Cut[],
  { list, reader }: NestedList,
  context: ListContext,
): Promise<readonly Rest[]> {
  const failing = new AbortController()
  const signal = AbortSignal.any([context.signal, failing.signal])
  setMaxListeners(0, signal)
  const notes = notesFor(context.notes, list)
  const emit = (event: RunEvent): void => {
    // Their records are parts of records that are told already.
    if (event.type === 'page') return
    context.emit(event.type === 'detected' ? { ...event, guess: `${event.guess} for ${list.names.join('.')}` } : event)
  }
  // A trial reads fewer records, but each of them whole: the merge of half a list would take the other half away.
  const own = { ...context, window: undefined, parents: undefined, maxPages: undefined, notes, emit, signal }
  // Begun in the order of the records: that tells equal ones apart.
  const lists = cuts.map(({ record }) => readList(reader, { ...own, parent: record }))
  const rests: Rest[] = []
  let next = 0
  const work = async (): Promise<void> => {
    for (let index = next++; index < lists.length; index = next++) {
      signal.throwIfAborted()
      rests[index] = await readRest(lists[index] as AsyncGenerator<Page, ListEnd>, list, reader)
    }
  }
  const workers = Array.from({ length: Math.min(Math.max(context.concurrency, 1), lists.length) }, () =>
    work().catch((error: unknown) => {
      failing.abort(error)
      throw error
    }),
  )
  await Promise.allSettled(workers)
  // The signal keeps the first reason.
  if (failing.signal.aborted) throw failing.signal.reason
  for (const [path, met] of notes.paths) if (met || !context.notes.paths.has(path)) context.notes.paths.set(path, met)
  return rests
}

async function readRest(
  pages: AsyncGenerator<Page, ListEnd>,
  list: NestedListModel,
  reader: ListReader,
): Promise<Rest> {
  const text: Uint8Array[] = []
  let [records, bytes, kept] = [0, 0, 0]
  let announced: number | undefined
  try {
    for (;;) {
      const step = await pages.next()
      if (step.done === true) return { text, records, bytes, announced, end: step.value }
      const page = step.value
      announced = page.announced ?? announced
      bytes += page.bytes
      if (page.count === 0) continue
      const inner = withoutBrackets(page.records)
      kept += inner.length
      if (kept > MOST_BYTES)
        throw wrong(
          list,
          reader,
          `the list of one record is longer than ${MOST_BYTES >> 20} MiB; read it by a resource of its own`,
        )
      records += page.count
      text.push(inner)
    }
  } finally {
    await pages.return({ end: 'limited', reason: 'stopped' })
  }
}

/** A copy: the bytes of a page are written over. */
function withoutBrackets(records: Uint8Array): Uint8Array {
  const start = skipSpace(records, 0) + 1
  return Buffer.from(records.subarray(start, records.lastIndexOf(0x5d)))
}

const known = new WeakMap<ResourceNotes, Map<string, ResourceNotes>>()

/** All lists of one kind share notes within a run, as the lists of a resource do. */
function notesFor(notes: ResourceNotes, { path }: NestedListModel): ResourceNotes {
  const lists = known.get(notes) ?? new Map<string, ResourceNotes>()
  known.set(notes, lists)
  const own = lists.get(path) ?? new ResourceNotes()
  lists.set(path, own)
  return own
}

const [OPEN, COMMA, CLOSE] = ['[', ',', ']'].map(text => Buffer.from(text)) as [Buffer, Buffer, Buffer]

/**
 * The records with their whole lists. All other bytes stay as they are, and so do lists that are longer than what came
 * in their place.
 */
function withLists(
  records: Uint8Array,
  cuts: readonly Cut[],
  rests: readonly Rest[],
  { append }: NestedListModel,
): Uint8Array {
  const parts: Uint8Array[] = []
  let at = 0
  for (const [index, { place, beginning }] of cuts.entries()) {
    const { text, records: came } = rests[index] as Rest
    if (!append && came < beginning.length) continue
    const before = append && beginning.length > 0 ? [withoutBrackets(records.subarray(place.start, place.end))] : []
    const all = [...before, ...text].flatMap((part, number) => (number === 0 ? [part] : [COMMA, part]))
    const [head, tail] = [Buffer.from(place.head), Buffer.from(place.tail)]
    parts.push(records.subarray(at, place.start), head, OPEN, ...all, CLOSE, tail)
    at = place.end
  }
  return Buffer.concat([...parts, records.subarray(at)])
}

/**
 * Where the list stands, or its place with the objects around it that are missing or null. Undefined: something else
 * than an object is in the way.
 */
function placeOf(records: Uint8Array, record: Span, names: readonly string[]): Place | undefined {
  let holder = record
  for (const [index, name] of names.entries()) {
    const kind = kindAt(records, holder.start)
    if (kind === 'null') return { ...holder, ...around(names.slice(index)) }
    if (kind !== 'object') return undefined
    const found = member(records, holder.start, name)
    if (found === undefined) {
      const isEmpty = skipSpace(records, holder.start + 1) === holder.end - 1
      const end = holder.end - 1
      const { head, tail } = around(names.slice(index + 1))
      return { start: end, end, head: `${isEmpty ? '' : ','}${JSON.stringify(name)}:${head}`, tail }
    }
    holder = found
  }
  return { ...holder, head: '', tail: '' }
}

/** Objects of one member each, one in the other. */
function around(names: readonly string[]): { readonly head: string; readonly tail: string } {
  return { head: names.map(name => `{${JSON.stringify(name)}:`).join(''), tail: '}'.repeat(names.length) }
}
