import { relative } from 'node:path'
import { stringifyJson } from '../../../json/write.js'
import { ConfigError } from '../../../model/errors.js'
import { readLock } from '../../../pipeline/look/schemaFiles.js'
import type { Pipeline } from '../../../pipeline/pipeline.js'
import {
  describeLockChange,
  type LockChange,
  type LockedTables,
  lockChanges,
  lockedTables,
  lockText,
} from '../../../schema/export/schemaLock.js'
import type { ExitCode } from '../../failure.js'
import { counted, printable } from '../../terminal/printable.js'
import { tell, tellDone } from '../../terminal/tell.js'
import { writeWhole } from '../../writtenFile.js'
import { type CommandContext, openPipeline, type PipelineOverrides } from '../command.js'
import { nothingLoaded } from './schema.js'

export interface SchemaLockOptions extends PipelineOverrides {
  readonly pipeline?: string | undefined
  readonly json?: boolean | undefined
}

interface Compared {
  /** Path of the lock. */
  readonly file: string
  /** Undefined if there is no lock yet. */
  readonly locked: LockedTables | undefined
  readonly now: LockedTables
}

/** `sluice schema lock FILE`: writes the lock of what was loaded. One that is there stays. */
export async function schemaLockCommand(
  path: string,
  options: SchemaLockOptions,
  context: CommandContext,
): Promise<ExitCode> {
  const pipeline = await openPipeline(path, options, 'reads', context.terminal.err)
  const compared = await comparison(pipeline, context)
  if (compared === undefined) return 1
  const { file, locked, now } = compared
  const advice = `exists already: \`${context.typedAs} schema accept\` accepts the changes`
  if (locked !== undefined) throw new ConfigError([{ place: { path: '', file: shown(file) }, message: advice }])
  await writeWhole(file, await lockText(pipeline.name, now))
  tellDone(context.terminal.out, printable(`${shown(file)}: ${counted(now.size, 'table')}; keep it in Git`))
  return 0
}

/** `sluice schema diff FILE`: what was loaded, compared with the lock. Exit code 3 where they differ. */
export async function schemaDiffCommand(
  path: string,
  options: SchemaLockOptions,
  context: CommandContext,
): Promise<ExitCode> {
  const { out } = context.terminal
  const difference = await differing(path, options, context)
  if (difference === undefined) return 1
  const { pipeline, file, changes } = difference
  if (options.json === true)
    out.line(stringifyJson({ file: path, pipeline: pipeline.name, lock: shown(file), changes }))
  else if (changes.length === 0) tellDone(out, printable(`${pipeline.name}: the tables match ${shown(file)}`))
  else {
    tell(out, printable(`${pipeline.name}: ${counted(changes.length, 'change')} since ${shown(file)}`))
    tellChanges(changes, context)
    tell(out, `${context.typedAs} schema accept accepts them.`)
  }
  return changes.length === 0 ? 0 : 3
}

/** `sluice schema accept FILE`: writes the lock anew, and says what it accepts. */
export async function schemaAcceptCommand(
  path: string,
  options: SchemaLockOptions,
  context: CommandContext,
): Promise<ExitCode> {
  const { out } = context.terminal
  const difference = await differing(path, options, context)
  if (difference === undefined) return 1
  const { pipeline, file, now, changes } = difference
  if (changes.length === 0) {
    tellDone(out, printable(`${shown(file)}: nothing to accept`))
    return 0
  }
  await writeWhole(file, await lockText(pipeline.name, now))
  tellDone(out, printable(`${shown(file)}: ${counted(changes.length, 'change')} accepted`))
  tellChanges(changes, context)
  return 0
}

/** What changed since the lock, which must be there. Undefined, and said, if nothing was loaded. */
async function differing(path: string, options: SchemaLockOptions, context: CommandContext) {
  const pipeline = await openPipeline(path, options, 'reads', context.terminal.err)
  const compared = await comparison(pipeline, context)
  return compared && { ...compared, pipeline, changes: lockChanges(required(compared, context), compared.now) }
}

/** Lock and committed schema. Undefined, and said, if nothing was loaded. */
async function comparison(pipeline: Pipeline, { terminal }: CommandContext): Promise<Compared | undefined> {
  const { lock: file } = pipeline.schema
  if (file === undefined) {
    const message = 'the pipeline has no place for a lock: name one with `schema: { lock: … }`'
    throw new ConfigError([{ place: { path: 'schema.lock' }, message }])
  }
  const locked = await readLock({ lock: file })
  const schema = await pipeline.dataset().schema()
  if (schema !== undefined) return { file, locked, now: lockedTables(schema) }
  tell(terminal.err, nothingLoaded(pipeline))
  return undefined
}

function required({ file, locked }: Compared, { typedAs }: CommandContext): LockedTables {
  if (locked !== undefined) return locked
  const message = `does not exist: \`${typedAs} schema lock\` writes it`
  throw new ConfigError([{ place: { path: '', file: shown(file) }, message }])
}

function tellChanges(changes: readonly LockChange[], { terminal }: CommandContext): void {
  for (const change of changes)
    tell(terminal.out, printable(describeLockChange(change)), 4, change.severity === 'breaking' ? 'red' : undefined)
}

/** Relative if it is under the current folder. */
function shown(file: string): string {
  const path = relative(process.cwd(), file)
  return path.startsWith('..') ? file : path
}
