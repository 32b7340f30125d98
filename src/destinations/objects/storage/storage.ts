/** An object: a name with slashes, and bytes that are there as a whole or not at all. */
export interface StoredObject {
  readonly key: string
  readonly bytes: number
}

/** Keys from `from` to `to`, with both of them. */
export interface KeyRange {
  readonly from: string
  readonly to: string
}

/** A finished file of this machine, on its way into a storage. */
export interface LocalFile {
  readonly path: string
  readonly bytes: number
  /** Of the content, 64 hex digits. */
  readonly sha256: string
}

/** Objects on this machine, for as long as they are needed. */
interface Borrowed extends AsyncDisposable {
  /** Paths in the order of the objects that were asked for. */
  readonly paths: readonly string[]
}

interface BorrowedObject {
  readonly key: string
  /** Undefined where it is not known. */
  readonly bytes: number | undefined
}

interface PutOptions {
  readonly onlyIfAbsent?: boolean
  /** Name for the place of objects that are not whole yet, where they are to be found by {@link Storage.clearDrafts}. */
  readonly drafts?: string | undefined
}

/** Where objects live. Keys are relative, with `/`, and never leave the place. */
export interface Storage {
  /** For messages; holds no secret. */
  readonly place: string
  /** A folder on this machine for files on their way. A local storage takes files from there without copying. */
  stagingDir(): Promise<string>
  /**
   * Stores an object; it is durable and visible as a whole once the promise resolves. A local file is used up. With `onlyIfAbsent`
   * an object that is there stays as it is, and the result is false; of several writers one gets true.
   */
  put(key: string, content: Uint8Array | LocalFile, options?: PutOptions): Promise<boolean>
  /** Removes what objects on their way, put with this name of their drafts, left when their process was killed. */
  clearDrafts(name: string): Promise<void>
  /** A whole, small object; undefined when there is none. */
  get(key: string): Promise<Uint8Array | undefined>
  /**
   * Objects as files; undefined when one of them is gone. Removing an object does not touch what was borrowed. What
   * comes from elsewhere has the length that is given, or fails.
   */
  borrow(objects: readonly BorrowedObject[]): Promise<Borrowed | undefined>
  /** Objects whose keys begin with `prefix`, in no promised order. */
  list(prefix: string): AsyncGenerator<StoredObject>
  /**
   * Keys that begin with `prefix`, in no promised order, some perhaps twice. Those in the ranges of `passed` may be left
   * out, where that saves requests.
   */
  keys(prefix: string, passed?: readonly KeyRange[]): AsyncGenerator<string>
  /** Removes objects; those that are not there are no failure. */
  remove(keys: readonly string[]): Promise<void>
  /** Removes objects of a process that was killed, and what there is of those that it had not stored whole. */
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
 * `work` on each item, `width` at a time; results in the order of the items. After a failure nothing new begins, and the
 * promise rejects once nothing is under way any more.
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
