/**
 * The part of a file system that a working folder needs. Everything rejects with errors that carry the codes of the
 * system, such as `ENOENT`. Paths are absolute or relative to the process, with the system's separator.
 */
export interface Files {
  /** `r` and `r+` need the file to be there, `w+` makes it, empty. */
  open(path: string, flags: 'r' | 'r+' | 'w+'): Promise<OpenFile>
  readText(path: string): Promise<string>
  writeText(path: string, text: string): Promise<void>
  /** Names in a folder, in no order. */
  list(folder: string): Promise<readonly string[]>
  /** Makes a folder and those above it that are missing. */
  makeFolder(path: string): Promise<void>
  /** At once, whoever looks; a file at `to` is replaced, a folder that holds something is not. */
  rename(from: string, to: string): Promise<void>
  /** Gives a file a second name, at once; rejects with `EEXIST` where the name is taken. */
  link(from: string, to: string): Promise<void>
  /** A file, or a folder with all that is in it; no error where there is none. */
  remove(path: string): Promise<void>
  /** Resolves when the names in a folder would survive a power cut, as far as the system can promise that. */
  syncFolder(path: string): Promise<void>
}

/** An open file. Offsets and sizes are bytes. */
export interface OpenFile {
  size(): Promise<number>
  /** Fills `buffer` from `position`; fewer bytes only at the end of the file. */
  read(buffer: Uint8Array, position: number): Promise<number>
  /** Writes the buffers one after the other; gives how many bytes were written, which may be fewer than given. */
  write(buffers: readonly Uint8Array[], position: number): Promise<number>
  truncate(size: number): Promise<void>
  /** Resolves when the content would survive a power cut. */
  sync(): Promise<void>
  close(): Promise<void>
}
