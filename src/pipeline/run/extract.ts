import { setMaxListeners } from 'node:events'
import { elements, valueAt } from '../../json/bytes.js'
import type { JsonObject, JsonValue } from '../../json/value.js'
import { DataError, shortened } from '../../model/errors.js'
import type { RunEvent } from '../../model/events.js'
import type { ResponseJournal } from '../../model/responses.js'
import type { Clock, ExtractContext, ListEnd, Page, Resource, ResourceNotes } from '../../model/source.js'
import type { ExpectationCheck } from './expectationCheck.js'
import type { CursorTracker } from './incremental/incremental.js'
import type { PartEnds } from './incremental/listParts.js'
import type { ParentChanges } from './incremental/parentChanges.js'
import { ParentCursorTracker } from './incremental/parentCursors.js'
import type { PartitionParents } from './incremental/partitions.js'
import type { ListMeter, Meter } from './meter.js'
import { createRunMemory, createSlots, type ListMemory, type RunMemory, type Slots } from './runMemory.js'
import { located, runSteps } from './steps.js'

/** A resource with what one run adds to it. */
export interface ResourceRun {
  readonly resource: Resource
  readonly children: readonly ResourceRun[]
  readonly cursor?: CursorTracker | undefined
  /** Decides which records of the parent have their lists read. Absent: all. */
  readonly changes?: ParentChanges | undefined
  /** The records of the parent whose lists are read. Absent: all. */
  readonly partition?: PartitionParents | undefined
  /** The part of the list that is read. Absent: all of it. */
  readonly part?: PartEnds | undefined
  readonly meter: Meter
  readonly expectations?: ExpectationCheck | undefined
  readonly notes: ResourceNotes
  /** Takes the records that the steps keep. Absent if the run reads the resource only for its children. */
  readonly write?: ((records: Uint8Array) => Promise<void>) | undefined
}

export interface ExtractOptions {
  readonly signal: AbortSignal
  readonly clock: Clock
  readonly journal: ResponseJournal
  readonly emit: (event: RunEvent) => void
  readonly maxPages?: number | undefined
  readonly concurrency: number
}

/**
 * Reads every list of the root resources and, for each of their records, the lists of their children. Writes the pages
 * of one list in order. The first failure aborts everything in flight, and this function throws it.
 */
export async function extract(roots: readonly ResourceRun[], options: ExtractOptions): Promise<void> {
  const failing = new AbortController()
  const signal = AbortSignal.any([options.signal, failing.signal])
  // Every request in flight and every wait adds a listener. The concurrency limits their number, not Node's ten.
  setMaxListeners(0, signal)
  const memory = createRunMemory(PAGE_BYTES, () => slots.changed())
  const slots = createSlots(options.concurrency - 1, memory.hasRoom)
  const reading: Extraction = {
    ...options,
    signal,
    slots,
    memory,
    started: new Set(),
    parents: new Map(),
    fail: error => failing.abort(error),
  }
  try {
    await slots.run(roots, async root => void (await readWithChildren(root, ROOT, reading)))
  } catch (error) {
    // Errors of the aborted requests are not the cause. The signal keeps the first reason.
    throw failing.signal.aborted ? failing.signal.reason : error
  }
}

interface Extraction extends ExtractOptions {
  /** Aborts everything in flight, at every depth. */
  readonly fail: (error: unknown) => void
  /** For lists that are read beside others, at every depth. */
  readonly slots: Slots
  readonly memory: RunMemory
  /** Names of the resources with a list that was begun. */
  readonly started: Set<string>
  /** By child resource: the parent records with a list, and those whose list was read. */
  readonly parents: Map<string, { known: number; read: number }>
}

/** Bytes of pages that a run holds at once. It exceeds them only if it must. */
const PAGE_BYTES = 32 << 20
/** For children, a page's records are also parsed into objects, which take about twice the bytes. */
const PARENT_COST = 3

/** The parent records that a list is asked for: one record, or several in one request. A root resource has neither. */
type AskedFor = Pick<ExtractContext, 'parent' | 'parents'>

const ROOT: AskedFor = {}

