import { fileError } from '../../../config/file/documentFile.js'
import { sourceData } from '../../sourceData.js'
import { knownClass } from './knownClasses.js'

/** A map of a manifest. All keys are its own, none comes from a prototype. */
export type Part = Readonly<Record<string, unknown>>

/** More parts than any connector has. Stops references that multiply. */
const MOST_PARTS = 1_000_000
const DEEPEST = 200

export interface ReadManifest {
  /** References are resolved and `$parameters` are passed down, as Airbyte's CDK does it. */
  readonly parts: Part
  /** The line where a stream (`streams[2]`) or an option (`spec.region`) is defined. */
  lineOf(path: string): number | undefined
}

/** Reads a manifest. Throws a ConfigError. */
export function manifestOf(text: string, shown: string): ReadManifest {
  const { value, lineOf } = sourceData(text, shown)
  const whole = partOf(value)
  if (!Array.isArray(whole?.streams) && !Array.isArray(whole?.dynamic_streams)) {
    throw fileError(shown, 'is no manifest of Airbyte: it has no list of `streams`')
  }
  // Definitions and schemas are read only where something refers to them.
  const { definitions: _definitions, schemas: _schemas, metadata: _metadata, ...used } = whole ?? {}
  const references = new References(whole ?? {}, shown)
  const parts = handDown('', partOf(references.resolve(used)) ?? {}, {}) as Part
  return {
    parts,
    lineOf(path) {
      const [, list, index] = /^(streams|dynamic_streams)\[(\d+)\]/.exec(path) ?? []
      if (list !== undefined) return lineOf(references.origin([list, Number(index)]))
      const [root, ...option] = path.split('.')
      if (root !== 'spec') return undefined
      return lineOf([root, 'connection_specification', ...option.flatMap(key => ['properties', key])])
    },
  }
}

export function partOf(value: unknown): Part | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Part) : undefined
}

export function partsOf(value: unknown): readonly Part[] {
  const items: readonly unknown[] = Array.isArray(value) ? value : [value]
  return items.map(partOf).filter(part => part !== undefined)
}

export function textOf(value: unknown): string | undefined {
  if (typeof value === 'string' && value !== '') return value
  return typeof value === 'number' ? String(value) : undefined
}

/** The type of a component. A custom class counts as a type. */
export function typeOf(part: Part | undefined): string | undefined {
  return textOf(part?.type) ?? (part?.class_name === undefined ? undefined : 'Custom')
}

/** The parameters that were passed down to a component. */
export function parametersOf(part: Part): Part {
  return partOf(part.$parameters) ?? {}
}

class References {
  private parts = 0
  private readonly open = new Set<string>()

  private readonly whole: Part
  private readonly shown: string

  constructor(whole: Part, shown: string) {
    this.whole = whole
    this.shown = shown
  }

  /** The keys of the value at a place, after following the references there. */
  origin(keys: readonly (string | number)[]): readonly (string | number)[] {
    let found = keys
    for (let depth = 0; depth < DEEPEST; depth++) {
      const node = found.reduce<unknown>((at, key) => (at as Record<string, unknown> | undefined)?.[key], this.whole)
      const reference = typeof node === 'string' ? node : partOf(node)?.$ref
      if (typeof reference !== 'string' || !reference.startsWith('#/')) break
      found = reference.slice(2).split('/')
    }
    return found
  }

  resolve(node: unknown, depth = 0): unknown {
    this.parts += 1
    if (this.parts > MOST_PARTS || depth > DEEPEST) {
      throw fileError(this.shown, 'has references that multiply or nest without end')
    }
    if (Array.isArray(node)) return node.map(item => this.resolve(item, depth + 1))
    if (typeof node === 'string') return node.startsWith('#/') ? this.followed(node, depth) : node
    const part = partOf(node)
    if (part === undefined) return node
    const own = ownOf(
      Object.entries(part).filter(([key]) => key !== '$ref'),
      value => this.resolve(value, depth + 1),
    )
    if (!Object.hasOwn(part, '$ref')) return own
    const referred = this.resolve(part.$ref, depth + 1)
    const under = partOf(referred)
    if (under !== undefined) return ownOf([...Object.entries(under), ...Object.entries(own)])
    if (typeof part.$ref === 'string' && !part.$ref.startsWith('#/')) {
      throw fileError(
        this.shown,
        `refers to ${JSON.stringify(part.$ref)}; only places of the manifest itself are followed`,
      )
    }
    return referred
  }

  private followed(reference: string, depth: number): unknown {
    if (this.open.has(reference)) throw fileError(this.shown, `has a reference that leads to itself: ${reference}`)
    this.open.add(reference)
    const found = this.resolve(this.place(reference), depth + 1)
    this.open.delete(reference)
    return found
  }

