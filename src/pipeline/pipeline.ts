import type { JournalBucket } from '../journal/bucketJournals.js'
import { type Files, systemFiles } from '../journal/fileSystem.js'
import type { Destination } from '../model/destination.js'
import { AbortError, ConfigError, stoppedBy } from '../model/errors.js'
import type { EventListener, RunEvent } from '../model/events.js'
import {
  checkOptions,
  havingFunctions,
  isObject,
  names,
  needed,
  optionKind,
  optionsOf,
  path,
  text,
} from '../model/optionKinds.js'
import { scrubber as createScrubber, type Scrubber, scrubbed, scrubbedFailure } from '../model/secrets/scrubber.js'
import type { Clock, Source } from '../model/source.js'
import { datasetName, type NamingName, naming } from '../schema/naming.js'
import type { WindowOptions } from './backfill/askedRange.js'
import type { WindowOutcome } from './backfill/loadWindows.js'
import type { BackfillOptions, BackfillResult, BackfillStatus } from './backfill/runBackfill.js'
import { systemClock } from './clock.js'
import type { EventSubject, WorkKind } from './eventChannel.js'
import type { CheckOptions, CheckResult } from './look/checkSource.js'
import { type Dataset, datasetOf, type KnownTables, type TablesOf } from './look/dataset.js'
import type { PipelinePlan, PlanOptions } from './look/describePipeline.js'
import type { ChangeOptions, Dropped } from './look/dropResources.js'
import type { SchemaFiles } from './look/schemaFiles.js'
import type { RowKey, RowTrace, TraceOptions } from './look/traceRow.js'
import type { UncommittedRun } from './look/uncommittedRuns.js'
import {
  forBackfill,
  forBackfillStatus,
  forChange,
  forCheck,
  forPlan,
  forReplay,
  forRun,
  forTrace,
  rowKey,
} from './pipelineOptions.js'
import type { ReplayOptions } from './run/replayPipeline.js'
import { asFolder, type LoadResult, type RunOptions, type RunResult, type RunWarning } from './setup.js'

export interface PipelineOptions<Name extends string = string, Table extends string = string> {
  /** Key of the pipeline's state at the destination. */
  readonly name: string
  /** Where records come from: `restApi(…)`. */
  readonly source: Source<Name, Table>
  /** Where rows go: `duckdb(…)`, `postgres(…)` or `files(…)`. */
  readonly destination: Destination
  /** Name of the dataset (the schema of the database) before normalising. Default `<name>_dataset`. */
  readonly dataset?: string | undefined
  /** Working folder for journals and locks. Default `.sluice` in the current directory. */
  readonly home?: string | undefined
  /** A bucket that keeps journals too, so that another machine goes on with them: `journalBucket(…)`. Default: none. */
  readonly journal?: JournalBucket | undefined
  /** Files that the schema is read from and written to. */
  readonly schema?: SchemaFiles | undefined
  /** Naming convention. Default: dlt's. It cannot change once a table holds data. */
  readonly naming?: NamingName | undefined
  /** Time and random numbers. Tests pass their own. */
  readonly clock?: Clock | undefined
  /** File system of the working folder. Tests pass their own. Default: the files of this machine. */
  readonly files?: Files | undefined
}

/**
 * Loads a source into a dataset. Runs are exactly-once. A run commits schema, rows, state and receipts together, or
 * leaves the destination as it was. The next run resumes an interrupted one.
 *
 * `Name` and `Table` are the names of the resources and of their tables, if TypeScript knows them.
 */
