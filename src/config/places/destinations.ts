import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Destination } from '../../model/destination.js'
import { alternatives, ConfigError, type ConfigPlace } from '../../model/errors.js'
import { scrubber } from '../../model/secrets/scrubber.js'
import { Secret, SecretReference } from '../../model/secrets/secret.js'
import { nearMiss } from '../../model/texts/nearMiss.js'
import type { Problems, PropertyPath } from '../../rest/document/problems.js'
import { resolveReferences } from '../../rest/document/references.js'
import { type Environment, isSet, processEnvironment } from '../lookup/environment.js'
import { reference, type SecretResolver } from '../lookup/secrets.js'

/** The address of a destination with its references replaced. */
export interface DestinationAddress {
  /** Holds secrets if there are any in `secrets`. */
  readonly text: string
  /** What `${secrets.…}` stood for. */
  readonly secrets: readonly { readonly secret: Secret; readonly value: string }[]
}

/**
 * Replaces `${env.X}` and `${secrets.x}` in the address of a destination. Values in front of the `@` and in parameters
 * are percent-encoded, because an address is read with them. A secret may stand there, or be the whole address.
 */
export function destinationAddress(
  written: string | SecretReference,
  resolver: SecretResolver,
  problems: Problems,
  path: PropertyPath,
): DestinationAddress | undefined {
  const template = written instanceof SecretReference ? `\${secrets.${written.reference}}` : written
  const found: DestinationAddress['secrets'][number][] = []
  let text = template
  const before = problems.count
  const under = nestedProblems(path, template)
  resolveReferences(
    under,
    {
      ...resolver,
      text(asked) {
        const missing: string[] = []
        text = asked.replace(reference, (whole, escaped: string, context: string, name: string, at: number) => {
          if (escaped !== '') return whole.slice(1)
          const place = placeOf(asked, at, whole)
          const value = context === 'env' ? resolver.variable(name) : resolver.named(name)
          if ('missing' in value) {
            missing.push(value.missing)
            return ''
          }
          if (context === 'secrets') {
            if (place === 'elsewhere') problems.add(path, MISPLACED)
            found.push({ secret: new Secret(value.value.value, value.value.origin), value: value.value.value })
          }
          return encoded(value.value.value, place)
        })
        return missing.length > 0 ? { missing: missing.join('; ') } : { value: '' }
      },
    },
    problems,
  )
  return problems.count > before ? undefined : { text, secrets: found }
}

const MISPLACED =
  'a secret may stand here for the user, for the password or for the value of a parameter, or be the whole address: names of hosts, databases, buckets and files are printed'

type Place = 'whole' | 'user' | 'credentials' | 'parameter' | 'elsewhere'

