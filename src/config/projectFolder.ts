import { existsSync, readFileSync, realpathSync } from 'node:fs'
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join, relative, resolve, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Environment, processEnvironment } from './lookup/environment.js'
import { workingFolder } from './lookup/secretFiles.js'

/** What Git must not see of a folder with pipelines. */
const IGNORED: readonly string[] = ['.sluice/', '*.duckdb', '.env']

export interface PreparedFolder {
  /** Where secrets go, as a path from the current folder. */
  readonly secrets: string
  /** The files that were made or got lines, as paths from the current folder. */
  readonly written: readonly string[]
  /** What could not be written, and why. */
  readonly failed: readonly string[]
}

/**
 * Makes a folder ready for pipelines: `.gitignore` gets the lines that it lacks, and a file of secrets that is not there
 * becomes a stub that only its owner may read. Nothing that is there is changed. Never rejects.
 */
export async function prepareFolder(
  folder: string,
  secretNames: readonly string[],
  env: Environment = processEnvironment(),
): Promise<PreparedFolder> {
  const ignored = join(folder, '.gitignore')
  const secrets = join(workingFolder(env, folder), 'secrets.toml')
  const written: string[] = []
  const failed: string[] = []
  for (const [file, write] of [
    [ignored, () => ignore(ignored)],
    [secrets, () => stub(secrets, secretNames)],
  ] as const) {
    try {
      if (await write()) written.push(fromHere(file))
    } catch (error) {
      failed.push(`${fromHere(file)} cannot be written (${(error as NodeJS.ErrnoException).code ?? 'unknown reason'})`)
    }
  }
  return { secrets: fromHere(secrets), written, failed }
}

async function ignore(file: string): Promise<boolean> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return ''
    throw error
  })
  const there = new Set(text.split(/\r?\n/).map(line => line.trim().replace(/^\/|\/$/g, '')))
  const lacking = IGNORED.filter(pattern => !there.has(pattern.replace(/\/$/, '')))
  if (lacking.length === 0) return false
  const between = text === '' || text.endsWith('\n') ? '' : '\n'
  await writeFile(file, `${text}${between}${lacking.join('\n')}\n`)
  return true
}

async function stub(file: string, secretNames: readonly string[]): Promise<boolean> {
  const folder = dirname(file)
  const made = await mkdir(folder, { recursive: true })
  if (made !== undefined) await chmod(folder, 0o700)
  const names = secretNames.length === 0 ? ['api_key'] : secretNames
  const lines = ['# Secrets of the pipelines in this folder. Remove the # and put the secret between the quotes.']
  const text = [...lines, ...names.map(stubLine), ''].join('\n')
  try {
    await writeFile(file, text, { flag: 'wx', mode: 0o600 })
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

/**
 * Writes a secret into the file of secrets, in the place of its line in the stub. Resolves to whether it is in the file now:
 * false if the file has another one under this name, or cannot be read.
 */
export async function keepSecret(file: string, name: string, secret: string): Promise<boolean> {
  const { parse, stringify } = await import('smol-toml')
  const line = stringify({ [name]: secret }).trimEnd()
  const text = await readFile(file, 'utf8')
  const isKept = (): boolean | undefined => {
    try {
      return Object.hasOwn(parse(text), name) ? parse(text)[name] === secret : undefined
    } catch {
      return false
    }
  }
  const kept = isKept()
  if (kept !== undefined) return kept
  const lines = text.split('\n')
  const at = lines.indexOf(stubLine(name))
  // Behind a table, it would belong to the table.
  lines.splice(Math.max(at, 0), at === -1 ? 0 : 1, line)
  await writeFile(file, lines.join('\n'), { mode: 0o600 })
  return true
}

function stubLine(name: string): string {
  return `# ${name} = ""`
}

/** How an editor finds the JSON Schema of pipeline files, and how a shell finds the command. */
export interface SchemaAddress {
  /** A path from the folder, or a URL. */
  readonly address: string
  /** Whether the package is installed in a folder above, so that `npx` finds the command. */
  readonly isInstalled: boolean
}

const SCHEMA = 'schema/pipeline.schema.json'

/** A path where the package is in a folder above, otherwise the address of this version of the package. */
export function schemaAddress(folder: string): SchemaAddress {
  const root = packageRoot()
  for (let above = resolve(folder); ; above = dirname(above)) {
    const installed = join(above, 'node_modules', 'sluice', SCHEMA)
    if (existsSync(installed)) return { address: pathTo(folder, installed), isInstalled: true }
    if (above === root) return { address: pathTo(folder, join(root, SCHEMA)), isInstalled: false }
    if (above === dirname(above)) break
  }
  return { address: `https://unpkg.com/sluice@${packageVersion()}/${SCHEMA}`, isInstalled: false }
}

/** The version of this package. */
export function packageVersion(): string {
  const { version } = JSON.parse(readFileSync(join(packageRoot(), 'package.json'), 'utf8')) as { version: string }
  return version
}

/** The folder of this package. */
export function packageRoot(): string {
  return realpathSync(fileURLToPath(new URL('../..', import.meta.url)))
}

function pathTo(folder: string, file: string): string {
  const path = relative(resolve(folder), file).split(sep).join('/')
  return path.startsWith('.') ? path : `./${path}`
}

function fromHere(path: string): string {
  const shown = relative('', path)
  return shown.startsWith('..') ? path : shown
}
