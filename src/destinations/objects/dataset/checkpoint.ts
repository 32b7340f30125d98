import { parseJson } from '../../../json/parse.js'
import type { JsonObject, JsonValue } from '../../../json/value.js'
import { isJsonObject } from '../../../json/value.js'
import { stringifyJson } from '../../../json/write.js'
import { inRange, type KeyRange, keysUnder, type Storage } from '../storage/storage.js'
import { type CommitPlace, emptyLedger, type LoadLedger } from './ledger.js'
import { columnObject, dataFileObject, objects, readColumns, readDataFile, text, texts } from './manifest.js'
import { folders } from './systemObjects.js'

/** A saved ledger, so that nobody has to read the records behind it. It adds nothing: the records say the same. */
export interface Checkpoint {
  /** Increases with each checkpoint of a dataset. */
  readonly number: number
  /**
   * Where the records of its loads are. A load may commit into such a range later. Its note in the folder of intents
   * then stays until a checkpoint includes it.
   */
  readonly covered: readonly KeyRange[]
  readonly ledger: LoadLedger
}

/** Format that is written. Another one comes from a newer Sluice. */
const FORMAT = 1

/** How often to list the folder again when a newer checkpoint replaced the one that was found. */
const LOOKS = 5

export function checkpointKey(number: number): string {
  return `${folders.checkpoints}/${String(number).padStart(10, '0')}.json`
}

/** Announces that a checkpoint of this number is being made, and what it will cover. */
export function announcementKey(number: number): string {
  return checkpointKey(number).replace(/json$/, 'announced')
}

export function announcementText(covered: readonly KeyRange[]): Uint8Array {
  return Buffer.from(stringifyJson({ format: FORMAT, covered: covered.map(({ from, to }) => ({ from, to })) }))
}

/** Checkpoints and announcements of a dataset, ordered by number. */
export interface CheckpointKeys {
  readonly written: readonly number[]
  readonly announced: readonly number[]
}

/** Reads checkpoints. A checkpoint never changes, so the newest one is cached. */
export function checkpointReader(storage: Storage) {
  let kept: Checkpoint | undefined

  const list = async (): Promise<CheckpointKeys> => {
    const keys = await keysUnder(storage, `${folders.checkpoints}/`)
    // Other files in the folder are not from Sluice.
    const numbers = (end: string): number[] =>
      keys.flatMap(key => {
        const number = Number(key.slice(folders.checkpoints.length + 1, -end.length))
        return key.endsWith(end) && Number.isSafeInteger(number) ? [number] : []
      })
    return { written: numbers('.json'), announced: numbers('.announced') }
  }
  /** Undefined if there is none, or if its format is unknown. */
  const read = async (number: number): Promise<Checkpoint | 'gone' | undefined> => {
    if (kept?.number === number) return kept
    const content = await storage.get(checkpointKey(number))
    if (content === undefined) return 'gone'
    kept = readCheckpoint(number, content) ?? kept
    return kept?.number === number ? kept : undefined
  }
  const newest = async (): Promise<Checkpoint | undefined> => {
    for (let looks = 1; looks <= LOOKS; looks++) {
      const number = (await list()).written.at(-1)
      if (number === undefined) return undefined
      const found = await read(number)
      if (found !== 'gone') return found
    }
    return undefined
  }

  const overtakes = async (key: string): Promise<boolean> => {
    const { written, announced } = await list()
    const last = written.at(-1) ?? 0
    for (const number of announced.filter(one => one > last)) {
      const content = await storage.get(announcementKey(number))
      // Meanwhile it has become a checkpoint.
      if (content === undefined) return await overtakes(key)
      if (readCovered(content)?.some(range => inRange(range, key)) !== false) return true
    }
    if (last === 0) return false
    const found = await read(last)
    if (found === 'gone') return await overtakes(key)
    return found === undefined || (found.covered.some(range => inRange(range, key)) && !found.ledger.records.has(key))
  }

  return {
    list,
    /** The newest checkpoint. Undefined if the records must be read. */
    newest,
    /**
     * Whether readers may miss this record. They rely on a checkpoint, existing or in the making, and no longer look in
     * the range of the record. They find it by the note of its load.
     */
    overtakes,
  }
}