export interface Pipeline<Name extends string = string, Table extends string = string> {
  readonly name: string
  readonly source: Source<Name, Table>
  readonly destination: Destination
  /** The name at the destination. */
  readonly datasetName: string
  /** Files that the schema is read from and written to. */
  readonly schema: SchemaFiles
  /** Rejects with a SluiceError; then nothing was committed, unless its code is `commit_unknown`. */
  run(options?: RunOptions<Name>): Promise<RunResult<Name, Table>>
  /**
   * Loads the pages that an earlier load recorded in its journal. Default: the newest journal. Sends no request to the
   * API. Rejects with a SluiceError; then nothing was committed, unless its code is `commit_unknown`.
   */
  replay(loadId?: string, options?: ReplayOptions<Name>): Promise<RunResult<Name, Table>>
  /**
   * Loads a range of a resource's cursor in windows. Each window is a load of its own, committed before the next one
   * begins, so that a backfill can be stopped at any time; the next one loads what is missing. Windows are never loaded
   * twice, except after a refresh or a drop. A window that fails is remembered and the others are loaded. Then this rejects
   * with a SluiceError `windows_failed`; with another one, the windows before it are committed.
   */
  backfill(resource: Name, options?: BackfillOptions): Promise<BackfillResult>
  /** Reports the windows that are committed, and those that a backfill would load. Sends no request and writes nothing. */
  backfillStatus(resource: Name, options?: WindowOptions): Promise<BackfillStatus>
  /** Requests one page of each root resource and reports what it found. Writes nothing. */
  check(options?: CheckOptions): Promise<CheckResult>
  /**
   * Reports the first requests of a run, the reasons for them, and where it starts. Sends no request and writes
   * nothing.
   */
  plan(options?: PlanOptions): Promise<PipelinePlan>
  /**
   * Reads loaded data. `Tables` types the rows, as `sluice types` writes them. Without it, rows are records of values,
   * and table names are those of the source.
   */
  dataset<Tables extends TablesOf<Tables> = KnownTables<Name | Table>>(): Dataset<Tables>
  /**
   * Where a row comes from: its load, the receipt and, if the journal of that load was kept (`keepJournal`), the requests whose
   * answers hold it, with the bytes of each value. Sends no request and writes nothing. Undefined if there is no such row.
   */
  trace(table: string, key: RowKey, options?: TraceOptions): Promise<RowTrace | undefined>
  /**
   * The last 50 runs that committed nothing, newest first: they found nothing new, failed or were stopped, and left no
   * load at the destination. Only the working folder in which they ran knows of them.
   */
  uncommittedRuns(): Promise<readonly UncommittedRun[]>
  /** Drops the tables of resources, with their nested tables and their state, in one transaction. */
  drop(resources: readonly Name[], options?: ChangeOptions): Promise<Dropped>
  /** Resets the cursors of resources in one transaction. Their rows stay. */
  resetState(resources: readonly Name[], options?: ChangeOptions): Promise<Dropped>
  /** The same pipeline with another destination or dataset. Nothing else changes. */
  with(changes: Pick<PipelineOptions, 'dataset'> & Partial<Pick<PipelineOptions, 'destination'>>): Pipeline<Name, Table>
}

/**
 * A pipeline of a source into a destination. It requests and opens nothing yet. Throws a ConfigError if the name is
 * blank, the naming convention unknown, or an option of another type.
 *
 * @example
 * ```ts
 * import { duckdb, pipeline, restApi } from 'sluice'
 *
 * const shops = pipeline({
 *   name: 'shops',
 *   source: restApi({ client: { base_url: 'https://api.example.com' }, resources: ['shops'] }),
 *   destination: duckdb('shops.duckdb'),
 * })
 * const { rows } = await shops.run()
 * console.log(rows['shops'] ?? 0)
 * console.log(await shops.dataset().table('shops').orderBy('id').rows())
 * ```
 */
