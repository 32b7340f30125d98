import { basename, dirname, extname, resolve } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { parseDocumentText, readText } from '../../config/file/documentFile.js'
import { processEnvironment } from '../../config/lookup/environment.js'
import { withEnvFile } from '../../config/lookup/secretFiles.js'
import { checkPipelineText } from '../../config/pipelineFile.js'
import { restApiFrom } from '../../config/restApi.js'
import { ConfigError } from '../../model/errors.js'
import { isPlain } from '../../rest/document/references.js'
import { nameFrom } from '../document/pipelineName.js'
import { addressOf, type Param } from './address.js'
import type { DraftContext, DraftList } from './answer.js'
import { listFindings, summary } from './drafting.js'
import { addedResource } from './draftText.js'
import { withResource } from './insertResource.js'

export interface AdditionOptions {
  /** The pipeline file that gets one more resource. */
  readonly file: string
  /** Address of the list, or its path below the `base_url` of the file. */
  readonly url: string
  /** Name of the resource. Default: the last part of the path. */
  readonly name?: string | undefined
  readonly signal: AbortSignal
}

export interface Addition {
  readonly name: string
  /** The whole file as it was read, and with the new resource. */
  readonly before: string
  readonly text: string
  /** Findings for the user, one line each. */
  readonly findings: readonly string[]
  /** Whether a way to the next page is known. */
  readonly hasPaginator: boolean
}

/**
 * Reads the first pages of another list of the API of a file, with the client and the credentials of that file, and gives
 * the file with one more resource. Writes nothing. Throws a ConfigError where the address is of another API, or the name
 * is taken.
 */
export async function draftAddition(options: AdditionOptions): Promise<Addition> {
  const { file, url, signal } = options
  const known = await openFile(file)
  const { path, params, name: ofPath } = listAddress(url, known)
  const name = options.name ?? ofPath
  if (known.names.has(name)) throw taken(name, known)
  const { client, defaults } = known
  const list: DraftList = { name, baseUrl: known.baseUrl, path, client, resourceDefaults: sentWithEach(defaults) }
  const found = await listFindings(params, list, { ...known.context, signal })
  const shared = longForm(recordOf(defaults.endpoint).paginator ?? known.paginator)
  const { config } = found.paging
  const { resource, comments } = addedResource(found, config !== undefined && isDeepStrictEqual(config, shared))
  const text = withResource(known.text, resource, comments)
  if (text === undefined) throw unwritable(known, resource)
  await checkPipelineText(text, file)
  return { name, before: known.text, text, findings: summary(found), hasPaginator: config !== undefined }
}

/** Refuses an address that `draftAddition` would refuse before it asks the API. */
export async function checkAddition(file: string, url?: string, name?: string): Promise<{ readonly baseUrl: string }> {
  const known = await openFile(file)
  if (url !== undefined) {
    const wanted = name ?? listAddress(url, known).name
    if (known.names.has(wanted)) throw taken(wanted, known)
  }
  return { baseUrl: known.baseUrl }
}

interface KnownFile {
  readonly file: string
  readonly text: string
  readonly baseUrl: string
  /** Without its paginator. */
  readonly client: Readonly<Record<string, unknown>>
  readonly paginator: unknown
  readonly defaults: Readonly<Record<string, unknown>>
  readonly names: ReadonlySet<string>
  /** Name of the parameter that carries the key of the file. */
  readonly keyParam: string | undefined
  readonly context: Omit<DraftContext, 'signal'>
}

async function openFile(file: string): Promise<KnownFile> {
  if (!/\.(ya?ml|json)$/i.test(file)) {
    throw refused(file, 'is no YAML or JSON file: add the resource to it yourself')
  }
  const text = await readText(file)
  // What is wrong already is not to be blamed on the new resource.
  await checkPipelineText(text, file)
  const { value } = await parseDocumentText(text, file)
  const document = recordOf(value)
  const source = recordOf(document.source ?? document)
  const { paginator, ...client } = recordOf(source.client)
  const cwd = process.cwd()
  const folder = dirname(resolve(file))
  const pipeline = typeof document.name === 'string' ? document.name : basename(file, extname(file))
  const name = document.source !== undefined && typeof source.name === 'string' ? source.name : undefined
  const context = { env: withEnvFile(processEnvironment(), folder, () => {}), cwd, folder, pipeline, source: name }
  const auth = recordOf(client.auth)
  return {
    file,
    text,
    baseUrl: baseUrlOf(client, context, file),
    client,
    paginator,
    defaults: recordOf(source.resource_defaults),
    names: new Set(namesOf(source.resources)),
    keyParam: auth.location === 'query' && typeof auth.name === 'string' ? auth.name : undefined,
    context,
  }
}

