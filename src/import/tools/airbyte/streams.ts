import { compileExpression } from '../../../rest/shape/expression.js'
import { nameFrom } from '../../document/pipelineName.js'
import type { ImportNote, LeftOut } from '../../imported.js'
import { answersOf } from './answers.js'
import { celCondition, celOf } from './celOf.js'
import { containerOf, isTemplate, known, literalOf, optionOf, SettingInside, Unsayable, type Value } from './jinja.js'
import { type Part, parametersOf, partOf, partsOf, textOf, typeOf } from './manifestParts.js'
import { nestedSlice, parentOf } from './nestedParents.js'
import { isOffsetText, isToken, pagingOf, type RequestPlace, requestPlace, type StreamPaging } from './paging.js'
import { escaped, jsonPath, NO_SLICE, type RenderedResource, Scene, type Slice, type SliceField } from './rendering.js'
import { columnsOf, fieldsOf, keyOf } from './schemas.js'
import type { ManifestSettings } from './settings.js'
import { bodyKeyOf, signingOf } from './signing.js'
import { sentFormat, type Window, windowOf } from './window.js'

/** Most slices of one stream. Nobody writes more by hand. */
const MOST_SLICES = 24
const DEEPEST_PARENTS = 20

/** The result for one stream. */
export interface StreamMade {
  readonly name: string
  readonly resources: readonly RenderedResource[]
  readonly stops: readonly string[]
}

interface Way {
  /** It exists only for its children: it has no table and no state. */
  readonly isParent: boolean
  readonly name?: string
}

/** Turns streams into resources. Each stream is made once, and parents come before their children. */
export class Streams {
  readonly resources: RenderedResource[] = []
  readonly notes: ImportNote[] = []
  readonly leftOut: LeftOut[] = []
  private readonly made = new Map<Part, StreamMade>()
  private readonly names = new Set<string>()
  private readonly beingMade = new Set<string>()
  private readonly lists = new Map<string, RenderedResource>()

  private readonly streams: readonly Part[]
  private readonly settings: ManifestSettings

  constructor(streams: readonly Part[], settings: ManifestSettings) {
    this.streams = streams
    this.settings = settings
    for (const stream of streams) {
      const name = streamName(stream)
      if (name !== undefined) this.names.add(name)
    }
  }

  all(): StreamMade[] {
    return this.streams.map(stream => this.top(stream))
  }

  private top(stream: Part): StreamMade {
    const known = this.made.get(stream)
    if (known !== undefined) return known
    const index = this.streams.indexOf(stream)
    const name = streamName(stream) ?? `stream_${index + 1}`
    const made = this.make(stream, `streams[${index}]`, { isParent: false, name })
    this.made.set(stream, made)
    return made
  }

  /** Makes the resources of a stream, after those of its parents. */
  private make(given: Part, path: string, way: Way): StreamMade {
    const name = way.name ?? 'parent'
    const scene = new Scene(this.settings, name, path)
    if (this.beingMade.size > DEEPEST_PARENTS || this.beingMade.has(`${name} ${path}`)) {
      scene.stop('the stream is a parent of itself')
      this.notes.push(...scene.notes)
      return { name, resources: [], stops: scene.stops }
    }
    this.beingMade.add(`${name} ${path}`)
    try {
      return this.makeOf(streamOf(given, scene), { scene, way, name, path })
    } finally {
      this.beingMade.delete(`${name} ${path}`)
    }
  }

  private makeOf(
    stream: Part | undefined,
    { scene, way, name, path }: { scene: Scene; way: Way; name: string; path: string },
  ): StreamMade {
    const retriever = partOf(stream?.retriever)
    const type = typeOf(retriever)
    if (stream === undefined || retriever === undefined || (type !== 'SimpleRetriever' && type !== 'AsyncRetriever')) {
      if (stream !== undefined)
        scene.stop(`its retriever is ${textOf(retriever?.class_name) ?? type}, which a document does not have`)
      this.leave(name, path, scene)
      return { name, resources: [], stops: scene.stops }
    }
    const slices = this.slicesOf(retriever.partition_router, { scene, path, name })
    if (slices.length === 0) {
      this.leave(name, path, scene)
      return { name, resources: [], stops: scene.stops }
    }
    const resources = slices.map(slice => {
      const own = slices.length === 1 ? name : this.free(`${name}_${slice.suffix}`)
      const one = new Scene(this.settings, own, path)
      one.slice = slice
      const body = new StreamBody(stream, retriever, one).resource(way.isParent)
      if (body === undefined) {
        scene.notes.push(...one.notes)
        return undefined
      }
      const resource: RenderedResource = {
        name: own,
        slice,
        include: one.include,
        body: { name: own, ...(slices.length > 1 && !way.isParent && { table_name: name }), ...body },
        unsaid: one.unsaidFields,
        stops: one.stops,
      }
      this.resources.push(resource)
      this.notes.push(...one.notes)
      return resource
    })
    const found = resources.filter(resource => resource !== undefined)
    if (found.length === 0) this.leave(name, path, scene)
    else this.notes.push(...scene.notes)
    const stops = [...scene.stops, ...found.flatMap(resource => resource.stops)]
    return { name, resources: found, stops: [...new Set(stops)] }
  }

  private leave(name: string, path: string, scene: Scene): void {
    const why = scene.notes.findLast(note => note.stopsRun)?.text ?? 'it cannot be read'
    this.leftOut.push({ what: `stream ${name}`, place: { path }, why })
  }