/** Reads a list, and the lists of the children of its records. Returns whether every record of all of them was read. */
async function readWithChildren(run: ResourceRun, askedFor: AskedFor, options: Extraction): Promise<boolean> {
  const { resource, meter } = run
  const list = listOf(run, askedFor)
  const { cursor } = list
  if (!options.started.has(resource.name)) {
    options.started.add(resource.name)
    options.emit({
      type: 'resource_started',
      resource: resource.name,
      ...(resource.parent === undefined ? {} : { parent: resource.parent }),
    })
  }
  const account = meter.list()
  const memory = options.memory.list(run.notes)
  const pages = resource.pages(contextOf(list, askedFor, options))
  const offspring = new Offspring(run, options)
  let last: Page | undefined
  let ended = false
  let isWhole = false
  try {
    for (;;) {
      options.signal.throwIfAborted()
      const step: IteratorResult<Page, ListEnd> = await pages.next()
      if (step.done) {
        const end = account.whole(step.value)
        isWhole = account.end(end)
        cursor?.ended?.(end)
        await writeRest(list, last, offspring, end)
        ended = true
        break
      }
      last = step.value
      const beyond = await readPage(list, step.value, account, offspring, memory)
      if (beyond) {
        const reason = `stopped at the first record outside the window of ${cursor?.window.cursorPath}`
        const end = account.whole({ end: 'proven', reason })
        isWhole = account.end(end)
        await writeRest(list, last, offspring, end)
        ended = true
        break
      }
    }
    await offspring.readRest()
    tellEnd(resource, askedFor, options)
    isWhole &&= offspring.isWhole
    list.close(isWhole)
    return isWhole
  } catch (error) {
    options.fail(error)
    throw error
  } finally {
    if (!ended) account.end(undefined)
    await pages.return({ end: 'limited', reason: 'stopped' })
    memory.end()
  }
}

interface ListRun extends ResourceRun {
  /** Whether the list, and with it all of its cursor, is read in the order of the document. */
  readonly ordered: boolean
  /** Takes note of the end of the list, and of those below it. */
  readonly close: (isWhole: boolean) => void
}

/** The resource with the cursor of one of its lists. */
function listOf(run: ResourceRun, askedFor: AskedFor): ListRun {
  const { cursor, changes } = run
  const { parent } = askedFor
  const parents = askedFor.parents ?? (parent === undefined ? [] : [parent])
  if (!(cursor instanceof ParentCursorTracker) || parent === undefined)
    return { ...run, ordered: askedFor === ROOT, close: isWhole => isWhole && changes?.wasRead(parents) }
  const close = (isWhole: boolean): void => {
    if (isWhole) changes?.wasRead(parents)
    else cursor.wasCut(parent)
  }
  return { ...run, cursor: cursor.of(parent), ordered: true, close }
}

function tellEnd({ name }: Resource, askedFor: AskedFor, { parents, emit }: Extraction): void {
  const count = parents.get(name)
  if (count !== undefined) count.read += askedFor.parents?.length ?? 1
  emit({
    type: 'list_finished',
    resource: name,
    ...(count === undefined ? {} : { parentsRead: count.read, parentsKnown: count.known }),
  })
}

function contextOf(run: ResourceRun, askedFor: AskedFor, options: Extraction): ExtractContext {
  return {
    signal: options.signal,
    clock: options.clock,
    ...askedFor,
    window: run.cursor?.window,
    part: run.part?.range,
    journal: options.journal,
    emit: options.emit,
    maxPages: options.maxPages,
    concurrency: options.concurrency,
    memory: options.memory,
    notes: run.notes,
  }
}

/** Returns whether to stop reading the list. */
async function readPage(
  run: ListRun,
  page: Page,
  account: ListMeter,
  offspring: Offspring,
  memory: ListMemory,
): Promise<boolean> {
  memory.page(page.bytes * (run.children.length === 0 ? 1 : PARENT_COST))
  const { records, beyond } = await writePage(run, page, account).catch((error: unknown) => {
    throw located(error, run.resource, page)
  })
  await offspring.read(records, page)
  return beyond
}

