import { basename, join } from 'node:path'
import { DestinationError } from '../model/errors.js'
import type { Secret } from '../model/secrets/secret.js'
import { writeAll } from './append.js'
import type { Files } from './fileSystem.js'
import { loadDigest, RESPONSES_FILE } from './loads.js'
import {
  BEAT_MS,
  type Holder,
  isAlive,
  isBeating,
  isHere,
  isHolder,
  type LockOptions,
  lockedBy,
  ownHolder,
} from './lock.js'
import { encodeRecord, parseHead, RECORD_END, recordId } from './warc.js'

/** Objects that several machines reach. Keys are relative, with `/`. */
export interface JournalStore {
  /** With `onlyIfAbsent`, an existing object stays and the result is false. Of several writers, one gets true. */
  put(key: string, content: Uint8Array, options?: { readonly onlyIfAbsent?: boolean }): Promise<boolean>
  /** Undefined if there is none. */
  get(key: string): Promise<Uint8Array | undefined>
  keys(prefix: string): AsyncGenerator<string>
  /** Missing ones are not a failure. */
  remove(keys: readonly string[]): Promise<void>
  close(): Promise<void>
}

/** A place outside this machine where journals are kept too, as `journalBucket()` makes it. */
export interface JournalBucket {
  /** For messages. Holds no secret. */
  readonly place: string
  /** Those it is reached with. */
  readonly secrets: readonly Secret[]
  /** Calls the listener with secrets that come later. */
  onSecret(listener: (secret: Secret) => void): void
  open(folder: string, signal?: AbortSignal): Promise<JournalStore>
}

/** What a journal on this machine tells of its records, to have them elsewhere too. */
export interface JournalCopy {
  /** With the first record of a new journal. */
  begin(head: Uint8Array): Promise<void>
  /** Takes the bytes over. Resolves at once unless much waits to be stored; rejects once something could not be stored. */
  append(record: Uint8Array): Promise<void>
  /** Resolves when everything is stored, and no other machine has taken the journal over. */
  check(): Promise<void>
  /** Stores what it can, and lets others go on. Idempotent. */
  release(): Promise<void>
  /** Removes the journal. */
  remove(): Promise<void>
}

/** One object takes no more records after so many bytes, and a run waits while more than that is not stored. */
const MOST_BYTES = 8 * 2 ** 20
const TRANSFERS_AT_ONCE = 8

export interface BucketJournalsOptions extends LockOptions {
  readonly files: Files
  /** Where the journals lie on this machine: `<home>/<pipeline>`. */
  readonly dir: string
  readonly store: JournalStore
}

/**
 * Journals of one pipeline, or of one window, in a bucket. A journal is a row of numbered objects, `<loadId>/00000000.warc`
 * and on, together one WARC file. Each is written only if its number is free, so that two machines never write one journal.
 * Who begins or takes up a journal claims it with an object that says who it is: whoever had it before finds the next number taken, and
 * stops. The heartbeat of the owner is an object of its own.
 */
export class BucketJournals {
  readonly #options: BucketJournalsOptions
  readonly #mine: Holder
  readonly #copies = new Map<string, BucketCopy>()

  private constructor(options: BucketJournalsOptions, mine: Holder) {
    this.#options = options
    this.#mine = mine
  }

  /**
   * Claims the journals that nobody is at work on, and lays them where those of this machine are. Rejects with
   * `destination_locked` if the owner of one gives signs of life.
   */
  static async open(options: BucketJournalsOptions): Promise<BucketJournals> {
    const journals = new BucketJournals(options, await ownHolder(options.now))
    try {
      const numbers = new Map<string, number[]>()
      for await (const key of options.store.keys('')) {
        const [, loadId, number] = /^(\d[\d.]*)\/(\d{8})\.warc$/.exec(key) ?? []
        if (loadId !== undefined) numbers.set(loadId, [...(numbers.get(loadId) ?? []), Number(number)])
      }
      // A removal ends with the first object: without it, nothing counts.
      for (const [loadId, found] of numbers) {
        const sorted = [...new Set(found)].sort((a, b) => a - b)
        if (sorted[0] === 0) await journals.#takeUp(loadId, sorted)
      }
      return journals
    } catch (error) {
      await journals.close()
      throw error
    }
  }