  private free(wanted: string): string {
    const base = nameFrom(wanted) ?? 'parent'
    let name = base
    for (let number = 2; this.names.has(name); number++) name = `${base}_${number}`
    this.names.add(name)
    return name
  }

  private slicesOf(given: unknown, at: { scene: Scene; path: string; name: string }): readonly Slice[] {
    const routers = partsOf(given)
    if (routers.length === 0) return [NO_SLICE]
    const [only, ...others] = routers
    if (only !== undefined && others.length === 0) return this.routerSlices(only, at)
    const lists = routers.filter(router => typeOf(router) === 'ListPartitionRouter')
    const parents = routers.filter(router => !lists.includes(router))
    let slices = this.parentsSlices(parents, at)
    for (const list of lists) {
      const field = this.listField(list, at.scene)
      if (field === undefined) return []
      slices = slices.flatMap(slice =>
        field.values.map(value => ({
          ...slice,
          suffix: [slice.suffix, nameFrom(String(value.kind === 'known' ? value.value : field.name)) ?? 'other']
            .filter(Boolean)
            .join('_'),
          fields: new Map([...slice.fields, [field.name, { value }]]),
        })),
      )
    }
    if (slices.length > MOST_SLICES) {
      at.scene.stop(`it is read for ${slices.length} combinations of values`)
      return []
    }
    return slices
  }

  /** Several parents are possible if each is an ancestor of the next. Otherwise Airbyte requests every combination. */
  private parentsSlices(parents: readonly Part[], at: { scene: Scene; path: string; name: string }): readonly Slice[] {
    const [only, ...others] = parents
    if (only === undefined) return [NO_SLICE]
    if (others.length === 0) return this.routerSlices(only, at)
    const { scene } = at
    const ways = parents.map(router => this.routerSlices(router, at))
    const slices = ways.flatMap(way => (way.length === 1 ? way : []))
    if (ways.some(way => way.length === 0)) return []
    const isPlain = parents.every(router => typeOf(router) === 'SubstreamPartitionRouter')
    const nested =
      isPlain && slices.length === parents.length
        ? scene.attempt('the fields of its parents', parents.length, () => nestedSlice(slices))
        : undefined
    const innermost = nested && parentOf(nested)
    if (nested === undefined || innermost === undefined) {
      scene.stop('it is read for each pair of records of two parents, which a document does not have')
      return []
    }
    const names = new Set(slices.map(slice => parentOf(slice)?.name ?? ''))
    scene.assume(
      `Airbyte asks for each pair of records of ${[...names].join(' and ')}${names.size === 1 ? ' and itself' : ''}; the document asks for those that belong together: each record of ${innermost.name} with what lies above it`,
    )
    return [nested]
  }

  private routerSlices(router: Part, at: { scene: Scene; path: string; name: string }): readonly Slice[] {
    const { scene } = at
    scene.told(router)
    switch (typeOf(router)) {
      case 'ListPartitionRouter': {
        const field = this.listField(router, scene)
        if (field === undefined) return []
        return [
          {
            ...NO_SLICE,
            fields: new Map([[field.name, { parent: this.listOf(field), field: fieldName(field.name) }]]),
          },
        ]
      }
      case 'SubstreamPartitionRouter':
        return partsOf(router.parent_stream_configs).flatMap(config => this.parentSlices(config, at))
      case 'GroupingPartitionRouter': {
        const inner = partOf(router.underlying_partition_router)
        if (inner === undefined) return []
        return this.routerSlices(inner, at)
      }
      default:
        scene.stop(`its slices come of ${textOf(router.class_name) ?? typeOf(router)}, which a document does not have`)
        return []
    }
  }

  private listField(router: Part, scene: Scene): { name: string; values: readonly Value[] } | undefined {
    scene.of(router)
    const name = scene.value(router.cursor_field, 'the name of the slices')
    const values = Array.isArray(router.values) ? known(router.values) : this.listed(router.values, scene)
    if (name?.kind !== 'known' || values === undefined) return undefined
    if (values.kind === 'setting') {
      scene.assume(`one value for \`${String(name.value)}\`; add the others where the document has it`)
      return { name: String(name.value), values: [values] }
    }
    if (values.kind !== 'known' || !Array.isArray(values.value)) {
      scene.stop(`the values for \`${String(name.value)}\` are an option that is not set`)
      return undefined
    }
    const found = (values.value as unknown[]).flatMap((item): Value[] => {
      if (item instanceof SettingInside) return [item.setting]
      const value = scene.value(item, 'a value of the slices')
      return value === undefined ? [] : [value]
    })
    if (found.length === 0) {
      scene.stop(`there is no value for \`${String(name.value)}\``)
      return undefined
    }
    return { name: String(name.value), values: found }
  }

  /** The values of a list. An optional option counts as set, because without it there is nothing to read. */
  private listed(given: unknown, scene: Scene): Value | undefined {
    const value = scene.value(given, 'the values of the slices')
    const isEmpty = value?.kind === 'known' && (value.value == null || textOf(value.value) === undefined)
    const keys = isEmpty && !Array.isArray(value.value) ? optionOf(given) : undefined
    return keys === undefined ? value : { kind: 'setting', keys, secret: false }
  }

