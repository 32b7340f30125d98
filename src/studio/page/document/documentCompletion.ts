/** What may stand at a place of a YAML document, by the JSON Schema of pipeline files. */

/** The part of JSON Schema that the schema of pipeline files uses. */
export interface JsonSchema {
  readonly $ref?: string
  readonly $defs?: Readonly<Record<string, JsonSchema>>
  readonly anyOf?: readonly JsonSchema[]
  readonly oneOf?: readonly JsonSchema[]
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly additionalProperties?: boolean | JsonSchema
  readonly items?: JsonSchema
  readonly const?: unknown
  readonly enum?: readonly unknown[]
  readonly description?: string
  readonly type?: string | readonly string[]
}

/** One word that may stand there. */
interface Suggestion {
  readonly word: string
  readonly kind: 'key' | 'value'
  readonly about?: string | undefined
}

/** Where the words go, and which. */
export interface Suggestions {
  /** Column of the first character that is replaced. */
  readonly from: number
  readonly suggestions: readonly Suggestion[]
}

/** A key above the place, with the keys beside it and their plain values. `-` is an element of a list. */
interface Step {
  readonly key: string
  readonly beside: ReadonlyMap<string, string>
}

/** The suggestions at a column of a line of block style YAML. Undefined where nothing is known, as within `{ … }`. */
export function suggestionsAt(
  lines: readonly string[],
  line: number,
  column: number,
  schema: JsonSchema,
): Suggestions | undefined {
  const before = (lines[line] ?? '').slice(0, column)
  const [, indent = '', written = ''] = /^((?:\s|- )*)(.*)$/.exec(before) ?? []
  if (/[{[#'"&|>]/.test(written)) return undefined
  const { path, beside } = placeOf(lines, line, indent.length)
  const here = choices(
    path.reduce((found, step) => found.flatMap(one => within(one, step, schema)), [schema]),
    beside,
    schema,
  )
  const [, key, value] = /^([\w$.-]+):\s+(\S*)$/.exec(written) ?? []
  if (key !== undefined && value !== undefined) {
    const words = here
      .flatMap(one => within(one, { key, beside: new Map() }, schema))
      .flatMap(one => valuesOf(one, schema))
    return { from: column - value.length, suggestions: distinct(words) }
  }
  if (!/^[\w$.-]*$/.test(written)) return undefined
  const keys = here.flatMap(({ properties = {} }) =>
    Object.entries(properties).map(
      ([word, about]): Suggestion => ({ word, kind: 'key', about: aboutOf(about, schema) }),
    ),
  )
  return { from: column - written.length, suggestions: distinct(keys.filter(({ word }) => !beside.has(word))) }
}

/** The keys above a line, outermost first, and the keys of the map in which it is. */
function placeOf(
  lines: readonly string[],
  line: number,
  indent: number,
): { path: Step[]; beside: Map<string, string> } {
  const path: Step[] = []
  let depth = indent
  let beside = besideOf(lines, line, depth)
  const inner = beside
  if (isElement(lines, line, depth)) path.unshift({ key: '-', beside })
  for (let above = line - 1; above >= 0; above -= 1) {
    const parsed = keyOf(lines[above] ?? '')
    if (parsed === undefined || parsed.indent >= depth) continue
    depth = parsed.indent
    beside = besideOf(lines, above, depth)
    path.unshift({ key: parsed.key, beside })
    if (isElement(lines, above, depth)) path.unshift({ key: '-', beside })
  }
  return { path, beside: inner }
}

/** A key of a line, and the column where it begins: behind `- `, that is where the map of the element begins. */
function keyOf(text: string): { readonly indent: number; readonly key: string; readonly value: string } | undefined {
  const [, lead = '', key, value = ''] = /^((?:\s|- )*)([\w$.-]+):(?:\s+(.*))?$/.exec(text.trimEnd()) ?? []
  return key === undefined ? undefined : { indent: lead.length, key, value: value.replace(/^(['"])(.*)\1$/, '$2') }
}

/** The keys of the map that a line at `indent` belongs to, itself left out. */
function besideOf(lines: readonly string[], line: number, indent: number): Map<string, string> {
  const found = new Map<string, string>()
  const look = (start: number, step: 1 | -1): void => {
    for (let at = start; at >= 0 && at < lines.length; at += step) {
      const text = lines[at] ?? ''
      if (text.trim() === '' || text.trimStart().startsWith('#')) continue
      if (step === 1 && beginsElement(text, indent)) return
      const parsed = keyOf(text)
      if (parsed?.indent === indent) found.set(parsed.key, parsed.value)
      else if (leadOf(text) < indent) return
      if (step === -1 && beginsElement(text, indent)) return
    }
  }
  if (!beginsElement(lines[line] ?? '', indent)) look(line - 1, -1)
  look(line + 1, 1)
  return found
}

function leadOf(text: string): number {
  return /^(?:\s|- )*/.exec(text)?.[0].length ?? 0
}

/** Whether a line begins an element of a list whose map is at `indent`. */
function beginsElement(text: string, indent: number): boolean {
  return indent >= 2 && text.slice(indent - 2, indent) === '- ' && leadOf(text) >= indent
}

/** Whether the map at `indent` is an element of a list: the nearest line that opens it begins with `- `. */
function isElement(lines: readonly string[], line: number, indent: number): boolean {
  for (let at = line; at >= 0; at -= 1) {
    const text = lines[at] ?? ''
    if (beginsElement(text, indent)) return true
    if (text.trim() !== '' && at !== line && leadOf(text) < indent) return false
  }
  return false
}

/** The schemas that a schema stands for: those of its references and alternatives. */
function alternatives(schema: JsonSchema, root: JsonSchema): readonly JsonSchema[] {
  const own =
    schema.properties !== undefined || schema.items !== undefined || schema.const !== undefined ? [schema] : []
  const name = schema.$ref?.replace('#/$defs/', '')
  const referred = name === undefined ? undefined : root.$defs?.[name]
  return [
    ...own,
    ...(referred === undefined ? [] : alternatives(referred, root)),
    ...[...(schema.anyOf ?? []), ...(schema.oneOf ?? [])].flatMap(one => alternatives(one, root)),
    ...(own.length === 0 && (schema.enum !== undefined || typeof schema.additionalProperties === 'object')
      ? [schema]
      : []),
  ]
}

/** The schemas below a key, or of the elements of a list. */
function within(schema: JsonSchema, { key, beside }: Step, root: JsonSchema): readonly JsonSchema[] {
  return choices([schema], beside, root).flatMap(one => {
    if (key === '-') return one.items === undefined ? [] : [one.items]
    const property = one.properties?.[key]
    if (property !== undefined) return [property]
    return typeof one.additionalProperties === 'object' ? [one.additionalProperties] : []
  })
}

/** Of several maps, those whose `type` is the one that is written. */
function choices(
  schemas: readonly JsonSchema[],
  beside: ReadonlyMap<string, string>,
  root: JsonSchema,
): readonly JsonSchema[] {
  const all = schemas.flatMap(schema => alternatives(schema, root))
  const written = beside.get('type')
  if (written === undefined) return all
  const fitting = all.filter(({ properties }) => {
    const type = properties?.type
    return type?.const === written || type?.enum?.includes(written) === true
  })
  return fitting.length > 0 ? fitting : all
}

function valuesOf(schema: JsonSchema, root: JsonSchema): readonly Suggestion[] {
  const about = schema.description
  const own = [...(schema.const === undefined ? [] : [schema.const]), ...(schema.enum ?? [])]
  const flags = schema.type === 'boolean' ? [true, false] : []
  const below = [
    ...(schema.anyOf ?? []),
    ...(schema.oneOf ?? []),
    ...(schema.$ref === undefined ? [] : alternatives(schema, root)),
  ]
  return [
    ...[...own, ...flags].map((value): Suggestion => ({ word: String(value), kind: 'value', about })),
    ...below.flatMap(one => (one === schema ? [] : valuesOf(one, root))),
  ]
}

function aboutOf(schema: JsonSchema, root: JsonSchema): string | undefined {
  return (
    schema.description ?? alternatives(schema, root).find(({ description }) => description !== undefined)?.description
  )
}

function distinct(suggestions: readonly Suggestion[]): readonly Suggestion[] {
  return [...new Map(suggestions.map(one => [one.word, one])).values()]
}
