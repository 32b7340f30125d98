import { existsSync } from 'node:fs'
import { Secret } from '../../model/secrets/secret.js'
import type { Lookup, LookupResult } from '../../rest/document/references.js'
import { type Environment, isSet } from './environment.js'
import { envFileOf, envFilePath, placeOfVariable, type SecretFile, secretFiles, valueIn } from './secretFiles.js'

export interface SecretResolverOptions {
  readonly env: Environment
  /** Folder of the pipeline file, if there is one. */
  readonly folder?: string | undefined
  readonly cwd: string
  /** Name of the pipeline. Its own settings come before the general ones. */
  readonly pipeline?: string | undefined
  /** Name of the source. Default `rest_api`. */
  readonly source?: string | undefined
  /** Called once for each file that others may read. */
  readonly warn?: ((message: string) => void) | undefined
}

/** A value and where it was found. */
interface Hit {
  readonly value: string
  readonly origin: string
  /** Where that is, in words. */
  readonly place: string
}

/** Values in clear are for what holds them as a Secret at once. */
export interface SecretResolver extends Lookup {
  /** What `${secrets.name}` stands for. */
  named(name: string): LookupResult<Hit>
  /** What `${env.NAME}` stands for. */
  variable(name: string): LookupResult<Hit>
}

type Keys = readonly string[]

const SECTION = 'rest_api'

/**
 * Looks up the references of documents. Searches the environment first, then `.sluice/secrets.toml`, then
 * `.dlt/secrets.toml`:
 *
 * - `${secrets.api_key}`: `API_KEY`, then dlt's names from `<PIPELINE>__SOURCES__<SECTION>__<SOURCE>__API_KEY` down to
 *   `SOURCES__API_KEY`;
 * - a field that an `auth` block leaves out: dlt's names from `<PIPELINE>__SOURCES__…__CREDENTIALS__<FIELD>` down to
 *   `CREDENTIALS__<FIELD>`, and a block's only secret also under `…__CREDENTIALS` itself;
 * - `${env.NAME}`: the environment alone.
 */
export function secretResolver(options: SecretResolverOptions): SecretResolver {
  const { env, cwd, folder = cwd, pipeline, source = SECTION, warn = () => {} } = options
  let files: readonly SecretFile[] | undefined
  const allFiles = (): readonly SecretFile[] => (files ??= secretFiles(env, [...new Set([folder, cwd])], warn))

  const search = (candidates: readonly Keys[]): Hit | undefined => {
    for (const keys of candidates) {
      const name = variable(keys)
      if (isSet(env, name)) return { value: env[name] ?? '', origin: name, place: placeOfVariable(env, name) }
    }
    for (const file of allFiles()) {
      for (const keys of candidates) {
        const value = valueIn(file, keys)
        const path = keys.join('.')
        if (value !== undefined) return { value, origin: `${file.path}: ${path}`, place: `${path} in ${file.path}` }
      }
    }
    return undefined
  }
  // `sluice explain secret_missing` tells of the other names and files.
  const cure = (usual: Keys): string => {
    const where = options.folder === undefined ? '' : envFilePlace(env, options.folder)
    const [first] = allFiles()
    const file = allFiles().find(({ tables }) => tables !== undefined) ?? first
    const written = file === undefined ? '' : `, or write ${usual.join('.')} = "…" into ${file.path}`
    return `set the variable ${variable(usual)}${where}${written}`
  }

  const namedCandidates = (name: string): Keys[] => {
    const keys = name.split('.')
    const plain = [keys, ...(keys.length > 1 ? [[keys.join('_')]] : [])]
    return [...plain, ...sections(pipeline, source).map(section => [...section, ...keys])]
  }
  const secretNamed = (name: string): LookupResult<Hit> => {
    const candidates = namedCandidates(name)
    const hit = search(candidates)
    if (hit !== undefined) return { value: hit }
    return { missing: `the secret \`${name}\` is missing: ${cure(name.split('.'))}` }
  }
  const variableNamed = (name: string): LookupResult<Hit> =>
    isSet(env, name)
      ? { value: { value: env[name] ?? '', origin: name, place: placeOfVariable(env, name) } }
      : { missing: `the environment variable \`${name}\` is not set` }
  const credentialCandidates = (field: string, alone: boolean): Keys[] => {
    const blocks = [...sections(pipeline, source), ...(pipeline === undefined ? [] : [[pipeline]]), []].sort(
      (a, b) => Number(startsWith(b, pipeline)) - Number(startsWith(a, pipeline)),
    )
    return blocks.flatMap(block => {
      const credentials = [...block, 'credentials']
      return alone ? [[...credentials, field], credentials] : [[...credentials, field]]
    })
  }

  return {
    named: secretNamed,
    variable: variableNamed,
    secret(name) {
      const found = secretNamed(name)
      return 'value' in found ? { value: secretOf(found.value, referenceTo('secrets', name)) } : found
    },
    text(text, escapeValue = value => value, isSecret = false) {
      const origins: string[] = []
      const places: string[] = []
      const missing: string[] = []
      const replaced = text.replace(reference, (whole, escaped: string, context: string, name: string) => {
        if (escaped !== '') return whole.slice(1)
        const found = context === 'env' ? variableNamed(name) : secretNamed(name)
        if ('missing' in found) {
          missing.push(found.missing)
          return ''
        }
        if (context === 'env' && !isSecret) return escapeValue(found.value.value)
        origins.push(found.value.origin)
        places.push(toldPlace(found.value, referenceTo(context, name)))
        return found.value.value
      })
      if (missing.length > 0) return { missing: missing.join('; ') }
      return {
        value:
          origins.length === 0
            ? replaced
            : new Secret(replaced, origins.join(', '), [...new Set(places)].join(' and ')),
      }
    },
    credential(field, alone) {
      const candidates = credentialCandidates(field, alone)
      const hit = search(candidates)
      if (hit !== undefined) return { value: secretOf(hit, field) }
      return { missing: `the secret \`${field}\` is missing: ${cure(['credentials', field])}` }
    },
    setting(field) {
      const candidates = credentialCandidates(field, false)
      const hit = search(candidates)
      if (hit !== undefined) return { value: hit.value }
      return { missing: `\`${field}\` is missing: ${cure(['credentials', field])}` }
    },
  }
}