function placeOf(template: string, at: number, whole: string): Place {
  if (template.trim() === whole) return 'whole'
  const [head = '', scheme = '', user = ''] = /^((?:ducklake:)?[a-z][a-z\d+.-]*:\/\/)([^/?#]*)@/i.exec(template) ?? []
  if (at < head.length) {
    if (user === whole) return 'credentials'
    return at >= scheme.length ? 'user' : 'elsewhere'
  }
  const query = template.indexOf('?')
  const isFile = /^duckdb:/i.test(template)
  return query !== -1 && at > query && !isFile ? 'parameter' : 'elsewhere'
}

/** `user:password` in one variable keeps its colon. */
function encoded(value: string, place: Place): string {
  if (place === 'whole' || place === 'elsewhere') return value
  const text = encodeURIComponent(value)
  return place === 'credentials' ? text.replace('%3A', ':') : text
}

/** The value under the path, so that problems are reported there. */
function nestedProblems(path: PropertyPath, value: unknown): unknown {
  return path.reduceRight<unknown>((inner, key) => ({ [key]: inner }), value)
}

interface DestinationKind {
  /** How to write it, for messages. */
  readonly form: string
  /** Creates the destination from the text after the scheme. Loads the engine only now. */
  open(rest: string, where: Whereabouts): Promise<Destination>
  /** The file or folder that the text after the scheme names, if it names one. */
  pathOf?(rest: string): string | undefined
}

/** What a destination is opened with. */
interface Whereabouts {
  readonly env: Environment
  /** Relative paths begin here. Absent: in the current folder. */
  readonly folder?: string | undefined
  /** How long to wait for a file that another process has open. Absent: as long as the destination does by itself. */
  readonly lockTimeoutMs?: number | undefined
}

/** Every scheme of a destination. A new destination needs one new folder and its entry here. */
const kinds: Readonly<Record<string, DestinationKind>> = {
  duckdb: {
    form: 'duckdb:PATH',
    open: async (path, { folder, lockTimeoutMs }) =>
      (await import('../../destinations/duckdb/duckdb.js')).duckdb({
        path: folder === undefined || path === ':memory:' ? path : resolve(folder, path),
        lockTimeoutMs,
      }),
    pathOf: path => (path === ':memory:' ? undefined : path),
  },
  postgres: {
    form: 'postgres://USER@HOST/DATABASE',
    async open(rest, { env, folder }) {
      const { postgres } = await import('../../destinations/postgres/postgres.js')
      const connectionString = new Secret(`postgres://${withAbsolutePaths(rest, folder)}`)
      const namesPassword = /^[^/?#]*:[^/?#]*@|[?&]password=/.test(rest)
      const password = namesPassword || !isSet(env, 'PGPASSWORD') ? undefined : new Secret(env.PGPASSWORD ?? '')
      return postgres({ connectionString, password })
    },
  },
  ducklake: {
    form: 'ducklake:CATALOG',
    open: async (rest, { env, folder, lockTimeoutMs }) =>
      (await import('./ducklakeOptions.js')).ducklakeFromUrl(
        withAbsolutePaths(rest, folder),
        env,
        folder,
        lockTimeoutMs,
      ),
    pathOf: rest => /^(?:duckdb:|sqlite:)?((?!postgres(?:ql)?:)[^?]*?)(?:\?\w+=.*)?$/is.exec(rest)?.[1],
  },
  files: {
    form: 'files:DIR',
    open: async (rest, { env, folder }) => (await import('./filesOptions.js')).filesFromUrl(rest, env, folder),
    pathOf: rest => /^([^?]*?)(?:\?\w+=.*)?$/s.exec(rest)?.[1],
  },
  s3: {
    form: 's3://BUCKET/PREFIX',
    open: async (rest, { env, folder }) =>
      (await import('./filesOptions.js')).filesFromUrl(`s3://${rest}`, env, folder),
  },
}

/** Paths of certificates begin in the folder. */
function withAbsolutePaths(rest: string, folder: string | undefined): string {
  const [head = '', query] = rest.split(/\?(.*)/s)
  if (folder === undefined || query === undefined) return rest
  const absolute = (text: string): string => encodeURIComponent(resolve(folder, decodeURIComponent(text)))
  const parameters = query.split('&').map(parameter => {
    const [, name = '', value = ''] = /^(sslrootcert|sslcert|sslkey)=(.+)$/s.exec(parameter) ?? []
    const isPath = value !== '' && value !== 'system' && !/%(?![\da-f]{2})/i.test(value)
    return isPath ? `${name}=${absolute(value)}` : parameter
  })
  return `${head}?${parameters.join('&')}`
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
 * const destination = await destinationFromUrl(process.env['DESTINATION'] ?? 'duckdb:shops.duckdb')
 * await pipeline({ name: 'shops', source, destination }).run()
 * ```
 */
export async function destinationFromUrl(
  text: string,
  place: ConfigPlace = { path: 'destination' },
  env: Environment = processEnvironment(),
): Promise<Destination> {
  return await openDestination({ text, secrets: [] }, place, { env })
}

/** The same for an address with secrets, which no message repeats and the destination names as its own. */
export async function openDestination(
  { text, secrets }: DestinationAddress,
  place: ConfigPlace,
  where: Whereabouts,
): Promise<Destination> {
  const { scheme, rest, kind } = partsOf(text)
  const forms = alternatives(Object.values(kinds).map(({ form }) => `\`${form}\``))
  if (kind === undefined) {
    const meant = meantBy(text, scheme)
    const hint = meant === undefined ? '' : `; did you mean \`${meant}\`?`
    const written = scheme === '' ? '' : `, not \`${scheme}:\``
    throw new ConfigError([{ place, message: `expected ${forms}${written}${hint}` }])
  }
  if (rest === '') throw new ConfigError([{ place, message: `expected ${kind.form}; nothing follows \`${scheme}:\`` }])
  try {
    const destination = await kind.open(rest, where)
    // What the name of the destination says anyway cannot be hidden.
    const hidden = secrets.filter(({ value }) => !destination.name.includes(value)).map(({ secret }) => secret)
    return hidden.length === 0 ? destination : { ...destination, secrets: [...(destination.secrets ?? []), ...hidden] }
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    const { message } = error.problems[0] ?? error
    const known = scrubber()
    for (const { secret } of secrets) known.add(secret)
    // Only the messages of Postgres never repeat a piece of the address.
    const isSecret = secrets.some(({ value }) => value === text) && kind !== kinds.postgres
    const shown = isSecret ? `the address that the secret holds is not of the form ${kind.form}` : known.text(message)
    throw new ConfigError([{ place, message: shown }])
  }
}

function partsOf(text: string) {
  const [, scheme = '', rest = ''] = /^([a-z][a-z\d+-]*):(?:\/\/)?(.*)$/is.exec(text) ?? []
  const name = aliases[scheme.toLowerCase()] ?? scheme.toLowerCase()
  return { scheme, rest, kind: Object.hasOwn(kinds, name) ? kinds[name] : undefined }
}

/**
 * A warning if a relative path of the document names nothing beside it, but something in the current folder, where it
 * used to be looked for.
 */
export function leftBehind(text: string, folder: string, cwd: string): string | undefined {
  const { scheme, rest, kind } = partsOf(text)
  const path = kind?.pathOf?.(rest)
  if (path === undefined) return undefined
  const [place, former] = [resolve(folder, path), resolve(cwd, path)]
  if (place === former || existsSync(place) || !existsSync(former)) return undefined
  return `paths are relative to the pipeline file: \`${scheme}:${rest}\` is ${place}, which does not exist yet. ${former} in the current folder is not used: move it there, or name it with --destination ${scheme}:${rest}`
}

/** Never repeats what may hold a password. */
function meantBy(text: string, scheme: string): string | undefined {
  if (text === ':memory:') return 'duckdb::memory:'
  if (/^filesystem\b/i.test(text)) return 'files:DIR'
  if (/^[a-z]:[\\/][^:@]+\.(duckdb|ddb|db)$/i.test(text)) return `duckdb:${text}`
  if (/^[^:@]+\.(parquet|csv|jsonl|ndjson)$/i.test(text)) return 'files:DIR'
  const near = scheme === '' ? undefined : nearMiss(scheme, Object.keys(kinds))
  if (near !== undefined) return `${near}:`
  if (/^[^:@]+\.(duckdb|ddb|db)$/i.test(text)) return `duckdb:${text}`
  return scheme === '' && /^[^:@]*\/$/.test(text) ? `files:${text}` : undefined
}