const FOLDER = `${folders.loads}/`

export function checkpointText({ covered, ledger }: Omit<Checkpoint, 'number'>): Uint8Array {
  return Buffer.from(
    `${stringifyJson({
      format: FORMAT,
      covered: covered.map(({ from, to }) => ({ from, to })),
      loads: [...ledger.records].map(key => key.slice(FOLDER.length)),
      newest: [...ledger.newest].map(([schema_name, { loadId, schemaVersionHash }]) => ({
        schema_name,
        load_id: loadId,
        schema_version_hash: schemaVersionHash ?? null,
      })),
      schema_hashes: [...ledger.schemaHashes],
      sequences: [...ledger.sequences].map(([pipeline, sequence]) => ({ pipeline, sequence })),
      sequence: ledger.sequence,
      foreign: ledger.foreign.map(({ loadId, schemaName }) => ({ load_id: loadId, schema_name: schemaName })),
      files: [...ledger.files.values()].map(({ file, loadId }) => ({ load_id: loadId, ...dataFileObject(file) })),
      removed: [...ledger.removed],
      tables: [...ledger.tables].map(([name, { columns, at }]) => ({
        name,
        ...placeObject(at),
        columns: columns.map(columnObject),
      })),
      dropped: [...ledger.dropped].map(([name, at]) => ({ name, ...placeObject(at) })),
    })}\n`,
  )
}

function readCheckpoint(number: number, content: Uint8Array): Checkpoint | undefined {
  const document = readFormat(content)
  if (document === undefined) return undefined
  const ledger: LoadLedger = {
    ...emptyLedger,
    records: new Set(texts(document.loads).map(name => `${FOLDER}${name}`)),
    newest: new Map(
      objects(document.newest).map(one => [
        text(one.schema_name),
        {
          loadId: text(one.load_id),
          schemaVersionHash: typeof one.schema_version_hash === 'string' ? one.schema_version_hash : undefined,
        },
      ]),
    ),
    schemaHashes: new Set(texts(document.schema_hashes)),
    sequences: new Map(objects(document.sequences).map(one => [text(one.pipeline), Number(one.sequence)])),
    sequence: Number(document.sequence),
    foreign: objects(document.foreign).map(one => ({ loadId: text(one.load_id), schemaName: text(one.schema_name) })),
    files: new Map(
      objects(document.files).map(one => [text(one.key), { file: readDataFile(one), loadId: text(one.load_id) }]),
    ),
    removed: new Set(texts(document.removed)),
    tables: new Map(
      objects(document.tables).map(one => [text(one.name), { columns: readColumns(one.columns), at: readPlace(one) }]),
    ),
    dropped: new Map(objects(document.dropped).map(one => [text(one.name), readPlace(one)])),
  }
  return { number, covered: coveredOf(document), ledger }
}

function readCovered(content: Uint8Array): readonly KeyRange[] | undefined {
  const document = readFormat(content)
  return document === undefined ? undefined : coveredOf(document)
}

function coveredOf(document: JsonObject): readonly KeyRange[] {
  return objects(document.covered).map(({ from, to }) => ({ from: text(from), to: text(to) }))
}

function readFormat(content: Uint8Array): JsonObject | undefined {
  let document: JsonValue
  try {
    document = parseJson(content)
  } catch {
    return undefined
  }
  return isJsonObject(document) && document.format === FORMAT ? document : undefined
}

function placeObject({ sequence, loadId }: CommitPlace): JsonObject {
  return { sequence, load_id: loadId }
}

function readPlace(document: JsonObject): CommitPlace {
  return { sequence: Number(document.sequence), loadId: text(document.load_id) }
}
