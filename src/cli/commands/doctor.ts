import { dirname, resolve } from 'node:path'
import type { MachineFinding } from '../../config/machine.js'
import { SluiceError } from '../../model/errors.js'
import type { Pipeline } from '../../pipeline/pipeline.js'
import { secretPlacesOf } from '../../rest/credentialPlaces.js'
import type { ExitCode } from '../failure.js'
import { counted, printableLines, wrapped } from '../terminal/printable.js'
import { tell, tellBegun } from '../terminal/tell.js'
import { widthOf } from '../terminal/terminal.js'
import { type CommandContext, openPipelines, type PipelineOverrides } from './command.js'

export interface DoctorCommandOptions extends PipelineOverrides {
  readonly request?: boolean | undefined
  readonly notify?: boolean | undefined
  readonly json?: boolean | undefined
}

const MARKS = { ok: ['green', '✓'], note: ['dim', '–'], failed: ['red', '✗'] } as const

/**
 * `sluice doctor [FILE]`: looks at this machine, and at what the file needs of it, each thing for itself. Asks the API
 * with `--request` alone, and tells nobody but with `--notify`. Exit code 2 if the file must be fixed, and 1 for whatever else.
 */
export async function doctorCommand(
  file: string | undefined,
  options: DoctorCommandOptions,
  context: CommandContext,
): Promise<ExitCode> {
  const { out } = context.terminal
  const { machineFindings } = await import('../../config/machine.js')
  const { processEnvironment } = await import('../../config/lookup/environment.js')
  const { systemClock } = await import('../../pipeline/clock.js')
  const folders = file === undefined ? [process.cwd()] : [dirname(resolve(file)), process.cwd()]
  const findings = [
    ...(await machineFindings({ env: processEnvironment(), folders: [...new Set(folders)], clock: systemClock })),
    ...(file === undefined ? [] : await fileFindings(file, options, context)),
  ]
  const isWell = findings.every(({ status }) => status !== 'failed')
  if (options.json === true) out.line(JSON.stringify({ ok: isWell, findings }))
  else {
    for (const { check, status, says, cure } of findings) {
      const [style, mark] = MARKS[status]
      const told = printableLines(says)
        .split('\n')
        .flatMap((line, index) =>
          wrapped(
            `${index === 0 ? `${mark} ${check.padEnd(WIDTH)}` : ' '.repeat(WIDTH + 2)} ${line}`,
            widthOf(out),
            WIDTH + 3,
          ),
        )
      tellBegun(out, told, mark, style)
      if (cure !== undefined && status !== 'ok')
        for (const line of printableLines(cure).split('\n')) tell(out, `  ${' '.repeat(WIDTH)} ${line}`, WIDTH + 3)
    }
  }
  const isOfFile = findings.some(({ check, status }) => status === 'failed' && OF_FILE.has(check))
  if (isOfFile) return 2
  return isWell ? 0 : 1
}

const WIDTH = 'certificates'.length

/** What `sluice run` would refuse with exit code 2. */
const OF_FILE: ReadonlySet<string> = new Set(['file', 'references'])

async function fileFindings(
  file: string,
  options: DoctorCommandOptions,
  context: CommandContext,
): Promise<readonly MachineFinding[]> {
  const valid = await attempt('file', async () => {
    const pipelines = await openPipelines(file, options, 'reads')
    return { pipelines, says: `${file} is valid` }
  })
  if (!('done' in valid)) return [valid.finding]
  const findings: MachineFinding[] = [valid.finding]
  const complete = await attempt('references', async () => {
    const pipelines = await openPipelines(file, options, 'requests')
    const places = new Set(pipelines.flatMap(({ source }) => secretPlacesOf(source)))
    const found = `every secret of ${file} was found`
    return { pipelines, says: [`${found}${places.size === 0 ? '' : ':'}`, ...places].join('\n') }
  })
  findings.push(complete.finding)
  for (const pipeline of valid.done.pipelines) findings.push(...(await destinationFindings(pipeline)))
  if (options.request === true && 'done' in complete) {
    for (const pipeline of complete.done.pipelines) findings.push(await apiFinding(pipeline, context.signal))
  }
  if (options.notify === true && 'done' in complete) {
    for (const pipeline of complete.done.pipelines) findings.push(...(await notifyFindings(pipeline, context.signal)))
  }
  return findings
}