  /** A key may contain `/`, so the whole rest is tried first. */
  private place(reference: string): unknown {
    let node: unknown = this.whole
    for (let rest = reference.slice(2); rest !== ''; ) {
      const members = typeof node === 'object' && node !== null ? (node as Part) : {}
      if (Object.hasOwn(members, rest)) return members[rest]
      const [head = '', ...tail] = rest.split('/')
      if (!Object.hasOwn(members, head)) throw fileError(this.shown, `refers to ${reference}, which is not there`)
      node = members[head]
      rest = tail.join('/')
    }
    return node
  }
}

/** An object with these entries. `__proto__` is an ordinary key. */
function ownOf(entries: readonly (readonly [string, unknown])[], each = (value: unknown): unknown => value): Part {
  return Object.fromEntries(entries.map(([key, value]) => [key, each(value)]))
}

/** The types that the CDK assumes for components without one, where their place does not tell the type. */
const STANDARD_TYPES: Readonly<Record<string, string>> = {
  'DatetimeBasedCursor.start_datetime': 'MinMaxDatetime',
  'DatetimeBasedCursor.end_datetime': 'MinMaxDatetime',
  'DatetimeBasedCursor.start_time_option': 'RequestOption',
  'DatetimeBasedCursor.end_time_option': 'RequestOption',
  'DeclarativeStream.retriever': 'SimpleRetriever',
  'DefaultErrorHandler.response_filters': 'HttpResponseFilter',
  'CompositeErrorHandler.error_handlers': 'DefaultErrorHandler',
  'DefaultPaginator.page_size_option': 'RequestOption',
  'HttpRequester.error_handler': 'DefaultErrorHandler',
  'ListPartitionRouter.request_option': 'RequestOption',
  'ParentStreamConfig.request_option': 'RequestOption',
  'ParentStreamConfig.stream': 'DeclarativeStream',
  'RecordSelector.extractor': 'DpathExtractor',
  'RecordSelector.record_filter': 'RecordFilter',
  'SimpleRetriever.paginator': 'NoPagination',
  'SimpleRetriever.record_selector': 'RecordSelector',
  'SimpleRetriever.requester': 'HttpRequester',
  'SubstreamPartitionRouter.parent_stream_configs': 'ParentStreamConfig',
  'AddFields.fields': 'AddedFieldDefinition',
  '.streams': 'DeclarativeStream',
  'DeclarativeSource.streams': 'DeclarativeStream',
}

function handDown(place: string, written: Part, given: Part): unknown {
  const part = withoutKnownClass(written)
  const { $parameters, ...rest } = part
  const found =
    typeof part.type === 'string' ? part.type : part.class_name === undefined ? STANDARD_TYPES[place] : 'Custom'
  const isObject = part.type === 'object' || (Array.isArray(part.type) && part.type.includes('object'))
  if (isObject) return rest
  const parameters = ownOf([...Object.entries(given), ...Object.entries(partOf($parameters) ?? {})])
  if (found === undefined && place !== '') {
    return ownOf(Object.entries(rest), value =>
      typeOf(partOf(value)) === undefined ? value : child(place, value, parameters),
    )
  }
  const all = ownOf([
    ...(place === '' ? [] : Object.entries(parameters).filter(([key]) => !rest[key])),
    ...Object.entries(rest).filter(([key, value]) => Boolean(value) || !parameters[key] || place === ''),
  ])
  const made = ownOf(
    Object.entries(all).map(([key, value]) => {
      const { [key]: _same, ...others } = parameters
      const inner = `${place === '' ? '' : (found ?? '')}.${key}`
      if (Array.isArray(value)) return [key, value.map(item => (partOf(item) ? child(inner, item, others) : item))]
      return [key, partOf(value) === undefined ? value : child(inner, value, others)]
    }),
  )
  return ownOf([
    ...Object.entries(made),
    ...(found === undefined ? [] : [['type', found] as const]),
    ['$parameters', parameters] as const,
  ])
}

/** The same in components, if it is a class whose code is known. It keeps the name of the class. */
function withoutKnownClass(part: Part): Part {
  if (part.class_name === undefined || !/^Custom|^undefined$/.test(String(part.type))) return part
  const { class_name, $parameters } = part
  const known = knownClass(part)
  return known === undefined
    ? part
    : { ...known.same(part), class_name, ...($parameters !== undefined && { $parameters }) }
}

function child(place: string, value: unknown, given: Part): unknown {
  const part = partOf(value)
  return part === undefined ? value : handDown(place, part, given)
}
