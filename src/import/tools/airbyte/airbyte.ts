import { fileError } from '../../../config/file/documentFile.js'
import { nameFrom } from '../../document/pipelineName.js'
import type { Imported, ImportInput, ImportNote } from '../../imported.js'
import { manifestOf, type Part, partOf, partsOf, textOf, typeOf } from './manifestParts.js'
import { ManifestSettings } from './settings.js'
import { Streams } from './streams.js'
import { secondsOf } from './window.js'

/** Makes a pipeline from an Airbyte manifest (a low-code connector). Each Python class in it becomes an open point. */
export function importAirbyte({ text, file = 'the manifest', name }: ImportInput): Imported {
  const { parts: manifest, lineOf } = manifestOf(text, file)
  const withLine = <T extends Located>(said: T): T => {
    const { path } = said.place ?? {}
    const line = path === undefined ? undefined : lineOf(path)
    return line === undefined ? said : { ...said, place: { line, path } }
  }
  const streams = partsOf(manifest.streams)
  const settings = new ManifestSettings(partOf(manifest.spec))
  const maker = new Streams(streams, settings)
  const made = maker.all()
  const leftOut = [
    ...maker.leftOut,
    ...partsOf(manifest.dynamic_streams).map((stream, index) => ({
      what: `dynamic streams ${textOf(stream.name) ?? index + 1}`,
      place: { path: `dynamic_streams[${index}]` },
      why: 'which streams there are is known during the run only',
    })),
  ].map(withLine)
  if (made.length === 0 && leftOut.length === 0) throw fileError(file, 'has no stream')
  if (maker.resources.length === 0) return { pipelines: [], leftOut }
  const { client, resources, taken } = withClient(maker.resources, clientOf(manifest))
  const notes: ImportNote[] = [
    ...made
      .filter(({ resources: found }) => found.length > 0)
      .map(
        ({ name: stream, resources: found }): ImportNote => ({
          kind: 'taken',
          text: found.length === 1 ? 'its list' : `its lists, as ${found.length} resources of one table`,
          resource: stream,
          place: { path: `streams[${made.findIndex(other => other.name === stream)}]` },
        }),
      ),
    ...taken,
    ...settings.assumed,
    ...maker.notes,
  ]
  const document = { source: { client, resources } }
  return {
    pipelines: [
      { name: name ?? pipelineName(manifest, file), document, notes: notes.map(withLine), secrets: settings.secrets },
    ],
    leftOut,
  }
}

type Located = Pick<ImportNote, 'place'>

function pipelineName(manifest: Part, file: string): string {
  const title = textOf(partOf(partOf(manifest.spec)?.connection_specification)?.title)
  const bare = title?.replace(/\b(spec|source|connection|configuration|config)\b/gi, '')
  const folder = /source[-_]([\w-]+)[\\/]+(?:[\w-]+[\\/])?manifest\.ya?ml$/.exec(file)?.[1]
  return nameFrom(folder ?? bare ?? '') ?? 'airbyte'
}

/** The rate limits of the whole client. */
function clientOf(manifest: Part): Record<string, unknown> {
  const limits = partsOf(partOf(manifest.api_budget)?.policies).flatMap(policy => {
    const rates =
      typeOf(policy) === 'FixedWindowCallRatePolicy'
        ? [{ limit: policy.call_limit, interval: policy.period }]
        : partsOf(policy.rates)
    if (partsOf(policy.matchers).length > 0) return []
    return rates.flatMap(({ limit, interval }) => {
      const per = secondsOf(String(interval))
      return Number.isInteger(Number(limit)) && per !== undefined && per > 0 ? [{ requests: Number(limit), per }] : []
    })
  })
  const [slowest] = limits.sort((left, right) => left.requests / left.per - right.requests / right.per)
  const workers = partOf(manifest.concurrency_level)?.default_concurrency
  return {
    ...(slowest !== undefined && { rate_limit: slowest }),
    ...(typeof workers === 'number' && workers > 0 && { concurrency: workers }),
  }
}

interface Body {
  readonly [key: string]: unknown
  readonly endpoint?: { readonly path: string; readonly auth?: unknown; readonly [key: string]: unknown }
}

/** Moves the settings that most resources share into the client. */
function withClient(
  made: readonly { readonly body: Record<string, unknown>; readonly include: ReadonlySet<string> }[],
  limits: Readonly<Record<string, unknown>>,
): {
  readonly client: Record<string, unknown>
  readonly resources: readonly unknown[]
  readonly taken: readonly ImportNote[]
} {
  const asked = JSON.stringify(made.map(({ body }) => body))
  const bodies = made.map(({ body: { drop, ...rest }, include }): Body => {
    // Children read these fields of the record, so they stay.
    const kept = ((drop ?? []) as readonly string[]).filter(
      field => !asked.includes(`{resources.${String(rest.name)}.${field}`),
    )
    return {
      ...rest,
      ...(kept.length > 0 && { drop: kept }),
      ...(include.size > 0 && { include_from_parent: [...include] }),
    }
  })
  const base =
    mostFrequent(bodies.flatMap(({ endpoint }) => (endpoint === undefined ? [] : [baseOf(endpoint.path)]))) ?? ''
  const auth = JSON.parse(
    mostFrequent(bodies.flatMap(({ endpoint }) => (endpoint?.auth == null ? [] : [JSON.stringify(endpoint.auth)]))) ??
      'null',
  ) as unknown
  const resources = bodies.map(body => {
    const { endpoint } = body
    if (endpoint === undefined) return body
    const { auth: own, path, ...rest } = endpoint
    const { selected, table_name, name, ...others } = body
    const isSame = JSON.stringify(own) === JSON.stringify(auth)
    const shown = base !== '' && path.startsWith(base) ? path.slice(base.length) : path
    return {
      name,
      ...(table_name !== undefined && { table_name }),
      ...(selected !== undefined && { selected }),
      ...others,
      endpoint: { path: shown, ...(!isSame && own !== undefined && { auth: own }), ...rest },
    }
  })
  const client = { base_url: base, ...(auth !== null && { auth }), ...limits }
  const taken: ImportNote[] =
    Object.keys(limits).length === 0 ? [] : [{ kind: 'taken', text: 'the limits of requests', target: 'source.client' }]
  return { client, resources, taken }
}

/** Scheme, host, and the first folders of the path that have no placeholder. */
function baseOf(address: string): string {
  const match = /^(?:https?:\/\/|\$\{env\.\w+\})[^/{?]*(?:\$\{env\.\w+\}[^/{?]*)*\//.exec(address)
  return match?.[0] ?? ''
}

function mostFrequent(texts: readonly string[]): string | undefined {
  const counts = new Map<string, number>()
  for (const text of texts) counts.set(text, (counts.get(text) ?? 0) + 1)
  return [...counts].sort((left, right) => right[1] - left[1])[0]?.[0]
}