/** A notice that is a test, to everybody in `notify`. */
async function notifyFindings(pipeline: Pipeline, signal: AbortSignal): Promise<readonly MachineFinding[]> {
  const { testNotifications } = await import('../../config/notify/notifying.js')
  const told = await testNotifications(pipeline, signal)
  if (told.length === 0) return [{ check: 'notify', status: 'note', says: `${pipeline.name} tells nobody` }]
  return told.map((failure, index): MachineFinding => {
    const place = `notify[${index}] of ${pipeline.name}`
    if (failure === undefined) return { check: 'notify', status: 'ok', says: `${place} was told that this is a test` }
    return {
      check: 'notify',
      status: 'failed',
      says: `${place}: ${failure}`,
      cure: 'Mend it: nobody would hear of a run that fails.',
    }
  })
}

async function destinationFindings(pipeline: Pipeline): Promise<readonly MachineFinding[]> {
  const { destination, datasetName } = pipeline
  const { localPath } = destination
  const findings: MachineFinding[] = []
  if (localPath !== undefined) {
    const { folderFindings } = await import('../../config/machine.js')
    findings.push(...(await folderFindings('destination', localPath)))
  }
  if (destination.tryEngine !== undefined) {
    const engine = await attempt('destination', async () => ({
      says: `${destination.name}: ${await destination.tryEngine?.()}`,
    }))
    findings.push(engine.finding)
    if (!('done' in engine)) return findings
  }
  const dataset = pipeline.dataset()
  const read = await attempt('dataset', async () => {
    const schema = await dataset.schema()
    const tables = schema === undefined ? 0 : (await dataset.tables()).length
    if (schema === undefined) return { says: `${destination.name}: nothing is loaded into ${datasetName} yet` }
    return {
      says: `${destination.name}: ${datasetName} has ${counted(tables, 'table')}, schema version ${schema.version}`,
    }
  })
  findings.push(read.finding)
  if (destination.capabilities.dltType.endsWith('.postgres') && 'done' in read) {
    const rights = await attempt('destination', async () => {
      const [row] = await dataset.query<{ user: string; may: boolean }>(RIGHTS, [datasetName])
      if (row?.may !== true) throw new Error(`${destination.name}: ${row?.user} may not create what a load needs`)
      return { says: `${destination.name}: ${row.user} may create schemas and tables` }
    })
    const cure = 'Grant it: GRANT CREATE ON DATABASE … TO …, or create the schema and make this user its owner.'
    findings.push('done' in rights ? rights.finding : { ...rights.finding, cure })
  }
  return findings
}

/** Whether the schema of the dataset can be made, or its tables where it is there. */
const RIGHTS = `
  SELECT current_user::text AS user,
    CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = $1)
      THEN pg_catalog.has_schema_privilege($1, 'CREATE')
      ELSE pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE') END AS may`

/** One request: the first page of the first list. */
async function apiFinding(pipeline: Pipeline, signal: AbortSignal): Promise<MachineFinding> {
  const first = pipeline.source.resources.find(resource => resource.parent === undefined && resource.selected)
  if (first === undefined) return { check: 'api', status: 'note', says: `${pipeline.name} has no list to ask for` }
  const asked = await attempt('api', async () => {
    const { resources } = await pipeline.check({ select: [first.name], signal })
    const records = resources.find(({ resource }) => resource === first.name)?.records ?? 0
    return { says: `${first.name}: ${counted(records, 'record')} on the first page` }
  })
  return asked.finding
}

type Attempted<Done> = { readonly finding: MachineFinding; readonly done: Done } | { readonly finding: MachineFinding }

/** Turns an error into a finding. Messages of errors say what to do, so there is no other cure. */
async function attempt<Done extends { readonly says: string }>(
  check: string,
  work: () => Promise<Done>,
): Promise<Attempted<Done>> {
  try {
    const done = await work()
    return { finding: { check, status: 'ok', says: done.says }, done }
  } catch (error) {
    const says = error instanceof Error ? error.message : String(error)
    const cure = error instanceof SluiceError ? `\`sluice explain ${error.code}\` says more.` : undefined
    return { finding: { check, status: 'failed', says, cure } }
  }
}