function recordOf(value: unknown): Readonly<Record<string, unknown>> {
  return isPlain(value) ? value : {}
}

function namesOf(resources: unknown): readonly string[] {
  const names = Array.isArray(resources)
    ? resources.map(one => (typeof one === 'string' ? one : recordOf(one).name))
    : []
  return names.filter(name => typeof name === 'string')
}

/** As it is sent: its references to variables are read. */
function baseUrlOf(client: object, context: Omit<DraftContext, 'signal'>, file: string): string {
  const { base_url } = recordOf(client)
  if (typeof base_url !== 'string' || base_url === '') {
    throw refused(file, 'has no `client.base_url`, so that nothing says which API it is of; write one, or another file')
  }
  const { source: name, ...places } = context
  const endpoint = { path: '', paginator: 'single_page' }
  const probe = restApiFrom(
    { client: { base_url }, resources: [{ name: 'list', endpoint }] },
    { ...places, name, warn: () => {} },
  )
  const { request } = probe.resources[0]?.describe?.(undefined) ?? {}
  return (request?.url ?? base_url).replace(/[?#].*$/, '').replace(/\/+$/, '')
}

interface AddedList {
  readonly path: string
  readonly params: readonly Param[]
  readonly name: string
}

/** The list below the address of the API. What is not below it keeps its whole address. */
function listAddress(url: string, { baseUrl, file, keyParam }: KnownFile): AddedList {
  const isAddress = /^[a-z][a-z\d+.-]*:\/\//i.test(url)
  const written = isAddress ? url : `${baseUrl}/${url.replace(/^\/+/, '')}`
  const { secret: _ofFile, auth, params, name } = addressOf(written)
  const whole = new URL(written)
  const base = new URL(baseUrl)
  if (whole.origin !== base.origin) {
    const message = `${whole.origin} is another API than that of ${file}, ${base.origin}: its client and its credentials are not for it. Write a file of its own with \`sluice init --url\`; with the same \`destination\` and \`dataset\`, both load into one database`
    throw new ConfigError([{ place: { path: '--url' }, message }])
  }
  if (auth?.type === 'api_key' && auth.name !== keyParam) {
    const message = `holds a secret in \`${auth.name}\`, and the requests of ${file} carry the credentials of its \`client\`: leave it out of the address`
    throw new ConfigError([{ place: { path: '--url' }, message }])
  }
  const folder = base.pathname.replace(/\/*$/, '/')
  const isBelow = whole.pathname.startsWith(folder) && whole.pathname.length > folder.length
  const path = isBelow ? whole.pathname.slice(folder.length) : whole.origin + whole.pathname
  return { path, params, name: nameFrom(name) ?? name }
}

/** What the new resource inherits of its requests. Where records and pages are is to be found. */
function sentWithEach(defaults: Readonly<Record<string, unknown>>): object | undefined {
  const { params, headers } = recordOf(defaults.endpoint)
  const endpoint = { ...(params != null && { params }), ...(headers != null && { headers }) }
  return Object.keys(endpoint).length === 0 ? undefined : { endpoint }
}

function longForm(paginator: unknown): unknown {
  return typeof paginator === 'string' ? { type: paginator } : paginator
}

function taken(name: string, { file, names }: KnownFile): ConfigError {
  const message = `has a resource ${name} already (it has ${[...names].join(', ')}); --name gives the new one another name`
  return refused(file, message)
}

function unwritable({ file }: KnownFile, resource: object): ConfigError {
  const message = `has its \`resources\` in a form that cannot be added to, and is left as it is; add this yourself: ${JSON.stringify(resource)}`
  return refused(file, message)
}

function refused(file: string, message: string): ConfigError {
  return new ConfigError([{ place: { path: '', file }, message }])
}
