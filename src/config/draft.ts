import { dirname, resolve } from 'node:path'
import { ConfigError, DataError } from '../core/errors.js'
import { type JsonObject, type JsonValue, parseJson } from '../core/json.js'
import { elements, valueAt } from '../core/jsonBytes.js'
import { isJsonObject } from '../core/jsonObject.js'
import type { ResponseJournal } from '../core/responses.js'
import { systemClock } from '../pipeline/pipeline.js'
import { isSecretName } from '../rest/redact.js'
import { candidateCursors, candidateKeys, type Detected, guessPaging } from './draftGuesses.js'
import { type DraftFindings, draftText } from './draftText.js'
import { asTemplate, authKeys, type DraftAuth, requestParams, secretField, variable } from './draftYaml.js'
import { type Environment, processEnvironment } from './environment.js'
import { restApiFrom } from './restApi.js'

export interface DraftOptions {
  /** Address of one list, query included. */
  readonly url: string
  /** Default: none, or `api_key` where the query of the URL holds a key. */
  readonly auth?: DraftAuth | undefined
  /** Name of the secret, as in `${secrets.api_key}`. Default: the name of its field. */
  readonly secretName?: string | undefined
  /**
   * The secret itself, for the one request; it becomes no part of the file. Default: looked up under its name, as by a
   * run.
   */
  readonly secret?: string | undefined
  /** Of pipeline and resource. Default: the last part of the path. */
  readonly name?: string | undefined
  /** Default: `duckdb:<name>.duckdb`. */
  readonly destination?: string | undefined
  /** Where the file will be, for secrets beside it. Default: `<name>.yaml`. */
  readonly file?: string | undefined
  /** Default: the environment of this process. */
  readonly env?: Environment | undefined
  /** Default: the current folder. */
  readonly cwd?: string | undefined
  readonly signal?: AbortSignal | undefined
}

export interface PipelineDraft {
  readonly name: string
  /** YAML with comments; a pipeline file. */
  readonly text: string
  /** What was found, for people, one line each. */
  readonly findings: readonly string[]
}

/**
 * A pipeline file for one list of an API, from its address and one page: selector, paginator, primary key and
 * candidates for a cursor. The page is asked for as a run would ask; nothing is written. Rejects with a ConfigError where
 * the secret is missing (`secret_missing`), with a RequestError where the page cannot be had.
 */
export async function draftPipeline(options: DraftOptions): Promise<PipelineDraft> {
  const { env = processEnvironment(), cwd = process.cwd(), signal = new AbortController().signal } = options
  const address = addressOf(options.url)
  const auth = options.auth ?? address.auth ?? { type: 'none' as const }
  const secretName = options.secretName ?? secretField(auth) ?? ''
  const secret = options.secret ?? address.secret
  const name = options.name ?? address.name
  const file = options.file ?? `${name}.yaml`
  const basis = { ...address, name, auth, secretName }
  const page = await firstPage(basis, {
    env: secret === undefined ? env : { ...env, [variable(secretName)]: secret },
    cwd,
    folder: dirname(resolve(cwd, file)),
    pipeline: name,
    signal,
  })
  if (page.records.length === 0) {
    throw new DataError('selector', 'The answer has no objects in a list: give the address of a list that has some')
  }
  const findings: DraftFindings = {
    ...basis,
    destination: options.destination ?? `duckdb:${name}.duckdb`,
    records: page.records.length,
    selector: page.selector,
    paging: guessPaging(page.detected, page.body, address.params, page.records.length),
    keys: candidateKeys(page.records, name),
    cursors: candidateCursors(page.records),
  }
  return { name, text: draftText(findings), findings: summary(findings) }
}

interface Address {
  readonly baseUrl: string
  readonly path: string
  readonly name: string
  readonly params: readonly (readonly [string, string])[]
  /** From a key in the query. */
  readonly auth: DraftAuth | undefined
  readonly secret: string | undefined
}