/** Writes the records that waited for the end of the list. They come from its last page, or from those before it. */
async function writeRest(
  run: ListRun,
  page: Page | undefined,
  offspring: Offspring,
  { unread }: ListEnd,
): Promise<void> {
  const rest = run.cursor?.rest?.(unread === 'run' || unread === 'document')
  if (rest === undefined || page === undefined) return
  try {
    run.meter.filtered(-elements(rest, 0).length)
    run.expectations?.take(rest)
    await run.write?.(rest)
  } catch (error) {
    throw located(error, run.resource, page)
  }
  await offspring.read(rest, page)
}

async function writePage(run: ListRun, page: Page, account: ListMeter) {
  const { resource, meter, cursor, ordered, part } = run
  part?.take(page)
  const stepped = runSteps(resource, resource.steps, page.records)
  const filtered = cursor?.filter(stepped.records, { ordered })
  const records = filtered?.records ?? stepped.records
  meter.filtered(stepped.dropped + (filtered?.dropped ?? 0))
  account.page(page, page.count)
  // A page whose records are all dropped leaves no trace in the schema, as with dlt. An empty answer does.
  const isUsedUp = page.count > 0 && records.length === '[]'.length
  run.expectations?.take(records)
  if (!isUsedUp && run.write !== undefined) {
    await run.write(records)
    page.written?.(records)
  }
  return { records, beyond: filtered?.beyond ?? false }
}

/** The lists of the children of one list. Records that do not fill a batch wait for those of the next page. */
class Offspring {
  readonly #run: ResourceRun
  readonly #options: Extraction
  readonly #waiting = new Map<ResourceRun, JsonObject[]>()
  /** Whether every record of the lists was read. */
  isWhole = true

  constructor(run: ResourceRun, options: Extraction) {
    this.#run = run
    this.#options = options
  }

  /** Reads the child lists of these records, which come from that page. */
  async read(records: Uint8Array, page: Page): Promise<void> {
    const { children } = this.#run
    if (children.length === 0) return
    const all = this.#parents(records, page)
    const wanted = children.map(
      child =>
        [
          child,
          all.filter(parent => (child.partition?.has(parent) ?? true) && (child.changes?.wants(parent) ?? true)),
        ] as const,
    )
    for (const [{ resource }, parents] of wanted) this.#know(resource.name, parents.length)
    for (const [child, parents] of wanted) await this.#readLists(child, this.#listsFor(child, parents))
  }

  #know(child: string, records: number): void {
    const { parents } = this.#options
    const count = parents.get(child) ?? { known: 0, read: 0 }
    count.known += records
    parents.set(child, count)
  }

  #parents(records: Uint8Array, page: Page): readonly JsonObject[] {
    const { resource } = this.#run
    try {
      return elements(records, 0).map(span => parentRecord(resource, valueAt(records, span)))
    } catch (error) {
      throw located(error, resource, page)
    }
  }

  /** Reads the child lists of the records that still wait. Call it once the list has ended. */
  async readRest(): Promise<void> {
    for (const [child, parents] of this.#waiting) {
      if (parents.length > 0) await this.#readLists(child, [{ parents }])
    }
  }

  /** The lists of a child to read now, each by the records that it is asked for. */
  #listsFor(child: ResourceRun, parents: readonly JsonObject[]): AskedFor[] {
    const size = child.resource.batchSize
    if (size === undefined) return parents.map(parent => ({ parent }))
    const all = [...(this.#waiting.get(child) ?? []), ...parents]
    const batches = Array.from({ length: Math.floor(all.length / size) }, (_, index) => ({
      parents: all.slice(index * size, (index + 1) * size),
    }))
    this.#waiting.set(child, all.slice(batches.length * size))
    return batches
  }

  #readLists(child: ResourceRun, lists: readonly AskedFor[]): Promise<void> {
    return this.#options.slots.run(lists, async askedFor => {
      if (!(await readWithChildren(child, askedFor, this.#options))) this.isWhole = false
    })
  }
}

function parentRecord(resource: Resource, value: JsonValue): JsonObject {
  if (value !== null && typeof value === 'object' && !Array.isArray(value)) return value as JsonObject
  throw new DataError(
    'placeholder',
    `a record is ${shortened(JSON.stringify(value) ?? '')}, not an object; the resources that depend on it have no fields to take.`,
    { resource: resource.name, path: resource.path },
  )
}
