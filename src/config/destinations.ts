import type { Destination } from '../model/destination.js'
import { alternatives, ConfigError, type ConfigPlace } from '../model/errors.js'
import { nearMiss } from '../rest/document/problems.js'
import { type Environment, processEnvironment } from './environment.js'

interface DestinationKind {
  /** How to write it, for messages. */
  readonly form: string
  /** Creates the destination from the text after the scheme. Loads the engine only now. */
  open(rest: string, env: Environment): Promise<Destination>
}

/** Every scheme of a destination. A new destination needs one new folder and its entry here. */
const kinds: Readonly<Record<string, DestinationKind>> = {
  duckdb: {
    form: 'duckdb:PATH',
    open: async path => (await import('../destinations/duckdb/duckdb.js')).duckdb(path),
  },
  postgres: {
    form: 'postgres://USER@HOST/DATABASE',
    open: async rest => (await import('../destinations/postgres/postgres.js')).postgres(`postgres://${rest}`),
  },
  files: {
    form: 'files:DIR',
    open: async (rest, env) => (await import('./filesOptions.js')).filesFromUrl(rest, env),
  },
  s3: {
    form: 's3://BUCKET/PREFIX',
    open: async (rest, env) => (await import('./filesOptions.js')).filesFromUrl(`s3://${rest}`, env),
  },
}

/** How to write each destination, by its scheme. */
export const destinationForms: ReadonlyMap<string, string> = new Map(
  Object.entries(kinds).map(([scheme, { form }]) => [scheme, form]),
)

/** Other ways to write a scheme. */
const aliases: Readonly<Record<string, string>> = { postgresql: 'postgres' }

/**
 * The destination that a text such as `duckdb:demo.duckdb` names. Throws a ConfigError.
 *
 * @example
 * ```ts
 * import { destinationFromUrl, pipeline, restApi } from 'sluice'
 *
 * const source = restApi({ client: { base_url: 'https://api.example.com' }, resources: ['shops'] })
 * const destination = await destinationFromUrl(process.env.DESTINATION ?? 'duckdb:shops.duckdb')
 * await pipeline({ name: 'shops', source, destination }).run()
 * ```
 */
export async function destinationFromUrl(
  text: string,
  place: ConfigPlace = { path: 'destination' },
  env: Environment = processEnvironment(),
): Promise<Destination> {
  const [, scheme = '', rest = ''] = /^([a-z][a-z\d+-]*):(?:\/\/)?(.*)$/is.exec(text) ?? []
  const name = aliases[scheme.toLowerCase()] ?? scheme.toLowerCase()
  const kind = Object.hasOwn(kinds, name) ? kinds[name] : undefined
  const forms = alternatives(Object.values(kinds).map(({ form }) => `\`${form}\``))
  if (kind === undefined) {
    const meant = meantBy(text, scheme)
    const hint = meant === undefined ? '' : `; did you mean \`${meant}\`?`
    const written = scheme === '' ? '' : `, not \`${scheme}:\``
    throw new ConfigError([{ place, message: `expected ${forms}${written}${hint}` }])
  }
  if (rest === '') throw new ConfigError([{ place, message: `expected ${kind.form}; nothing follows \`${scheme}:\`` }])
  try {
    return await kind.open(rest, env)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    const { message } = error.problems[0] ?? error
    throw new ConfigError([{ place, message }])
  }
}

/** Never repeats what may hold a password. */
function meantBy(text: string, scheme: string): string | undefined {
  const near = scheme === '' ? undefined : nearMiss(scheme, Object.keys(kinds))
  if (near !== undefined) return `${near}:`
  if (/^[^:@]+\.(duckdb|ddb|db)$/i.test(text)) return `duckdb:${text}`
  return scheme === '' && /^[^:@]*\/$/.test(text) ? `files:${text}` : undefined
}