  /** A resource of constants. Streams with the same values share it. */
  private listOf({ name, values }: { name: string; values: readonly Value[] }): RenderedResource {
    const scene = new Scene(this.settings, name, '')
    const records = values.map(value => ({
      [fieldName(name)]: value.kind === 'known' ? value.value : scene.text(value),
    }))
    const key = JSON.stringify(records)
    const known = this.lists.get(key)
    if (known !== undefined) return known
    const own = this.free(`${nameFrom(name) ?? 'value'}_values`)
    const list: RenderedResource = {
      name: own,
      slice: NO_SLICE,
      include: new Set(),
      body: { name: own, selected: false, records },
      unsaid: new Set(),
      stops: [],
    }
    this.resources.push(list)
    this.lists.set(key, list)
    return list
  }

  private parentSlices(
    config: Part,
    { scene, path, name }: { scene: Scene; path: string; name: string },
  ): readonly Slice[] {
    scene.of(config)
    const stream = partOf(config.stream)
    const key = scene.value(config.parent_key, 'the key of the parent')
    const field = scene.value(config.partition_field, 'the name of the slices')
    if (stream === undefined || key?.kind !== 'known' || field?.kind !== 'known') return []
    if (Array.isArray(config.lazy_read_pointer) && config.lazy_read_pointer.length > 0) {
      scene.stop('its first page lies in the record of the parent (`lazy_read_pointer`)')
      return []
    }
    const parent = this.parentOf(stream, { path, child: name, keepsState: config.incremental_dependency === true })
    if (parent.resources.length === 0) {
      scene.stop(`its parent ${parent.name} cannot be read: ${parent.stops[0] ?? 'it has an open point'}`)
      return []
    }
    if (parent.stops.length > 0) scene.stop(`its parent ${parent.name} has an open point`)
    const parentKey = String(key.value)
    const extra = (Array.isArray(config.extra_fields) ? config.extra_fields : []).map(keys =>
      (Array.isArray(keys) ? keys : [keys]).map(String),
    )
    const [member = ''] = parentKey.split('.')
    if (parent.resources.some(({ unsaid }) => unsaid.has(member)))
      scene.stop(`it is read for the field ${member} of ${parent.name}, which is an open point there`)
    return parent.resources.map(resource => {
      const from = (keys: readonly string[]): SliceField => ({ parent: resource, field: jsonPath(keys, true) })
      const several = partOf(config.$parameters) === undefined ? '' : resource.name
      return {
        suffix: several === '' ? resource.name : several,
        fields: new Map([[String(field.value), from(parentKey.split('.'))]]),
        extra: new Map(extra.map(keys => [keys.join('.'), from(keys)] as const)),
        above: resource.slice,
      }
    })
  }

  /** The resource of a parent. A stream of the same name that sends the same requests is used again. */
  private parentOf(
    stream: Part,
    { path, child, keepsState }: { path: string; child: string; keepsState: boolean },
  ): StreamMade {
    const name = streamName(stream) ?? `${child}_parent`
    const same = this.streams.find(other => streamName(other) === name && sameRequest(other, stream))
    const isRead = same !== undefined && !this.beingMade.has(`${name} streams[${this.streams.indexOf(same)}]`)
    if (isRead && (stream.incremental_sync === undefined || keepsState)) return this.top(same)
    const known = [...this.made].find(
      ([other]) => !this.streams.includes(other) && streamName(other) === name && sameRequest(other, stream),
    )
    if (known !== undefined) return known[1]
    const made = this.make(stream, `${path}, parent ${name}`, {
      isParent: true,
      name: this.free(this.names.has(name) ? `${name}_of_${child}` : name),
    })
    this.made.set(stream, made)
    return made
  }
}

function fieldName(name: string): string {
  return /^[\w-]+$/.test(name) ? name : 'value'
}

function streamName(stream: Part): string | undefined {
  return textOf(stream.name) ?? textOf(parametersOf(stream).name)
}

/** Whether two streams give their children the same records. */
function sameRequest(left: Part, right: Part): boolean {
  const asked = (stream: Part): string => {
    const { requester, record_selector: selector, partition_router: router } = partOf(stream.retriever) ?? {}
    const { path, url, url_base, request_parameters } = partOf(requester) ?? {}
    const { extractor, record_filter } = partOf(selector) ?? {}
    return JSON.stringify([
      path,
      url,
      url_base,
      request_parameters,
      partOf(extractor)?.field_path,
      partOf(record_filter)?.condition,
      typeOf(partOf(router)),
    ])
  }
  return asked(left) === asked(right)
}

/** Unwraps a stream that is inside another one. */
function streamOf(stream: Part, scene: Scene): Part | undefined {
  const type = typeOf(stream)
  if (type === 'StateDelegatingStream') {
    scene.assume('of the stream for the first run and the one for later runs, the latter is taken')
    return partOf(stream.incremental_stream) ?? partOf(stream.full_refresh_stream)
  }
  if (type === 'DeclarativeStream' || type === undefined) return stream
  scene.stop(`it is ${textOf(stream.class_name) ?? type}, which a document does not have`)
  return undefined
}

interface RequestMade {
  readonly params: Record<string, unknown>
  readonly headers: Record<string, unknown>
  json: unknown
  data: unknown
}

/** Builds the resource of one stream. */
class StreamBody {
  private readonly stream: Part
  private readonly retriever: Part
  private readonly scene: Scene
  /** Added fields whose value is the time of reading. */
  private readonly readingTimes = new Set<string>()
  /** The field that takes the name of each member, where records are the members of an object. */
  private keyColumn: string | undefined
  /** Options without which requests cannot be signed. They are set, whatever the specification says. */
  private signing: ReadonlySet<string> = new Set()

