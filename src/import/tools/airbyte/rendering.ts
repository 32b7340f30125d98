import type { ImportNote } from '../../imported.js'
import { type Names, type Root, SettingInside, templateValue, Unsayable, type Value } from './jinja.js'
import { classNamed } from './knownClasses.js'
import { type Part, partOf, typeOf } from './manifestParts.js'
import type { ManifestSettings } from './settings.js'

export type Key = string | number

/** The value of a key of a slice: a field of the parent's record, or a constant. */
export type SliceField = { readonly parent: RenderedResource; readonly field: string } | { readonly value: Value }

/** One way to request a stream: for the records of a parent, or for a constant. */
export interface Slice {
  /** The end of the resource's name, if a stream has several resources. */
  readonly suffix: string
  readonly fields: ReadonlyMap<string, SliceField>
  readonly extra: ReadonlyMap<string, SliceField>
  /** The slice of the parent, for `parent_slice`. */
  readonly above?: Slice | undefined
}

export const NO_SLICE: Slice = { suffix: '', fields: new Map(), extra: new Map() }

/** A resource under construction. */
export interface RenderedResource {
  readonly name: string
  readonly slice: Slice
  readonly include: Set<string>
  readonly body: Record<string, unknown>
  /** Fields that the manifest adds to records, but the document cannot compute. */
  readonly unsaid: ReadonlySet<string>
  /** What the user has to decide before a run. */
  readonly stops: string[]
}

/** Notes about one stream, and the meaning of its expressions. */
export class Scene implements Names {
  slice: Slice = NO_SLICE
  /** Fields of the parent's record that are added to the records. */
  readonly include = new Set<string>()
  readonly notes: ImportNote[] = []
  /** Fields that the manifest adds to records, but the document cannot compute. */
  readonly unsaidFields = new Set<string>()
  /** The formats in which requests send times of the window. */
  readonly formats = new Set<string>()
  asksEnd = false
  /** Whether the stream has an incremental window. */
  hasWindow = false
  parameters: Part = {}

  readonly settings: ManifestSettings
  readonly resource: string
  readonly path: string

  constructor(settings: ManifestSettings, resource: string, path: string) {
    this.settings = settings
    this.resource = resource
    this.path = path
  }

  get stops(): string[] {
    return this.notes.filter(note => note.stopsRun).map(({ text }) => text)
  }

  of(part: Part | undefined): this {
    this.parameters = partOf(part?.$parameters) ?? {}
    return this
  }

  option(keys: readonly string[], isNeeded: boolean): Value | undefined {
    return this.settings.option(keys, isNeeded)
  }

  assume(text: string, target?: string): void {
    this.note('assumed', text, target)
  }

  /** Notes something that the document leaves out. A run is right without it. */
  open(text: string, target?: string): void {
    this.note('open', text, target)
  }

  /** Notes something without which a run would be wrong or impossible. */
  stop(text: string, target?: string): void {
    this.note('open', text, target, true)
  }

  /** Notes what the code of a class does, if the component was made of one. */
  told(part: Part | undefined): Part | undefined {
    const known = part?.class_name === undefined || /^Custom/.test(typeOf(part) ?? '') ? undefined : classNamed(part)
    if (known !== undefined) this.assume(`for the class ${known.name}: ${known.does}`)
    return part
  }

  private note(kind: ImportNote['kind'], text: string, target?: string, stopsRun?: boolean): void {
    if (this.notes.some(note => note.text === text)) return
    this.notes.push({
      kind,
      text,
      resource: this.resource,
      place: { path: this.path },
      ...(target !== undefined && { target: `source.resources[${JSON.stringify(this.resource)}].${target}` }),
      ...(stopsRun === true && { stopsRun }),
    })
  }

  /** The value of a template. If a document cannot express it, notes that and returns undefined. */
  value(text: unknown, what: string, stops = true): Value | undefined {
    return this.attempt(what, text, () => templateValue(text, this), stops)
  }

  /** The result of `work`. If it throws Unsayable, notes `given` as not expressible and returns undefined. */
  attempt<T>(what: string, given: unknown, work: () => T, stops = true): T | undefined {
    try {
      return work()
    } catch (error) {
      if (!(error instanceof Unsayable)) throw error
      this.unsaid(what, given, error, stops)
      return undefined
    }
  }

  unsaid(what: string, text: unknown, error: Error, stops = true): void {
    const shown =
      typeof text === 'string' ? text.replace(/\s+/g, ' ').trim().slice(0, 200) : JSON.stringify(text)?.slice(0, 200)
    this[stops ? 'stop' : 'open'](`${what}: ${error.message}, in \`${shown}\``)
  }