export function pipeline<Name extends string = string, Table extends string = Name>(
  options: PipelineOptions<Name, Table>,
): Pipeline<Name, Table> {
  checkOptions(needed(forPipeline), options)
  const { name, source, destination } = options
  if (name.trim() === '') throw new ConfigError([{ place: { path: 'name' }, message: 'a pipeline needs a name' }])
  const scrubber = scrubberOf(options)
  const { outward, told, warned } = doors(scrubber, { pipeline: name, dataset: datasetNameOf(options) })
  const setup = {
    name,
    source,
    destination,
    scrubber,
    datasetName: datasetNameOf(options),
    home: asFolder(options.home ?? '.sluice', 'home'),
    schemaFiles: options.schema ?? {},
    naming: options.naming,
    clock: options.clock ?? systemClock,
    files: options.files ?? systemFiles,
    journal: options.journal,
  }
  // What TypeScript says of the names is true, whatever the run was asked for.
  const counted = (result: RunResult): RunResult<Name, Table> =>
    ({ ...result, rows: { ...noRows(options), ...result.rows } }) as RunResult<Name, Table>
  return {
    name,
    source,
    destination,
    datasetName: setup.datasetName,
    schema: setup.schemaFiles,
    async run(asked = {}) {
      checkOptions(forRun, asked)
      const { runPipeline } = await import('./run/runPipeline.js')
      return counted(
        await warned('run', asked, heardBy => {
          source.requireSecrets?.()
          return runPipeline(setup, heardBy)
        }),
      )
    },
    async replay(loadId, asked = {}) {
      checkOptions(text, loadId, 'loadId')
      checkOptions(forReplay, asked)
      const { replayPipeline } = await import('./run/replayPipeline.js')
      return counted(await warned('replay', asked, heardBy => replayPipeline(setup, loadId, heardBy)))
    },
    async backfill(resource, asked = {}) {
      checkOptions(needed(text), resource, 'resource')
      checkOptions(forBackfill, asked)
      const onPlan = asked.onPlan === undefined ? undefined : neverThrowing(asked.onPlan)
      const onWindow = asked.onWindow === undefined ? undefined : neverThrowing(asked.onWindow)
      const tell = (outcome: WindowOutcome): void =>
        onWindow?.(
          'error' in outcome ? { ...outcome, error: scrubbedFailure(outcome.error, scrubber) as Error } : outcome,
        )
      const { backfill } = await import('./backfill/runBackfill.js')
      return await told(
        'backfill',
        asked,
        heardBy => {
          source.requireSecrets?.()
          return backfill(setup, resource, { ...heardBy, onPlan, onWindow: tell })
        },
        asked.signal,
      )
    },
    async backfillStatus(resource, asked = {}) {
      checkOptions(needed(text), resource, 'resource')
      checkOptions(forBackfillStatus, asked)
      const { backfillStatus } = await import('./backfill/runBackfill.js')
      return await outward(() => backfillStatus(setup, resource, asked))
    },
    async check(asked = {}) {
      checkOptions(forCheck, asked)
      const { checkSource } = await import('./look/checkSource.js')
      const checked = await told(
        'check',
        asked,
        heardBy => {
          source.requireSecrets?.()
          return checkSource(setup, heardBy)
        },
        asked.signal,
      )
      return scrubbed(checked, scrubber)
    },
    async plan(asked = {}) {
      checkOptions(forPlan, asked)
      const { describePipeline } = await import('./look/describePipeline.js')
      return await outward(() => describePipeline(setup, asked), asked.signal)
    },
    dataset: <Tables extends TablesOf<Tables> = KnownTables<Name | Table>>() => datasetOf<Tables>(setup),
    async trace(table, key, asked = {}) {
      checkOptions(needed(text), table, 'table')
      checkOptions(needed(rowKey), key, 'key')
      checkOptions(forTrace, asked)
      const { traceRow } = await import('./look/traceRow.js')
      return await outward(() => traceRow(setup, table, key, asked), asked.signal)
    },
    async uncommittedRuns() {
      const { uncommittedRuns } = await import('./look/uncommittedRuns.js')
      return await outward(() => uncommittedRuns(setup))
    },
    async drop(resources, asked = {}) {
      checkChange(resources, asked)
      const { dropResources } = await import('./look/dropResources.js')
      return await outward(() => dropResources(setup, resources, asked), asked.signal)
    },
    async resetState(resources, asked = {}) {
      checkChange(resources, asked)
      const { resetState } = await import('./look/dropResources.js')
      return await outward(() => resetState(setup, resources, asked), asked.signal)
    },
    with(changes) {
      checkOptions(needed(forWith), changes)
      const { destination: other = destination, dataset = options.dataset } = changes
      return pipeline({ ...options, destination: other, dataset })
    },
  }
}

const sourceKind = optionKind(
  'a source, as restApi() makes it',
  value => isObject(value) && 'name' in value && 'resources' in value && Array.isArray(value.resources),
)
const destinationKind = optionKind(
  'a destination, as duckdb() makes it',
  value => isObject(value) && 'connect' in value && typeof value.connect === 'function' && 'capabilities' in value,
)
const forWith = optionsOf<Pick<PipelineOptions, 'destination' | 'dataset'>>('options of with()', {
  destination: destinationKind,
  dataset: text,
})
const forPipeline = optionsOf<PipelineOptions>('options of pipeline()', {
  name: needed(text),
  source: needed(sourceKind),
  destination: needed(destinationKind),
  dataset: text,
  home: path,
  journal: havingFunctions('a bucket, as journalBucket() makes it', [
    'open',
  ] satisfies readonly (keyof JournalBucket)[]),
  schema: optionsOf<SchemaFiles>('`import`, `export` and `lock`', { import: path, export: path, lock: path }),
  naming: text,
  clock: havingFunctions('a clock', ['now', 'sleep', 'random'] satisfies readonly (keyof Clock)[]),
  files: havingFunctions('the functions of a file system', ['open', 'rename'] satisfies readonly (keyof Files)[]),
})

function checkChange(resources: unknown, asked: unknown): void {
  checkOptions(needed(names), resources, 'resources')
  checkOptions(forChange, asked)
}