function secretOf(hit: Hit, reference: string): Secret {
  return new Secret(hit.value, hit.origin, toldPlace(hit, reference))
}

function toldPlace({ place }: Hit, reference: string): string {
  return `\`${reference}\`, from ${place}`
}

function referenceTo(context: string, name: string): string {
  return `\${${context}.${name}}`
}

/** Nothing if a folder is called `.env`. */
function envFilePlace(env: Environment, folder: string): string {
  const path = envFilePath(folder)
  return envFileOf(env) === path || !existsSync(path) ? `, in the shell or in ${path}` : ''
}

/** A lookup that gives placeholders for what is missing, so that a document can be read without its secrets. */
export function findingAll(lookup: Lookup): Lookup {
  const placeholder = new Secret('a secret that nobody has looked up', 'missing')
  // Texts of the environment are often addresses.
  const nowhere = 'https://missing.invalid'
  const found = <T>(found: LookupResult<T>, other: T): LookupResult<T> => ('value' in found ? found : { value: other })
  return {
    secret: name => found(lookup.secret(name), placeholder),
    text(text, escapeValue, isSecret) {
      const whole = lookup.text(text, escapeValue, isSecret)
      if ('value' in whole) return whole
      if (text.includes('${secrets.')) return { value: placeholder }
      // The rest of the text counts: it may hold placeholders.
      const filled = text.replace(reference, (written, escaped: string, _context, _name, at: number) => {
        if (escaped !== '') return written.slice(1)
        const one = lookup.text(written, escapeValue)
        if ('value' in one) return String(one.value)
        if (at === 0) return nowhere
        // A port must be a number.
        return text[at - 1] === ':' ? '1' : 'missing'
      })
      return { value: filled }
    },
    credential: (field, alone) => found(lookup.credential(field, alone), placeholder),
    setting(field, needed) {
      const set = lookup.setting(field, needed)
      return needed ? found(set, nowhere) : set
    },
  }
}

/** The same for values in clear. `1` is a name, a port and a number. */
export function findingEvery(resolver: SecretResolver): SecretResolver {
  const hit = (found: LookupResult<Hit>): LookupResult<Hit> =>
    'value' in found ? found : { value: { value: '1', origin: 'missing', place: 'nowhere' } }
  return {
    ...findingAll(resolver),
    named: name => hit(resolver.named(name)),
    variable: name => hit(resolver.variable(name)),
  }
}

/** `${secrets.name}` and `${env.NAME}`. A second dollar sign in front keeps it as text. */
export const reference = /(\$?)\$\{(secrets|env)\.([\w.-]+)\}/g

/** dlt's sections of a source, most specific first. The pipeline's own sections come before the general ones. */
function sections(pipeline: string | undefined, source: string): Keys[] {
  const general = [
    ['sources', SECTION, source],
    ['sources', SECTION],
    ...(source === SECTION ? [] : [['sources', source]]),
    ['sources'],
  ]
  return pipeline === undefined ? general : [...general.map(keys => [pipeline, ...keys]), ...general]
}

function startsWith(keys: Keys, first: string | undefined): boolean {
  return first !== undefined && keys[0] === first
}

function variable(keys: Keys): string {
  return keys
    .join('__')
    .replace(/[^A-Za-z0-9_]/g, '_')
    .toUpperCase()
}