  /** A value as text of the document, with references and placeholders. Undefined if empty. Throws Unsayable. */
  text(value: Value, isSigned = false): string | undefined {
    switch (value.kind) {
      case 'known':
        if (value.value == null) return undefined
        if (typeof value.value === 'object') return escaped(listText(value.value, this.settings, isSigned))
        return escaped(pythonText(value.value))
      case 'setting':
        return this.settings.reference(value, isSigned)
      case 'joined':
        return value.parts.map(part => this.text(part, isSigned) ?? 'None').join('')
      case 'time':
        return this.moment(value.of, value.format)
      case 'path':
        return this.place(value.root, value.keys)
    }
  }

  /** Whether a value comes from the state of a stream without state. Airbyte leaves out a field that has only this. */
  isStateOfNone(value: Value): boolean {
    return value.kind === 'path' && value.root === 'state' && value.keys.length > 0 && !this.hasWindow
  }

  /** A value in a JSON body. Numbers and booleans keep their types. Throws Unsayable. */
  json(value: Value): unknown {
    if (value.kind !== 'known') return this.text(value)
    return jsonOf(value.value, this.settings)
  }

  private moment(of: Value, format: string | undefined): string {
    if (of.kind === 'path' && of.root === 'interval') {
      const named = format === undefined ? undefined : formatOf(format)
      if (named !== undefined) this.formats.add(named)
      return this.place('interval', of.keys)
    }
    if (of.kind === 'setting' && format !== 'duration') {
      const unit = format === undefined ? undefined : UNITS[format]
      const reference = this.settings.reference(of, false).replace(/\}$/, `${unit ?? ''}}`)
      if (format !== undefined && unit === undefined) this.assume(`${reference} is written as ${format}`)
      return reference
    }
    if (of.kind === 'path' && of.root === 'now') {
      const [days = 0] = of.keys
      if (this.hasWindow && (days === 0 || days === 'today')) {
        if (format !== undefined) this.formats.add(formatOf(format))
        return this.place('interval', ['end_time'])
      }
      if (typeof days === 'number' || days === 'today') return this.momentOfRun(days, format)
    }
    throw new Unsayable('a moment that is known during the run only')
  }

  /** A document does not know the time of the run, so a variable gives it. */
  private momentOfRun(days: number | 'today', format: string | undefined): string {
    const form = format ?? (days === 'today' ? '%Y-%m-%d' : '%Y-%m-%d %H:%M:%S%z')
    const shift = typeof days === 'number' && days !== 0 ? `_${days < 0 ? 'MINUS' : 'PLUS'}_${Math.abs(days)}` : ''
    const name = `${form === '%Y-%m-%d' ? 'TODAY' : `NOW${UNITS[form] ?? ''}`}${shift}`
    const known = this.settings.momentsOfRun.get(name) ?? form
    if (known !== form) throw new Unsayable(`the moment of the run, as ${form} here and as ${known} elsewhere`)
    this.settings.momentsOfRun.set(name, form)
    const what = shift === '' ? 'the moment of the run' : `${Math.abs(Number(days))} days from the moment of the run`
    this.assume(`\${env.${name}} is ${what}, written as ${form}: set it for each run`)
    return `\${env.${name}}`
  }

  private place(root: Root, keys: readonly Key[]): string {
    if (root === 'interval') {
      const [key] = keys
      if (keys.length !== 1 || !this.hasWindow) throw new Unsayable('the window of time of a stream that has none')
      if (key === 'end_time') this.asksEnd = true
      return key === 'end_time' ? '{incremental.end_value}' : '{incremental.start_value}'
    }
    // The last value that was read, or the initial one. The window begins there.
    if (root === 'state' && keys.length === 1 && this.hasWindow) return '{incremental.start_value}'
    if (root === 'now') return this.moment({ kind: 'path', root, keys }, undefined)
    if (root === 'partition' || root === 'extra') {
      const { field, rest } = this.sliceField(root, keys)
      if ('value' in field) {
        if (rest.length > 0) throw new Unsayable('a part of a value of the slice')
        return this.text(field.value) ?? ''
      }
      return `{resources.${field.parent.name}.${jsonPath([field.field, ...rest], true)}}`
    }
    throw new Unsayable(`\`${ROOT_NAMES[root] ?? root}\` in a request`)
  }

  /** The field of a slice at these keys. */
  sliceField(root: Root, keys: readonly Key[]): { readonly field: SliceField; readonly rest: readonly Key[] } {
    let slice: Slice = this.slice
    const climbed: RenderedResource[] = []
    let rest = keys
    while (rest[0] === 'parent_slice') {
      const direct = slice.fields.get('parent_slice')
      if (direct !== undefined) break
      const [first] = [...slice.fields.values()].filter(field => 'parent' in field)
      if (slice.above === undefined || first === undefined || !('parent' in first))
        throw new Unsayable('a slice above all')
      climbed.push(first.parent)
      slice = slice.above
      rest = rest.slice(1)
    }
    const [key, ...deeper] = rest
    const fields = root === 'extra' ? slice.extra : slice.fields
    const found = fields.get(String(key)) ?? slice.extra.get(String(key))
    if (found === undefined) throw new Unsayable(`the slice has no \`${keys.join('.')}\``)
    // Each parent passes the value on to its children.
    let field = found
    for (const child of climbed.toReversed()) {
      if ('value' in field) break
      field = { parent: child, field: included(child.include, field) }
    }
    return { field, rest: deeper }
  }

  /** The CEL expression for a value of the slice. Its field is added to the records. */
  sliceValue(root: Root, keys: readonly Key[]): string {
    if (root === 'interval' || root === 'state') throw new Unsayable('the window of time in an expression')
    const { field, rest } = this.sliceField(root, keys)
    if ('value' in field) {
      if (field.value.kind !== 'known' || rest.length > 0) throw new Unsayable('an option of the user in an expression')
      return JSON.stringify(field.value.value)
    }
    const member = included(this.include, field)
    return `record[${JSON.stringify(member)}]${rest.map(key => `[?${JSON.stringify(key)}]`).join('')}${rest.length > 0 ? '.orValue(null)' : ''}`
  }
}

