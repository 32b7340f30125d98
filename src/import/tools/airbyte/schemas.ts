import { type Part, partOf, textOf, typeOf } from './manifestParts.js'

/** The primary key of a stream, for the document. */
export function keyOf(given: unknown): string | readonly string[] | undefined {
  const texts = (Array.isArray(given) ? given : [given]).map(key => (Array.isArray(key) ? key.join('.') : textOf(key)))
  const keys = texts.filter(key => key !== undefined && key !== '').map(String)
  if (keys.length === 0 || keys.some(key => key.includes('{{'))) return undefined
  const [only] = keys
  return keys.length === 1 && only !== undefined ? only : keys
}

/** The field names in the schema of a stream. Undefined if it has none. */
export function fieldsOf(loader: unknown): ReadonlySet<string> | undefined {
  const part = Array.isArray(loader) ? partOf(loader[0]) : partOf(loader)
  const names = Object.keys(partOf(partOf(part?.schema)?.properties) ?? {})
  return typeOf(part) === 'InlineSchemaLoader' && names.length > 0 ? new Set(names) : undefined
}

/** Column hints from the JSON schema of a stream. Columns of several types get none. */
export function columnsOf(loader: unknown, _keys: ReadonlySet<string>): Readonly<Record<string, unknown>> {
  const part = Array.isArray(loader) ? partOf(loader[0]) : partOf(loader)
  if (typeOf(part) !== 'InlineSchemaLoader') return {}
  const columns: Record<string, unknown> = {}
  const taken = new Set<string>()
  for (const [name, schema] of Object.entries(partOf(partOf(part?.schema)?.properties) ?? {})) {
    const hint = hintOf(partOf(schema))
    const column = name.replace(/[^A-Za-z\d]+/g, '_').toLowerCase()
    if (hint === undefined || taken.has(column) || !/^[A-Za-z]\w*$/.test(name)) continue
    taken.add(column)
    columns[name] = hint
  }
  return columns
}

function hintOf(schema: Part | undefined): Readonly<Record<string, unknown>> | undefined {
  if (schema === undefined) return undefined
  const types = (Array.isArray(schema.type) ? schema.type : [schema.type]).filter(type => type !== 'null')
  const [type, ...others] = types
  if (others.length > 0) return undefined
  if (type === 'string') {
    if (schema.format === 'date-time')
      return {
        data_type: 'timestamp',
        ...(schema.airbyte_type === 'timestamp_without_timezone' && { timezone: false }),
      }
    if (schema.format === 'date') return { data_type: 'date' }
    return { data_type: 'text' }
  }
  if (type === 'integer') return { data_type: 'bigint' }
  if (type === 'number') return { data_type: schema.airbyte_type === 'integer' ? 'bigint' : 'double' }
  if (type === 'boolean') return { data_type: 'bool' }
  return undefined
}
