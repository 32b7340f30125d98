import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseEnv } from 'node:util'
import { ConfigError } from '../model/errors.js'
import { type Environment, isSet } from './environment.js'
import { warnIfReadable } from './secretFiles.js'

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
  return { ...added, ...own }
}
