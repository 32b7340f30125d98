/** An object: a name with slashes, and bytes that exist completely or not at all. */
export interface StoredObject {
  readonly key: string
  readonly bytes: number
}

/** Keys from `from` to `to`, both included. */
export interface KeyRange {
  readonly from: string
  readonly to: string
}

/** A finished file on this machine, to be put into a storage. */
export interface LocalFile {
  readonly path: string
  readonly bytes: number
  /** Of the content, 64 hex digits. */
  readonly sha256: string
}

/** Objects on this machine, while they are needed. */
interface Borrowed extends AsyncDisposable {
  /** Paths in the order of the requested objects. */
  readonly paths: readonly string[]
}

interface BorrowedObject {
  readonly key: string
  /** Undefined if unknown. */
  readonly bytes: number | undefined
}

interface PutOptions {
  readonly onlyIfAbsent?: boolean
  /** Name for the place of unfinished objects, which {@link Storage.clearDrafts} can find. */
  readonly drafts?: string | undefined
}

/** Where objects are stored. Keys are relative, with `/`, and never lead out of the place. */
export interface Storage {
  /** For messages. Holds no secret. */
  readonly place: string
  /** A staging folder on this machine. A local storage takes files from there without copying. */
  stagingDir(): Promise<string>
  /**
   * Stores an object. Once the promise resolves, it is durable and completely visible. A local file is used up. With
   * `onlyIfAbsent`, an existing object stays and the result is false. Of several writers, one gets true.
   */
  put(key: string, content: Uint8Array | LocalFile, options?: PutOptions): Promise<boolean>
  /** Removes unfinished objects with this drafts name, left by a killed process. */
  clearDrafts(name: string): Promise<void>
  /** A whole, small object. Undefined if there is none. */
  get(key: string): Promise<Uint8Array | undefined>
  /**
   * Objects as files. Undefined if one of them is gone. Removing an object does not affect borrowed files. A download
   * has the given length, or fails.
   */
  borrow(objects: readonly BorrowedObject[]): Promise<Borrowed | undefined>
  /** Objects whose keys begin with `prefix`, in no promised order. */
  list(prefix: string): AsyncGenerator<StoredObject>
  /**
   * Keys that start with `prefix`, in no promised order, some perhaps twice. May leave out those in the ranges of
   * `passed`, if that saves requests.
   */
  keys(prefix: string, passed?: readonly KeyRange[]): AsyncGenerator<string>
  /** Removes objects. Missing ones are not a failure. */
  remove(keys: readonly string[]): Promise<void>
  /** Removes objects of a killed process, and the parts of those that it had not finished. */
  abandon(keys: readonly string[]): Promise<void>
  close(): Promise<void>
}

export function inRange({ from, to }: KeyRange, key: string): boolean {
  return from <= key && key <= to
}

export async function keysUnder(storage: Storage, prefix: string, passed: readonly KeyRange[] = []): Promise<string[]> {
  const keys = new Set<string>()
  for await (const key of storage.keys(prefix, passed)) keys.add(key)
  return [...keys].sort()
}

/**
 * Runs `work` on each item, `width` at a time. Results are in the order of the items. After a failure it starts nothing
 * new, and rejects once nothing is running.
 */
export async function mapLimited<T, R>(
  items: readonly T[],
  width: number,
  work: (item: T, index: number) => Promise<R>,
): Promise<R[]> {
  const results: R[] = new Array(items.length)
  let next = 0
  const failures: unknown[] = []
  const worker = async (): Promise<void> => {
    while (next < items.length && failures.length === 0) {
      const index = next++
      try {
        results[index] = await work(items[index]!, index) // index < length
      } catch (error) {
        failures.push(error)
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, worker))
  if (failures.length > 0) throw failures[0]
  return results
}