function addressOf(text: string): Address {
  const refuse = (message: string): ConfigError => new ConfigError([{ place: { path: '--url' }, message }])
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol)) {
    throw refuse('expected the address of a list, as in https://api.example.com/v1/orders')
  }
  const url = new URL(text)
  if (url.username !== '' || url.password !== '') {
    throw refuse('must hold no user name or password; use --auth http_basic')
  }
  const segments = url.pathname.split('/').filter(segment => segment !== '')
  const path = segments.pop() ?? ''
  const params: (readonly [string, string])[] = []
  let key: readonly [string, string] | undefined
  for (const [name, value] of url.searchParams) {
    if (isSecretName(name) && key === undefined) key = [name, value]
    else params.push([name, value])
  }
  const [keyName, keyValue] = key ?? []
  return {
    baseUrl: [url.origin, ...segments].join('/'),
    path,
    name: nameFrom(path) ?? nameFrom(url.hostname) ?? 'api',
    params,
    auth: keyName === undefined ? undefined : { type: 'api_key', name: keyName, location: 'query' },
    secret: keyValue === '' ? undefined : keyValue,
  }
}

function nameFrom(text: string): string | undefined {
  const name = text
    .replace(/\.(json|csv|xml)$/i, '')
    .replace(/([a-z\d])([A-Z])/g, '$1_$2')
    .replace(/[^A-Za-z\d]+/g, '_')
    .replace(/^_+|_+$/g, '')
    .toLowerCase()
  return name === '' ? undefined : name
}

interface FirstPage {
  readonly records: readonly JsonObject[]
  readonly body: JsonValue | undefined
  readonly selector: { readonly path: string; readonly why: string }
  readonly detected: Detected | undefined
}

async function firstPage(
  {
    name,
    baseUrl,
    path,
    params,
    auth,
    secretName,
  }: Omit<Address, 'auth'> & {
    readonly auth: DraftAuth
    readonly secretName: string
  },
  context: {
    readonly env: Environment
    readonly cwd: string
    readonly folder: string
    readonly pipeline: string
    readonly signal: AbortSignal
  },
): Promise<FirstPage> {
  const document = {
    client: { base_url: baseUrl, auth: authKeys(auth, secretName) ?? null },
    resources: [{ name, endpoint: { path: asTemplate(path), params: requestParams(params) } }],
  }
  const source = restApiFrom(document, { ...context, warn: () => {} })
  const detected: Detected[] = []
  let body: Uint8Array | undefined
  const journal: ResponseJournal = {
    lookup: async () => undefined,
    record: async (_identity, response) => {
      body ??= response.body
    },
  }
  try {
    const pages = source.resources[0]?.pages({
      signal: context.signal,
      clock: systemClock,
      journal,
      emit: event => {
        if (event.type === 'detected') detected.push(event)
      },
      maxPages: 1,
      concurrency: 1,
    })
    const step = await pages?.next()
    await pages?.return({ end: 'limited', reason: 'a draft needs one page' })
    const bytes = step === undefined || step.done ? undefined : step.value.records
    const records = bytes === undefined ? [] : elements(bytes, 0)
    const values = [...records].map(record => (bytes === undefined ? null : valueAt(bytes, record)))
    const selector = detected.find(({ what }) => what === 'data_selector')
    return {
      records: values.filter(value => isJsonObject(value)),
      body: body === undefined ? undefined : jsonOf(body),
      selector: { path: selector?.guess ?? '$', why: selector?.why ?? 'the answer was empty' },
      detected: detected.find(({ what }) => what === 'paginator'),
    }
  } finally {
    await source.close()
  }
}

function jsonOf(body: Uint8Array): JsonValue | undefined {
  try {
    return parseJson(body)
  } catch {
    return undefined
  }
}

function summary({ records, selector, paging, keys, cursors }: DraftFindings): string[] {
  return [
    `${records} records on the first page`,
    `data_selector ${selector.path}: ${selector.why}`,
    `paginator ${paging.config.type}: ${paging.why}`,
    keys[0] === undefined ? 'no primary key was found' : `primary_key ${keys[0]}: different in every record`,
    cursors.length === 0 ? 'no cursor was found' : `cursor candidates: ${cursors.map(({ path }) => path).join(', ')}`,
  ]
}