/** Knows the secrets of the source, of the destination and of the bucket of its journals. */
export function scrubberOf({
  source: { scrubber = createScrubber() },
  destination,
  journal,
}: Pick<PipelineOptions, 'source' | 'destination' | 'journal'>): Scrubber {
  for (const secret of destination.secrets ?? []) scrubber.add(secret)
  destination.onSecret?.(secret => scrubber.add(secret))
  for (const secret of journal?.secrets ?? []) scrubber.add(secret)
  journal?.onSecret(secret => scrubber.add(secret))
  return scrubber
}

/**
 * Every result, error and event leaves the pipeline through here. This removes all known secrets. What a signal stopped is an
 * AbortError.
 */
function doors(scrubber: Scrubber, about: EventSubject) {
  const outward = async <Result>(work: () => Promise<Result>, signal?: AbortSignal): Promise<Result> => {
    try {
      signal?.throwIfAborted()
      return await work()
    } catch (error) {
      throw scrubbedFailure(error instanceof AbortError ? error : stoppedBy(signal, error), scrubber)
    }
  }
  /** Does a work whose events are heard by the listener of the options and by everybody else in the process. */
  const told = async <Options extends Heard, Result>(
    kind: WorkKind,
    options: Options,
    work: (options: Options) => Promise<Result>,
    signal?: AbortSignal,
  ): Promise<Result> => {
    const { followWorks } = await import('./telemetry/followWorks.js')
    await followWorks()
    const { publishedWork } = await import('./eventChannel.js')
    const published = publishedWork({ ...about, kind })
    const { onEvent } = options
    if (onEvent === undefined && published === undefined) return await outward(() => work(options), signal)
    const tell = onEvent === undefined ? undefined : neverThrowing(onEvent)
    const onScrubbed = (event: RunEvent): void => {
      const clean = scrubbed(event, scrubber)
      tell?.(clean)
      published?.event(clean)
    }
    try {
      const result = await outward(() => work({ ...options, onEvent: onScrubbed }), signal)
      published?.ended()
      return result
    } catch (error) {
      published?.ended(error)
      throw error
    }
  }
  return {
    outward,
    told,
    /** Adds the warnings of the work to its result. */
    async warned<Options extends Heard>(
      kind: WorkKind,
      options: Options,
      work: (options: Options) => Promise<LoadResult>,
    ): Promise<RunResult> {
      const warnings: RunWarning[] = []
      const result = await told(kind, options, heardBy => {
        const listening = (event: RunEvent): void => {
          if (event.type === 'warning') warnings.push(scrubbed(event, scrubber))
          heardBy.onEvent?.(event)
        }
        return work({ ...heardBy, onEvent: listening })
      })
      return { ...result, warnings }
    },
  }
}

interface Heard {
  readonly onEvent?: EventListener<RunEvent> | undefined
}

/** A listener that fails does not end the run. The first failure becomes a warning of the process. */
function neverThrowing<Told>(listener: (told: Told) => void): (told: Told) => void {
  let hasFailed = false
  const failed = (error: unknown): void => {
    if (hasFailed) return
    hasFailed = true
    const reason = error instanceof Error ? error.message : String(error)
    process.emitWarning(
      `A listener (onEvent, onPlan or onWindow) failed, and the run goes on: ${reason}`,
      'SluiceWarning',
    )
  }
  return told => {
    try {
      const returned: unknown = listener(told)
      // A listener may be an async function, whatever its type says.
      if (returned instanceof Promise) returned.catch(failed)
    } catch (error) {
      failed(error)
    }
  }
}

/** No row for the table of each resource, unless a function names it. */
function noRows({
  source,
  destination,
  naming: convention = 'snake_case',
}: PipelineOptions): Readonly<Record<string, number>> {
  const { tablesPath } = naming(convention, destination.capabilities.maxIdentifierLength)
  return Object.fromEntries(
    source.resources.flatMap(({ name, hints: { tableName = name } }) =>
      typeof tableName === 'function' ? [] : [[tablesPath(tableName), 0]],
    ),
  )
}

/** Normalised like the names of tables. */
function datasetNameOf({
  name,
  dataset = `${name}_dataset`,
  naming: convention = 'snake_case',
  destination,
}: PipelineOptions) {
  if (dataset.trim() === '')
    throw new ConfigError([{ place: { path: 'dataset' }, message: 'the name of a dataset must not be blank' }])
  return datasetName(dataset, naming(convention, destination.capabilities.maxIdentifierLength))
}
