import { DestinationError, SluiceError } from '../../model/errors.js'
import { duckdbError, firstLine } from '../duckdb/duckdbErrors.js'
import type { Lake } from './lake.js'

/** Whether another transaction came first, so that the same work in a new one may succeed. */
export function isConflict(error: unknown): boolean {
  const text = error instanceof SluiceError ? String(error.cause) : String(error)
  return /transaction conflict|write-write conflict|database is locked|deadlock detected|could not serialize access/i.test(
    text,
  )
}

/** Explains a failure of a lake, and what to do about it. `at`: the file that it is about, if not the lake. */
export function ducklakeError(error: unknown, lake: Lake, doing: string, at?: string): Error {
  if (error instanceof SluiceError) return error
  const text = error instanceof Error ? error.message : String(error)
  const { catalog, place } = lake
  const fail = (message: string, transient = false): DestinationError =>
    new DestinationError('destination', message, { destination: place, transient, cause: error })

  const versions = /catalog version is (\S+), but the extension requires version (\S+?)\./.exec(text)
  if (versions !== null) {
    const [, theirs = '', ours = ''] = versions
    return fail(
      `The catalog ${place} has the format ${theirs} of DuckLake, and the extension here reads ${ours}. ${isNewer(theirs, ours) ? 'Get a newer DuckDB with its extension' : 'Bring it up to date once in DuckDB: ATTACH with AUTOMATIC_MIGRATION true'}`,
    )
  }
  if (/database is locked|Failed to initialize DuckLake:[\s\S]*(duplicate key|already exists)/i.test(text)) {
    return new DestinationError(
      'destination_locked',
      `Another process is writing the catalog ${place} (while ${doing}); run again`,
      {
        destination: place,
        transient: true,
        cause: error,
      },
    )
  }
  if (/creating a new DuckLake is explicitly disabled/.test(text)) {
    return fail(`${place} is a database without a lake in it; name another file, for which there will be a new lake`)
  }
  if (/DATA_PATH parameter .* does not match|does not match existing data path/is.test(text)) {
    const existing = /existing data path in the catalog "([^"]*)"/.exec(text)?.[1]
    return fail(
      `The lake ${place} keeps its data elsewhere${existing === undefined ? '' : `: ${existing}`}. Leave the data path out, or, if the folder was moved, set override_data_path=true`,
    )
  }
  const reason = /Unable to connect to Postgres at "[\s\S]*?": ([\s\S]+)/.exec(text)?.[1]
  if (reason !== undefined) {
    return fail(
      `Cannot connect to the catalog ${place}: ${firstLine(reason).trim()}. Check host, database, user and password`,
      true,
    )
  }
  const what = /permission denied (for|to) (?!file|directory)[^\n"]+/i.exec(text)?.[0].trim()
  if (catalog.kind === 'postgres' && what !== undefined) {
    return fail(
      `No right to use the catalog ${place} (while ${doing}): ${what}; grant the user CREATE on the schema, and SELECT, INSERT, UPDATE and DELETE on its tables`,
    )
  }
  const file = /Cannot open file "([^"]+\.parquet)"[^\n]*No such file/.exec(text)?.[1]
  if (file !== undefined) {
    return fail(
      `The lake ${place} lists a file that is not there: ${file} (while ${doing}). Put the data folder back in its place; if it was moved, name it with data_path and set override_data_path=true`,
    )
  }
  const folder = /Failed to create directory "([^"]+)": ([^\n]+)/.exec(text)
  if (folder !== null)
    return fail(
      `Cannot create the folder ${folder[1]} for data of the lake ${place}: ${folder[2]}; name another data path`,
    )
  if (/Table with name ducklake_\w+ does not exist/.test(text)) {
    return fail(
      `The catalog ${place} has lost its tables (while ${doing}): it was removed, replaced or emptied. Put it back from a copy`,
    )
  }
  const status = /\(?HTTP(?: code)? (\d{3})|Request returned HTTP (\d{3})/.exec(text)
  const dataPath = lake.s3 === undefined ? undefined : lake.dataPath
  if (status !== null && dataPath !== undefined)
    return bucketError({ status: Number(status[1] ?? status[2]), dataPath, place, doing, cause: error })
  return duckdbError(error, at ?? (catalog.kind === 'postgres' ? place : catalog.path), doing)
}

function isNewer(a: string, b: string): boolean {
  return a.localeCompare(b, 'en', { numeric: true }) > 0
}

/** The bucket with the data of a lake has refused a request. DuckDB tells its status, and nothing of the answer. */
function bucketError({
  status,
  dataPath,
  place,
  doing,
  cause,
}: {
  readonly status: number
  readonly dataPath: string
  readonly place: string
  readonly doing: string
  readonly cause: unknown
}): DestinationError {
  const fail = (message: string, transient = false): DestinationError =>
    new DestinationError('destination', message, { destination: place, transient, cause })
  const what = `${dataPath}, where the lake ${place} keeps its data,`
  if (status === 401 || status === 403)
    return fail(
      `No right to use ${what} (status ${status}, while ${doing}); give credentials that may list, read, write and delete there`,
    )
  if (status === 404) return fail(`There is no bucket ${what} or it lacks a file (status 404, while ${doing})`)
  if (status === 507) return fail(`No space left in ${what} (status 507, while ${doing}); make room there`, true)
  return fail(
    `${what} answered with status ${status} while ${doing}; ${status < 500 ? 'look at its quota and its policy' : 'run again later'}`,
    status >= 500,
  )
}
