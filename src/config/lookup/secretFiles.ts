import { readFileSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseEnv } from 'node:util'
import { parse, TomlError } from 'smol-toml'
import { ConfigError } from '../../model/errors.js'
import { asFolder } from '../../pipeline/setup.js'
import { type Environment, isSet } from './environment.js'

/** Where variables come from that are not those of the process. */
interface Origins {
  /** The `.env` that was read. */
  readonly file?: string | undefined
  /** By name, in words. */
  readonly places: ReadonlyMap<string, string>
}

const origins = new WeakMap<Environment, Origins>()

/** The `.env` that {@link withEnvFile} has read into this environment. */
export function envFileOf(env: Environment): string | undefined {
  return origins.get(env)?.file
}

/** Where a variable comes from, for messages. */
export function placeOfVariable(env: Environment, name: string): string {
  return origins.get(env)?.places.get(name) ?? `the variable ${name} of the environment`
}

/** The environment with a variable that a person has given. */
export function withGivenVariable(env: Environment, name: string, value: string): Environment {
  const whole = { ...env, [name]: value }
  const { file, places } = origins.get(env) ?? { places: [] }
  origins.set(whole, { file, places: new Map([...places, [name, 'what was given here']]) })
  return whole
}

/** The file of variables beside a pipeline file. */
export function envFilePath(folder: string): string {
  return join(folder, '.env')
}

/**
 * The environment with the variables of the `.env` in the folder. A variable of the environment itself wins. Reports a
 * file that others may read. Throws a ConfigError that repeats nothing of the file.
 */
export function withEnvFile(env: Environment, folder: string, warn: (message: string) => void): Environment {
  const path = envFilePath(folder)
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    // Python's tools call a folder `.env`.
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'EISDIR') return env
    throw new ConfigError([
      { place: { path: '', file: path }, message: `cannot be read (${code ?? 'unknown reason'})` },
    ])
  }
  warnIfReadable(path, warn)
  const added = parseEnv(text.replace(/^\uFEFF/, '')) as Record<string, string>
  if (isSet(added, 'SLUICE_HOME')) added.SLUICE_HOME = resolve(folder, added.SLUICE_HOME ?? '')
  const own = Object.fromEntries(Object.entries(env).filter(([name]) => isSet(env, name)))
  const whole = { ...added, ...own }
  const places = new Map(origins.get(env)?.places)
  for (const [name, value] of Object.entries(added)) {
    const other = own[name]
    if (other === undefined) places.set(name, `the variable ${name} in ${path}`)
    else if (other !== value && !places.has(name))
      places.set(name, `the variable ${name} of the environment, which comes before the one in ${path}`)
  }
  origins.set(whole, { file: path, places })
  return whole
}

/** A file of secrets, and its content if it exists. */
export interface SecretFile {
  /** As shown in messages. */
  readonly path: string
  readonly tables: Readonly<Record<string, unknown>> | undefined
}

/** The working folder of a pipeline file, or of the current folder. */
export function workingFolder(env: Environment, folder: string): string {
  return isSet(env, 'SLUICE_HOME') ? resolve(asFolder(env.SLUICE_HOME ?? '', 'SLUICE_HOME')) : join(folder, '.sluice')
}

/**
 * The files with secrets, in search order: `secrets.toml` of the working folder, then dlt's. Each is searched beside
 * the pipeline file, then in the current folder. Reports a file that others may read.
 */
export function secretFiles(
  env: Environment,
  folders: readonly string[],
  warn: (message: string) => void,
): readonly SecretFile[] {
  const own = folders.map(folder => join(workingFolder(env, folder), 'secrets.toml'))
  const dlt = folders.map(folder => join(folder, '.dlt', 'secrets.toml'))
  return [...new Set([...own, ...dlt])].map(path => ({ path, tables: readTables(path, warn) }))
}

function readTables(path: string, warn: (message: string) => void): SecretFile['tables'] {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    throw new ConfigError([
      { place: { path: '', file: path }, message: `cannot be read (${code ?? 'unknown reason'})` },
    ])
  }
  warnIfReadable(path, warn)
  try {
    return parse(text)
  } catch (error) {
    // The parser's own message quotes the file, which holds secrets.
    const at = error instanceof TomlError ? { line: error.line, column: error.column } : {}
    throw new ConfigError([{ place: { path: '', file: path, ...at }, message: 'is not valid TOML' }])
  }
}

/** Reports a file that others may read. */
export function warnIfReadable(path: string, warn: (message: string) => void): void {
  const readableByOthers = process.platform !== 'win32' && (statSync(path).mode & 0o044) !== 0
  if (readableByOthers) warn(`${path} can be read by other users; \`chmod 600 ${path}\` makes it yours alone`)
}

/** The value under these keys of nested tables. Numbers and booleans become text. */
export function valueIn(file: SecretFile, keys: readonly string[]): string | undefined {
  let value: unknown = file.tables
  for (const key of keys) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined
    value = (value as Record<string, unknown>)[key]
  }
  if (typeof value === 'string') return value === '' ? undefined : value
  return typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean'
    ? String(value)
    : undefined
}
