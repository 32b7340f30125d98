import { DestinationError, SluiceError } from '../../model/errors.js'

/** Explains a failure of DuckDB or the file system, and what to do about it. `place` is the database file. */
export function duckdbError(error: unknown, place: string, doing: string): Error {
  if (error instanceof SluiceError) return error
  const text = error instanceof Error ? error.message : String(error)
  const fail = (message: string, transient = false): DestinationError =>
    new DestinationError('destination', message, { destination: place, transient, cause: error })

  if (isDriverMissing(error)) {
    return fail(
      `DuckDB cannot be loaded on this machine (${process.platform} ${process.arch}): ${firstLine(text)}. Install it here: npm install @duckdb/node-api. Where only some packages are shipped, ship all of node_modules/@duckdb`,
    )
  }
  if (/set lock on file/i.test(text)) {
    const holder = /PID (\d+)/.exec(text)?.[1]
    const program = /Conflicting lock is held in (\S+)/.exec(text)?.[1]
    const who =
      holder === undefined ? 'another process' : `process ${holder}${program === undefined ? '' : ` (${program})`}`
    return new DestinationError(
      'destination_locked',
      `${place} is in use by ${who}: only one process can have a DuckDB file open. Close it there, or run again when that process has ended`,
      { destination: place, transient: true, cause: error },
    )
  }
  if (/unique file handle conflict/i.test(text)) {
    return new DestinationError(
      'destination_locked',
      `${place} is attached to another database of this process; detach it there before`,
      { destination: place, cause: error },
    )
  }
  if (/different configuration/i.test(text)) {
    return new DestinationError(
      'destination_locked',
      `${place} is open in this process with settings of its own, and DuckDB shares a file only among equal settings. Open it with DuckDBInstance.fromCache(${JSON.stringify(place)}) without settings, or close it before`,
      { destination: place, cause: error },
    )
  }
  if (/not a valid DuckDB database file/i.test(text)) return foreign(place, error)
  if (/Is a directory/i.test(text)) return fail(`${place} is a folder; name a file in it`)
  if (/Not a directory|ENOTDIR|EEXIST/i.test(text)) {
    return fail(
      `${place} cannot be used: there is a file where a folder is needed (while ${doing}); name another place`,
    )
  }
  if (/Corrupt database file|Could not read enough bytes/i.test(text)) {
    return fail(`${place} is damaged: ${firstLine(text)}. Put a copy in its place, or move it away and load again`)
  }
  if (/File name too long|ENAMETOOLONG/i.test(text)) return fail(`${place} has too long a name; give a shorter one`)
  if (/No such file or directory|ENOENT/i.test(text)) {
    return fail(`Cannot create ${place}: its folder does not exist; create the folder first`)
  }
  if (/Permission denied|read-only|EACCES|EROFS/i.test(text)) {
    return fail(`No right to write ${place} or its folder; change the rights or name another file`)
  }
  if (/No space left|ENOSPC|EDQUOT/i.test(text))
    return fail(`No space left on the disk of ${place} (while ${doing})`, true)
  if (/storage version|older than|newer version/i.test(text)) {
    return fail(
      `${place} was written by a version of DuckDB that this one cannot read: ${versions(text)}. Let the version that wrote it make a copy for older ones: ${copyStatements(place)}`,
    )
  }
  if (/conflict/i.test(text)) {
    return fail(`Another transaction changed ${place} at the same time (while ${doing}); run again`, true)
  }
  if (/NOT NULL constraint failed/i.test(text)) {
    return fail(`${firstLine(text)} (while ${doing}): the column at the destination does not allow empty values`)
  }
  return fail(`DuckDB failed while ${doing}: ${firstLine(text)}`)
}

/** The package or its program of machine code is not there, or not for this machine. Its words are those of missing files. */
function isDriverMissing(error: unknown): boolean {
  const { code } = error instanceof Error ? (error as NodeJS.ErrnoException) : { code: undefined }
  return code === 'MODULE_NOT_FOUND' || code === 'ERR_DLOPEN_FAILED'
}

/** The file is there, and DuckDB did not write it. */
export function foreign(place: string, cause?: unknown): DestinationError {
  const message = `${place} exists but is not a DuckDB database; name another file, or move this one away`
  return new DestinationError('destination', message, { destination: place, cause })
}

/** The versions of the format, which are not those of DuckDB, or the words of the engine. */
function versions(text: string): string {
  const [, theirs, least, most] =
    /version number (\d+), but we can only read versions between (\d+) and (\d+)/.exec(text) ?? []
  if (theirs === undefined) return firstLine(text).replace(/\.$/, '')
  const whose = theirs === DUCKDB_2 ? ', that of DuckDB 2,' : ''
  return `its format has the version number ${theirs}${whose} and this one reads ${least} to ${most}`
}

/** Version number of the format that DuckDB 2.0 brought. */
const DUCKDB_2 = '69'

/** Statements for a newer DuckDB, to write a file that this one can read. */
function copyStatements(place: string): string {
  const [from, to] = [place, `${place}.copy`].map(path => `'${path.replaceAll("'", "''")}'`)
  return `ATTACH ${from} AS a (READ_ONLY); ATTACH ${to} AS b (STORAGE_VERSION 'v1.5.0'); COPY FROM DATABASE a TO b`
}

/** DuckDB adds the statement and suggestions on further lines. */
export function firstLine(text: string): string {
  const end = text.indexOf('\n')
  return end < 0 ? text : text.slice(0, end)
}
