/**
 * The part of a file system that a working folder needs. Everything rejects with errors that carry the codes of the
 * system, such as `ENOENT`. Paths are absolute or relative to the process, with the system's separator.
 */
export interface Files {
  /** `r` and `r+` need an existing file. `w+` creates an empty one. */
  open(path: string, flags: 'r' | 'r+' | 'w+'): Promise<OpenFile>
  readText(path: string): Promise<string>
  writeText(path: string, text: string): Promise<void>
  /** Names in a folder, unordered. */
  list(folder: string): Promise<readonly string[]>
  /** Creates a folder and its missing parents. */
  makeFolder(path: string): Promise<void>
  /** Renames atomically. A file at `to` is replaced. A non-empty folder is not. */
  rename(from: string, to: string): Promise<void>
  /** Gives a file a second name, atomically. Rejects with `EEXIST` if the name is taken. */
  link(from: string, to: string): Promise<void>
  /** Removes a file, or a folder with its contents. No error if there is none. */
  remove(path: string): Promise<void>
  /** Resolves when the names in a folder would survive a power cut, as far as the system can guarantee it. */
  syncFolder(path: string): Promise<void>
}

/** An open file. Offsets and sizes are bytes. */
export interface OpenFile {
  size(): Promise<number>
  /** Fills `buffer` from `position`. Reads less only at the end of the file. */
  read(buffer: Uint8Array, position: number): Promise<number>
  /** Writes the buffers in order and returns the number of bytes written, which may be less than given. */
  write(buffers: readonly Uint8Array[], position: number): Promise<number>
  truncate(size: number): Promise<void>
  /** Resolves when the content would survive a power cut. */
  sync(): Promise<void>
  close(): Promise<void>
}