  constructor(stream: Part, retriever: Part, scene: Scene) {
    this.stream = stream
    this.retriever = retriever
    this.scene = scene
  }

  resource(isParent: boolean): Record<string, unknown> | undefined {
    const { scene, stream, retriever } = this
    const isJob = typeOf(retriever) === 'AsyncRetriever'
    const requester = scene.told(partOf(isJob ? retriever.creation_requester : retriever.requester)) ?? {}
    const type = typeOf(requester)
    if (type !== 'HttpRequester') {
      scene.stop(`its requester is ${textOf(requester.class_name) ?? type}, which a document does not have`)
      return undefined
    }
    const selector = this.selector(partOf(retriever.record_selector))
    const window = windowOf(stream.incremental_sync, scene)
    const path = this.address(scene.of(requester), requester)
    if (path === undefined) return undefined
    this.signing = signingOptions(requester.authenticator)
    const request = this.request(requester)
    const paging = isJob
      ? ({ paginator: 'single_page', fixed: [] } as StreamPaging)
      : pagingOf(retriever.paginator, requester, { selector, fields: fieldsOf(stream.schema_loader) }, scene)
    for (const { place, value } of paging.fixed) put(request, place, value)
    this.sliceOptions(request)
    const incremental = window && this.incremental(window, request, isParent)
    const bodyKey = bodyKeyOf(requester.authenticator, scene)
    if (bodyKey !== undefined) put(request, bodyKey.place, bodyKey.value)
    const auth = bodyKey === undefined ? signingOf(requester.authenticator, scene) : null
    const answers = answersOf(requester.error_handler, scene)
    const method = String(requester.http_method ?? 'GET').toUpperCase()
    if (!['GET', 'POST', 'PUT', 'PATCH'].includes(method)) scene.stop(`its method is ${method}`)
    const job = isJob ? this.job(retriever) : undefined
    const router = partOf(retriever.partition_router)
    const group = typeOf(router) === 'GroupingPartitionRouter' ? Number(router?.group_size) : undefined
    const format = this.format(isJob ? (retriever.download_decoder ?? retriever.decoder) : retriever.decoder)
    const shape = this.shape(incremental?.cursor_path)
    const key = this.withoutReadingTimes(keyOf(stream.primary_key))
    const nulls = [...scene.slice.fields.values()].some(field => 'parent' in field)
    return {
      ...(isParent && { selected: false }),
      endpoint: {
        path,
        ...(method !== 'GET' && { method }),
        ...filled('params', request.params),
        ...filled('headers', request.headers),
        ...(request.json !== undefined && { json: request.json }),
        ...(request.data !== undefined && { data: request.data }),
        auth,
        paginator: paging.paginator,
        data_selector: selector,
        data_selector_required: false,
        ...(this.keyColumn !== undefined && { key_column: this.keyColumn }),
        ...(format !== undefined && { format }),
        ...(job !== undefined && { job }),
        ...filled('incremental', incremental ?? {}),
        ...(answers.actions.length > 0 && { response_actions: answers.actions }),
        ...filled('retry', answers.retry),
        ...(group !== undefined && group > 1 && { batch_size: group }),
        ...(nulls && { on_null: 'skip' }),
      },
      ...shape,
      ...(key !== undefined && { primary_key: key }),
      ...(!isParent && {
        write_disposition: incremental === undefined ? 'replace' : key === undefined ? 'append' : 'merge',
      }),
      ...(!isParent &&
        filled(
          'columns',
          columnsOf(stream.schema_loader, new Set([...(typeof key === 'string' ? [key] : (key ?? []))])),
        )),
    }
  }