  /** Whether the bucket had this journal. */
  has(loadId: string): boolean {
    return this.#copies.has(loadId)
  }

  /** For the journal of a load, new or taken up. */
  copyOf(loadId: string): JournalCopy {
    const copy = this.#copies.get(loadId) ?? this.#newCopy(loadId, 0)
    this.#copies.set(loadId, copy)
    return copy
  }

  async remove(loadId: string): Promise<void> {
    await this.#copies.get(loadId)?.remove()
  }

  async removeAll(): Promise<void> {
    for (const copy of this.#copies.values()) await copy.remove()
  }

  /** Lets others take up what is left. */
  async close(): Promise<void> {
    for (const copy of this.#copies.values()) await copy.release()
    await this.#options.store.close()
  }

  #newCopy(loadId: string, next: number): BucketCopy {
    return new BucketCopy(this.#options, loadId, this.#mine, next)
  }

  async #takeUp(loadId: string, numbers: readonly number[]): Promise<void> {
    const { files, dir, store, warn } = this.#options
    const folder = join(dir, 'loads', loadId)
    await files.remove(folder)
    await files.makeFolder(folder)
    const file = await files.open(join(folder, RESPONSES_FILE), 'w+')
    let holder: Holder | undefined
    try {
      let position = 0
      for (let at = 0; at < numbers.length; at += TRANSFERS_AT_ONCE) {
        const some = numbers.slice(at, at + TRANSFERS_AT_ONCE)
        const objects = await Promise.all(some.map(number => store.get(objectKey(loadId, number))))
        // Its owner removes it, or has begun to before it was killed: then its load is committed, and its head says which it is.
        for (const object of objects.filter(object => object !== undefined)) {
          holder = claimIn(object) ?? holder
          position += await writeAll(file, [object], position)
        }
      }
      await file.sync()
    } finally {
      await file.close()
    }
    if (holder !== undefined && (await this.#isHeld(loadId, holder))) throw lockedBy(basename(dir), holder)
    const copy = this.#newCopy(loadId, (numbers.at(-1) ?? 0) + 1)
    await copy.claim()
    this.#copies.set(loadId, copy)
    if (holder !== undefined && !(await isHere(holder)) && (await store.get(beatKey(loadId, holder))) !== undefined)
      warn?.(
        'lock_taken_over',
        `The journal of load ${loadId} was taken over from process ${holder.pid} on ${holder.host}, which gives no sign of life. If it goes on after all, it commits nothing`,
      )
  }

  async #isHeld(loadId: string, holder: Holder): Promise<boolean> {
    const read = async (): Promise<Holder | undefined> => {
      const beat = await this.#options.store.get(beatKey(loadId, holder))
      return beat === undefined ? undefined : { ...holder, beat: Buffer.from(beat).toString() }
    }
    const found = await read()
    // Who ends, even by a failure, takes its heartbeat away.
    if (found === undefined) return false
    return await isAlive(found, () => isBeating(basename(this.#options.dir), read, found, this.#options))
  }
}

class BucketCopy implements JournalCopy {
  readonly #options: BucketJournalsOptions
  readonly #loadId: string
  readonly #mine: Holder
  /** Number of the next object. */
  #next: number
  #waiting: Uint8Array[] = []
  #waitingBytes = 0
  #storing: Promise<void> | undefined
  #failure: { readonly error: unknown } | undefined
  #timer: NodeJS.Timeout | undefined
  #beating: Promise<unknown> | undefined
  #ending: Promise<void> | undefined

  constructor(options: BucketJournalsOptions, loadId: string, mine: Holder, next: number) {
    this.#options = options
    this.#loadId = loadId
    this.#mine = mine
    this.#next = next
  }

  async begin(head: Uint8Array): Promise<void> {
    await this.#store(head)
    await this.claim()
  }

  async claim(): Promise<void> {
    await this.#beat()
    this.#timer = setInterval(() => {
      // The next heartbeat makes up for a failed one. A lost journal is noticed before the commit.
      this.#beating ??= this.#beat()
        .catch(() => {})
        .finally(() => {
          this.#beating = undefined
        })
    }, BEAT_MS)
    this.#timer.unref()
    try {
      await this.#store(claimOf(this.#loadId, this.#mine))
    } catch (error) {
      this.#failure = { error }
      await this.release()
      throw error
    }
  }

  async append(record: Uint8Array): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure.error
    this.#waiting.push(record)
    this.#waitingBytes += record.length
    this.#storing ??= this.#storeWaiting()
    while (this.#waitingBytes > MOST_BYTES && this.#storing !== undefined) await this.#storing
  }

  async check(): Promise<void> {
    await this.append(claimOf(this.#loadId, this.#mine))
    await this.#storing
    if (this.#failure !== undefined) throw this.#failure.error
  }

  release(): Promise<void> {
    this.#ending ??= this.#end()
    return this.#ending
  }

  async remove(): Promise<void> {
    await this.release()
    const { store } = this.#options
    const keys: string[] = []
    for await (const key of store.keys(`${this.#loadId}/`)) keys.push(key)
    const first = objectKey(this.#loadId, 0)
    await store.remove(keys.filter(key => key !== first))
    await store.remove([first])
  }

  async #end(): Promise<void> {
    await this.#storing
    clearInterval(this.#timer)
    await this.#beating
    // Where it stays, others wait for a sign of life in vain, and take over.
    await this.#options.store.remove([beatKey(this.#loadId, this.#mine)]).catch(() => {})
  }

  async #beat(): Promise<void> {
    const beat = Buffer.from(new Date(this.#options.now()).toISOString())
    await this.#options.store.put(beatKey(this.#loadId, this.#mine), beat)
  }

  /** Never rejects: what is appended next does. */
  async #storeWaiting(): Promise<void> {
    try {
      while (this.#waiting.length > 0 && this.#failure === undefined) {
        const records = this.#waiting
        this.#waiting = []
        await this.#store(Buffer.concat(records))
        for (const { length } of records) this.#waitingBytes -= length
      }
    } catch (error) {
      this.#failure = { error }
    } finally {
      this.#storing = undefined
    }
  }

  async #store(content: Uint8Array): Promise<void> {
    const key = objectKey(this.#loadId, this.#next)
    if (await this.#options.store.put(key, content, { onlyIfAbsent: true })) {
      this.#next++
      return
    }
    throw new DestinationError(
      'destination_locked',
      `another machine took over the journal of load ${this.#loadId}, because this one gave no sign of life for too long, or both began at once; nothing was committed. Run again`,
      { destination: basename(this.#options.dir), transient: true },
    )
  }
}

function objectKey(loadId: string, number: number): string {
  return `${loadId}/${String(number).padStart(8, '0')}.warc`
}

function beatKey(loadId: string, { id }: Holder): string {
  return `${loadId}/${id}.beat`
}

/** A record that readers of answers pass over. */
function claimOf(loadId: string, holder: Holder): Uint8Array {
  const fields = {
    'WARC-Type': 'metadata',
    'WARC-Record-ID': recordId(loadDigest(loadId), 0),
    'WARC-Date': holder.startedAt,
    'Content-Type': 'application/json',
  }
  return Buffer.concat(encodeRecord(fields, [Buffer.from(JSON.stringify(holder))]))
}

/** Who claims a journal with this object. */
function claimIn(object: Uint8Array): Holder | undefined {
  const bytes = Buffer.from(object.buffer, object.byteOffset, object.byteLength)
  const head = parseHead(bytes)
  if (head?.fields.get('warc-type') !== 'metadata') return undefined
  const length = Number(head.fields.get('content-length'))
  if (head.headBytes + length + RECORD_END.length > bytes.length) return undefined
  const holder: unknown = JSON.parse(bytes.toString('utf8', head.headBytes, head.headBytes + length))
  return isHolder(holder) ? holder : undefined
}