/** Includes a field of the parent, and returns its name in the child's records. Throws Unsayable. */
export function included(
  include: Set<string>,
  { parent, field }: Extract<SliceField, { parent: RenderedResource }>,
): string {
  if (!/^[^.[\]]+$/.test(field))
    throw new Unsayable(`the field \`${field}\`, which lies deeper in the record of the parent`)
  include.add(field)
  return `_${parent.name}_${field}`
}

const ROOT_NAMES: Partial<Record<Root, string>> = {
  token: 'next_page_token',
  state: 'stream_state',
  partition: 'stream_partition',
}

/** Escapes text that has neither placeholders nor references. */
export function escaped(text: string): string {
  return text.replace(/[{}]/g, brace => brace + brace).replace(/\$\{\{/g, '$$${{')
}

function pythonText(value: unknown): string {
  if (value === true) return 'True'
  if (value === false) return 'False'
  return String(value)
}

function listText(value: unknown, settings: ManifestSettings, isSigned: boolean): string {
  if (Array.isArray(value) && value.length === 1 && value[0] instanceof SettingInside) {
    return settings.reference(value[0].setting, isSigned)
  }
  throw new Unsayable('a list in a text')
}

function jsonOf(value: unknown, settings: ManifestSettings): unknown {
  if (value instanceof SettingInside) return settings.reference(value.setting, false)
  if (typeof value === 'string') return escaped(value)
  if (Array.isArray(value)) return value.map(item => jsonOf(item, settings))
  if (typeof value !== 'object' || value === null) return value ?? null
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, jsonOf(item, settings)]))
}

/** The JSONPath of these keys. Inside a placeholder, braces come in pairs. */
export function jsonPath(keys: readonly Key[], inPlaceholder = false): string {
  let path = ''
  for (const [index, key] of keys.entries()) {
    // In a manifest `*` means the elements of a list or the members of an object.
    const every = index === keys.length - 1 ? '*' : '(*|[*])'
    if (typeof key === 'number') path += `[${key}]`
    else if (key === '*') path += path === '' ? every : `.${every}`
    else if (/^[A-Za-z_][\w-]*$/.test(key)) path += path === '' ? key : `.${key}`
    else {
      if (inPlaceholder && /[{}'"]/.test(key)) throw new Unsayable(`a key such as ${JSON.stringify(key)}`)
      path += `['${key.replace(/[\\']/g, '\\$&')}']`
    }
  }
  return path === '' ? '$' : path
}

/** Time formats that are numbers, with the end of their variables' names. */
const UNITS: Readonly<Record<string, string>> = {
  '%s': '_SECONDS',
  '%ms': '_MS',
  '%epoch_microseconds': '_MICROSECONDS',
}

/** The document's name of a time format. */
export function formatOf(format: string): string {
  const named = NAMED_FORMATS[format]
  if (named !== undefined) return named
  return format.replaceAll('%_ms', '%f').replaceAll('+0000', '%z').replaceAll('+00:00', '%z')
}

const NAMED_FORMATS: Readonly<Record<string, string>> = {
  '%s': 'epoch_seconds',
  '%ms': 'epoch_ms',
  '%epoch_microseconds': 'epoch_us',
  '%s_as_float': 'epoch_seconds',
  '%Y-%m-%dT%H:%M:%SZ': 'iso8601',
  '%Y-%m-%dT%H:%M:%S.%_msZ': 'iso8601',
  '%Y-%m-%dT%H:%M:%S.%fZ': 'iso8601',
}