  /** `base` is the address without a path. It goes into the client. */
  private address(scene: Scene, requester: Part): string | undefined {
    const parts = ['url_base', 'url', 'path'].map(key => {
      const value = textOf(requester[key])
      if (value === undefined) return ''
      const said = scene.value(value, 'the address')
      return said && scene.attempt('the address', value, () => scene.text(said) ?? '')
    })
    if (parts.some(part => part === undefined)) return undefined
    const whole = joinedAddress(parts.map(part => (part ?? '').trim()))
    if (whole !== undefined && /^(https?:\/\/|\$\{env\.)/.test(whole)) return whole
    scene.stop('its address is not known')
    return undefined
  }

  private selector(selector: Part | undefined): string {
    const { scene } = this
    const extractor = scene.told(partOf(selector?.extractor))
    if (selector !== undefined && typeOf(selector) !== 'RecordSelector' && typeOf(selector) !== undefined) {
      scene.stop(`its records are selected by a class of its own (${textOf(selector.class_name) ?? typeOf(selector)})`)
      return '$'
    }
    const type = typeOf(extractor)
    if (extractor !== undefined && type !== 'DpathExtractor') {
      if (type !== 'ResponseToFileExtractor') {
        scene.stop(
          `its records are found by a class of its own (${textOf(extractor.class_name) ?? type}); write the place into \`data_selector\``,
          'endpoint.data_selector',
        )
      }
      return '$'
    }
    if (extractor?.record_expander !== undefined) scene.stop('each record is expanded into several (`record_expander`)')
    const keys: (string | number)[] = []
    for (const given of Array.isArray(extractor?.field_path) ? extractor.field_path : []) {
      const value = scene.of(extractor).value(given, 'the place of the records')
      if (value?.kind === 'known') {
        if (isTemplate(String(value.value)))
          scene.stop('the place of the records is an expression in a parameter', 'endpoint.data_selector')
        else if (Array.isArray(value.value)) keys.push(...value.value.map(String))
        else if (textOf(value.value) !== undefined)
          keys.push(/^\d+$/.test(String(value.value)) ? Number(value.value) : String(value.value))
      } else if (value !== undefined)
        scene.stop('the place of the records is an option of the connector', 'endpoint.data_selector')
    }
    if (keys.at(-1) === '*')
      scene.assume('the records are members of an object; of a list, `data_selector` ends without `.*`', 'endpoint')
    if (extractor?.inject_key_as_field !== undefined) {
      const name = scene.of(extractor).value(extractor.inject_key_as_field, 'the field for the name of a member')
      this.keyColumn = name?.kind === 'known' ? textOf(name.value) : undefined
    }
    if (keys.includes('**')) scene.stop('its records are found at any depth (`**`)', 'endpoint.data_selector')
    return keys.length === 0 ? '$' : jsonPath(keys)
  }

  private request(requester: Part): RequestMade {
    const made: RequestMade = { params: {}, headers: {}, json: undefined, data: undefined }
    this.texts(requester.request_parameters, 'parameter', (name, text) => {
      made.params[name] = text
    })
    this.texts(requester.request_headers, 'header', (name, text) => {
      made.headers[name] = text
    })
    const body = partOf(requester.request_body)
    const [json, data] = [
      requester.request_body_json ??
        (/^(RequestBodyJsonObject|RequestBodyGraphQL)$/.test(typeOf(body) ?? '') ? body?.value : undefined),
      requester.request_body_data ??
        (/^(RequestBodyPlainText|RequestBodyUrlEncodedForm)$/.test(typeOf(body) ?? '') ? body?.value : undefined),
    ]
    this.scene.of(requester)
    if (json !== undefined) made.json = this.body(json)
    if (typeof data === 'string') made.data = this.said(data, 'the body')
    else if (data !== undefined) {
      const form: Record<string, unknown> = {}
      this.texts(data, 'field of the form', (name, text) => {
        form[name] = text
      })
      made.data = form
    }
    return made
  }

  private texts(given: unknown, what: string, put: (name: string, text: unknown) => void): void {
    const { scene } = this
    if (typeof given === 'string' && given.trim() !== '') {
      const value = scene.value(given, `the ${what}s`)
      if (value?.kind === 'known' && partOf(value.value) !== undefined) {
        this.texts(value.value, what, put)
        return
      }
      if (value?.kind === 'known' && typeof value.value === 'string' && what === 'parameter') {
        for (const [name, text] of new URLSearchParams(value.value)) put(name, escaped(text))
        return
      }
      if (value?.kind === 'known' && value.value == null) return
      if (value !== undefined) scene.stop(`the ${what}s are one text: \`${given.slice(0, 100)}\``)
      return
    }
    for (const [name, value] of Object.entries(partOf(given) ?? {})) {
      if (name === '$parameters' || (typeof value === 'string' && isToken(value))) continue
      if (what === 'parameter' && isOffsetText(value, partOf(this.retriever.paginator))) continue
      const key = isTemplate(name) ? this.said(name, `the name of a ${what}`) : name
      if (key === undefined) continue
      const part = partOf(value)
      if (part !== undefined && typeOf(part) === 'QueryProperties') {
        const list = part.property_list
        if (Array.isArray(list) && part.property_chunking === undefined) put(key, list.join(','))
        else scene.stop(`the ${what} ${key} names properties, which Airbyte asks for or divides among requests`)
        continue
      }
      if (Array.isArray(value)) {
        put(
          key,
          value.map(item => this.said(item, `the ${what} ${key}`)).filter(item => item !== undefined),
        )
        continue
      }
      if (this.isUnset(value, `the ${what} ${key}`)) continue
      const list = this.listIn(value, `the ${what} ${key}`)
      const text = list ?? this.said(value, `the ${what} ${key}`, true)
      if (text !== undefined) put(key, text)
    }
  }

  /** The texts of a list of known values, or of a text that Python reads as one. Each is sent as a parameter of its own. */
  private listIn(given: unknown, what: string): readonly string[] | undefined {
    const { scene } = this
    const value = typeof given === 'string' ? scene.value(given, what) : undefined
    if (value?.kind !== 'known') return undefined
    const text = value.value
    const items = typeof text === 'string' ? scene.attempt(what, given, () => containerOf(text)) : text
    if (!Array.isArray(items)) return undefined
    if (items.length === 0) scene.stop(`${what} is an empty list`)
    const texts = items.filter(item => typeof item === 'string' || typeof item === 'number').map(String)
    return texts.length > 0 && texts.length === items.length ? texts.map(escaped) : undefined
  }

  /** Whether a template is only an optional option. Airbyte leaves it out if it is not set. */
  private isUnset(given: unknown, what: string): boolean {
    const { scene } = this
    const value = scene.value(given, what)
    if (value !== undefined && scene.isStateOfNone(value)) return true
    if (value?.kind === 'known' && value.value === '' && typeof given === 'string' && isTemplate(given)) {
      scene.assume(`${what} is left out: what it is made of need not be set`, 'endpoint')
      return true
    }
    if (value?.kind !== 'setting' || value.secret || !scene.settings.isOptional(value.keys)) return false
    if (this.signing.has(value.keys.join('.'))) return false
    scene.assume(`${what} is left out: the option \`${value.keys.join('.')}\` need not be set`, 'endpoint')
    return true
  }

  private said(given: unknown, what: string, isSigned = false): string | undefined {
    const { scene } = this
    const value = scene.value(given, what)
    return value && scene.attempt(what, given, () => scene.text(value, isSigned))
  }

  /** A JSON body. A text is parsed with marks in place of values that are known only during a run. */
  private body(given: unknown): unknown {
    const { scene } = this
    if (typeof given === 'string') {
      const text = this.said(given, 'the body')
      if (text === undefined) return undefined
      const marks: string[] = []
      const marked = text.replace(
        /(?<!\$)\{(?!\{)[^{}]+\}(?!\})|\$\{[^}]+\}/g,
        place => `\uE000${marks.push(place) - 1}\uE001`,
      )
      const plain = marked.replace(/\{\{/g, '{').replace(/\}\}/g, '}')
      for (const form of [plain, plain.replace(/'/g, '"'), plain.replace(/(?<!")(\uE000\d+\uE001)(?!")/g, '"$1"')]) {
        try {
          const parsed: unknown = JSON.parse(form.replace(/\uE000(\d+)\uE001/g, '\\uE000$1\\uE001'))
          if (partOf(parsed) !== undefined) return unmarked(parsed, marks)
        } catch {
          // The next syntax may fit.
        }
      }
      scene.stop('its body is a text that is no JSON object')
      return undefined
    }
    return this.member(given, 'the body')
  }

  private member(given: unknown, what: string): unknown {
    const { scene } = this
    if (Array.isArray(given)) return given.map(item => this.member(item, what))
    const part = partOf(given)
    if (part !== undefined) {
      return Object.fromEntries(
        Object.entries(part)
          .filter(([key, value]) => key !== '$parameters' && !(typeof value === 'string' && isToken(value)))
          .flatMap(([key, value]) => {
            const said = this.member(value, `${what}, \`${key}\``)
            // Airbyte sends no member of a map without a value.
            if (said === undefined || said === null) return []
            const name = isTemplate(key) ? this.said(key, what) : key
            if (name?.includes('${') === true)
              scene.stop(`the name of a member of ${what} is an option of the connector`)
            return name === undefined || name.includes('${') ? [] : [[name, said]]
          }),
      )
    }
    const value = scene.value(given, what)
    const json = value && scene.attempt(what, given, () => scene.json(asPythonReads(value)))
    return json === null && typeof given === 'string' ? undefined : json
  }

  /** Adds the request options that a slice fills. */
  private sliceOptions(request: RequestMade): void {
    const { scene } = this
    for (const router of partsOf(this.retriever.partition_router)) {
      const inner = typeOf(router) === 'GroupingPartitionRouter' ? partOf(router.underlying_partition_router) : router
      const configs =
        typeOf(inner) === 'SubstreamPartitionRouter' ? partsOf(inner?.parent_stream_configs) : partsOf(inner)
      for (const config of configs) {
        const place = requestPlace(partOf(config.request_option), scene)
        scene.of(config)
        const name = scene.value(config.partition_field ?? config.cursor_field, 'the name of the slices')
        if (place === undefined || name?.kind !== 'known') continue
        if (!scene.slice.fields.has(String(name.value))) continue
        const keys = [String(name.value)]
        const text = scene.attempt('an option of the slices', config.request_option, () =>
          scene.text({ kind: 'path', root: 'partition', keys }),
        )
        if (text !== undefined) put(request, place, text)
      }
    }
  }

  private incremental(window: Window, request: RequestMade, isParent: boolean): Record<string, unknown> | undefined {
    const { scene } = this
    const part = partOf(this.stream.incremental_sync) ?? {}
    const incremental = { ...window.incremental }
    const { start, end } = window
    if (start !== undefined) {
      if (start.into === 'request_parameter') incremental.start_param = start.name
      else put(request, start, '{incremental.start_value}')
    }
    if (end !== undefined) {
      if (end.into === 'request_parameter' && start?.into === 'request_parameter') {
        incremental.end_param = end.name
        scene.assume(
          'the API reads up to now where the request names no end; the end is sent with a range of its own only',
          'endpoint.incremental',
        )
      } else {
        scene.asksEnd = true
        put(request, end, '{incremental.end_value}')
      }
    }
    const uses = JSON.stringify([request, this.retriever.requester]).includes('{incremental.')
    const isSent = uses || start !== undefined
    const format = sentFormat(part, scene, isSent && (start !== undefined || scene.formats.size === 0))
    if (format !== undefined) incremental.param_format = format
    if (scene.asksEnd) {
      const end = `\${env.END_DATE${window.unit}}`
      incremental.end_value = end
      if (incremental.initial_value === undefined) incremental.initial_value = `\${env.START_DATE${window.unit}}`
      scene.assume(
        `the request names an end, so that each run reads up to ${end} and keeps no state`,
        'endpoint.incremental',
      )
    }
    if (!isParent) return incremental
    // Children need all records of their parent in every run.
    if (scene.asksEnd) return incremental
    if (start?.into === 'request_parameter' && !uses && incremental.initial_value !== undefined) {
      request.params[start.name] = incremental.initial_value
      return undefined
    }
    return isSent ? incremental : undefined
  }

  private job(retriever: Part): Record<string, unknown> | undefined {
    const { scene } = this
    scene.stop(
      `it orders an export (${typeOf(retriever)}); write the places of its handle, status and file into \`job\``,
    )
    return undefined
  }

  private format(given: unknown): unknown {
    const { scene } = this
    const part = partOf(given)
    switch (typeOf(part)) {
      case undefined:
      case 'JsonDecoder':
        return undefined
      case 'JsonlDecoder':
        return 'jsonl'
      case 'XmlDecoder':
        return 'xml'
      case 'CsvDecoder': {
        const delimiter = textOf(part?.delimiter)
        return delimiter === undefined || delimiter === ','
          ? 'csv'
          : { type: 'csv', delimiter: delimiter === '\\t' ? '\t' : delimiter }
      }
      case 'GzipDecoder':
      case 'GzipJsonDecoder':
      case 'ZipfileDecoder':
        return this.format(part?.decoder ?? part?.inner_decoder ?? part?.parser)
      default:
        scene.stop(`its body is read by ${textOf(part?.class_name) ?? typeOf(part)}`)
        return undefined
    }
  }

  /** The `filter`, `add` and `drop` of the resource. */
  private shape(cursor: unknown): Record<string, unknown> {
    const { scene, stream, retriever } = this
    const made: Record<string, unknown> = {}
    const filter = partOf(partOf(retriever.record_selector)?.record_filter)
    if (filter !== undefined) this.filter(filter, cursor, made)
    const add: Record<string, string> = {}
    const mask: Record<string, string> = {}
    const drop: string[] = []
    for (const step of partsOf(stream.transformations)) {
      scene.of(step)
      switch (typeOf(step)) {
        case 'AddFields':
          for (const field of partsOf(step.fields)) this.add(field, step, { add, mask })
          break
        case 'RemoveFields':
          this.remove(step, drop)
          break
        case 'KeysToLower':
        case 'KeysToSnakeCase':
          break
        case 'FlattenFields':
        case 'DpathFlattenFields':
        case 'KeysReplace':
          scene.open(
            `${typeOf(step)}: fields keep their names and places; nested ones become columns such as outer__inner`,
          )
          break
        default:
          scene.open(
            `the transformation ${textOf(step.class_name) ?? typeOf(step)} is not applied: records stay as the API sends them`,
          )
      }
    }
    if (Object.keys(add).length > 0) made.add = add
    if (drop.length > 0) made.drop = [...new Set(drop)]
    if (Object.keys(mask).length > 0) {
      made.mask = mask
      made.mask_salt = scene.settings.reference({ kind: 'setting', keys: ['mask_salt'], secret: true }, true)
    }
    if (scene.include.size > 0) made.include_from_parent = [...scene.include]
    return made
  }

  private filter(filter: Part, cursor: unknown, made: Record<string, unknown>): void {
    const { scene } = this
    const condition = textOf(filter.condition)
    if (typeOf(filter) !== 'RecordFilter') {
      scene.stop(`its records are filtered by a class of its own (${textOf(filter.class_name) ?? '?'})`, 'filter')
      return
    }
    if (condition === undefined || condition.trim() === '') return
    const field = /parameters(\.cursor_field|\[(['"])cursor_field\2\])/.test(condition)
    const isOfCursor = cursor !== undefined && (field || condition.includes(String(cursor)))
    if (isOfCursor && /stream_(interval|slice|state)/.test(condition)) return
    const expression = scene.attempt('the filter of records', condition, () =>
      compiled(celCondition(condition, scene.of(filter))),
    )
    if (expression === 'true') scene.assume('every record is taken: the filter asks for options that need not be set')
    else if (expression !== undefined) made.filter = expression
  }

  private add(field: Part, step: Part, { add, mask }: ShapeMade): void {
    const { scene } = this
    const path = (Array.isArray(field.path) ? field.path : [field.path]).map(key => {
      const value = isTemplate(String(key)) ? scene.of(step).value(key, 'the name of a field', false) : known(key)
      return value?.kind === 'known' ? String(value.value) : undefined
    })
    const [name, ...deeper] = path
    const isKey =
      [keyOf(this.stream.primary_key)].flat().includes(name ?? '') ||
      partOf(this.stream.incremental_sync)?.cursor_field === name
    if (name === undefined || deeper.length > 0) {
      scene.open(`the new field ${path.join('.')} lies in another one`)
      return
    }
    if (READING_TIME.test(textOf(field.value) ?? '') && partOf(this.stream.incremental_sync)?.cursor_field !== name) {
      scene.open(`the new field ${name} is the time of reading, and is left out: \`_dlt_load_id\` says when a row came`)
      scene.unsaidFields.add(name)
      this.readingTimes.add(name)
      return
    }
    const hashed = HASHED_FIELD.exec(textOf(field.value) ?? '')?.[1]
    if (hashed !== undefined) {
      mask[hashed] = 'hash'
      if (hashed !== name) add[name] = compiled(`record.?${hashed}.orValue(null)`)
      scene.assume(
        `the field ${hashed} is hashed with a salt of your own, the secret mask_salt: hashes differ from those of Airbyte`,
        'mask',
      )
      return
    }
    if (/\|\s*hash\b/.test(textOf(field.value) ?? '')) {
      scene.stop(`the new field ${name} is a hash of several values, which would be loaded in clear`)
      return
    }
    const added = scene.attempt(`the new field ${name}`, field.value, () => this.added(field, step), isKey)
    if (added === undefined) scene.unsaidFields.add(name)
    else add[name] = added
  }

  /** The time of reading changes with every run, so it cannot be part of a key. */
  private withoutReadingTimes(key: string | readonly string[] | undefined): string | readonly string[] | undefined {
    const columns = key === undefined ? [] : [key].flat()
    const left = columns.filter(column => !this.readingTimes.has(column))
    if (left.length === columns.length) return key
    this.scene.open('its primary key is the time of reading, which is another one each time: it has none')
    return left.length < 2 ? left[0] : left
  }

  /** The CEL expression of an added field. Throws Unsayable. */
  private added(field: Part, step: Part): string {
    if (step.condition !== undefined && step.condition !== '') throw new Unsayable('it is added under a condition')
    const text = field.value
    const expression =
      typeof text === 'string'
        ? celOf(text, this.scene.of({ $parameters: { ...parametersOf(step), ...parametersOf(field) } }))
        : JSON.stringify(text ?? null)
    return compiled(
      textOf(field.value_type) === 'string' && !expression.startsWith('"')
        ? `(${expression} == null ? dyn(null) : dyn(string(${expression})))`
        : expression,
    )
  }

  private remove(step: Part, drop: string[]): void {
    const { scene } = this
    if (step.condition !== undefined && step.condition !== '') {
      scene.open('fields are removed under a condition; they stay')
      return
    }
    for (const pointer of Array.isArray(step.field_pointers) ? step.field_pointers : []) {
      const given = (Array.isArray(pointer) ? pointer : [pointer]).map(String)
      // `drop` leads through lists of itself.
      const keys = given.filter((key, index) => key !== '*' || index === 0 || index === given.length - 1)
      if (keys.length < given.length)
        scene.assume(`${given.join('.')}: fields of the elements of a list; those of the members of an object stay`)
      if (keys.some(key => /[*?[\]]/.test(key))) scene.open(`fields such as ${keys.join('.')} stay`)
      else drop.push(jsonPath(keys))
    }
  }
}

/** The options that an authenticator sends. Of several ways to sign in, nobody knows which one is set. */
function signingOptions(authenticator: unknown): ReadonlySet<string> {
  const part = partOf(authenticator)
  if (part === undefined || typeOf(part) === 'SelectiveAuthenticator') return new Set()
  return new Set(Object.values(part).flatMap(value => optionOf(value)?.join('.') ?? []))
}

interface ShapeMade {
  readonly add: Record<string, string>
  readonly mask: Record<string, string>
}

/** A template whose value is the hash of one field of the record. */
const HASHED_FIELD = /^\s*\{\{\s*record(?:\.|\[['"])([A-Za-z_]\w*)(?:['"]\])?\s*\|\s*hash(?:\([^()]*\))?\s*\}\}\s*$/

/** A template whose value is the time of reading and nothing of the record. */
const READING_TIME = /^\s*\{\{\s*(?:now_utc|today_utc)\(\)(?:\s*\.\s*\w+\([^(){}]*\))?\s*\}\}\s*$/

/** A text of a JSON body, which Airbyte reads as Python does: `'10'` is a number, `'["a"]'` a list. */
function asPythonReads(value: Value): Value {
  if (value.kind !== 'known' || typeof value.value !== 'string') return value
  return known(containerOf(value.value) ?? literalOf(value.value))
}

/** Returns the expression. Throws Unsayable if a document with it would be refused. */
function compiled(expression: string): string {
  try {
    compileExpression(expression)
    return expression
  } catch (error) {
    throw new Unsayable((error as Error).message)
  }
}

function put(request: RequestMade, { into, name }: RequestPlace, value: number | string): void {
  if (into === 'request_parameter') request.params[name] = value
  else if (into === 'header') request.headers[name] = String(value)
  else if (into === 'body_json' || into === 'body_data') {
    const key = into === 'body_json' ? 'json' : 'data'
    const body = { ...(partOf(request[key]) ?? {}) }
    let at: Record<string, unknown> = body
    const keys = name.split('.')
    for (const step of keys.slice(0, -1)) {
      const next = { ...(partOf(at[step]) ?? {}) }
      at[step] = next
      at = next
    }
    at[keys.at(-1) ?? name] = value
    request[key] = body
  }
}

function filled(key: string, map: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.keys(map).length === 0 ? {} : { [key]: map }
}

function unmarked(value: unknown, marks: readonly string[]): unknown {
  if (typeof value === 'string') {
    return escaped(value).replace(/\uE000(\d+)\uE001/g, (_all, index: string) => marks[Number(index)] ?? '')
  }
  if (Array.isArray(value)) return value.map(item => unmarked(item, marks))
  const part = partOf(value)
  return part === undefined
    ? value
    : Object.fromEntries(Object.entries(part).map(([key, item]) => [key, unmarked(item, marks)]))
}

/** Joins base, address and path. */
function joinedAddress([base = '', url = '', path = '']: readonly string[]): string | undefined {
  const start = base === '' ? url : base
  if (/^https?:\/\//.test(path) || start === '') return path === '' ? undefined : path
  if (path === '') return start
  return path.startsWith('?') ? `${start}${path}` : `${start.replace(/\/+$/, '')}/${path.replace(/^\/+/, '')}`
}
