import { bareName } from '../../../rest/evidence/pagingHints.js'
import type { SchemaShape, Schemas } from './openapiSchemas.js'
import type { Parameter } from './operations.js'

const MOST_COLUMNS = 200

/**
 * Types that the first value may not show: 1 may be followed by 1.5, and a time is text. Types that it shows are left
 * to the data.
 */
export function columnHints(record: SchemaShape, schemas: Schemas): Record<string, { readonly data_type: string }> {
  const columns: Record<string, { data_type: string }> = {}
  for (const [name, schema] of [...record.properties].slice(0, MOST_COLUMNS)) {
    if (name === '' || name === '__proto__') continue
    const type = dataType(schemas.shape(schema))
    if (type !== undefined) columns[name] = { data_type: type }
  }
  return columns
}

function dataType({ kind, type, format }: SchemaShape): string | undefined {
  if (kind !== 'scalar') return undefined
  if (type === 'string') {
    if (format === 'date-time') return 'timestamp'
    if (format === 'date') return 'date'
    return format === 'decimal' ? 'decimal' : undefined
  }
  if (type === 'number') {
    if (format === 'decimal') return 'decimal'
    return /^u?int/.test(format ?? '') ? undefined : 'double'
  }
  return undefined
}

/** The field that tells records apart, and how sure that is. */
export function primaryKey(
  record: SchemaShape,
  noun: string,
  itemParameters: readonly string[],
  schemas: Schemas,
): { readonly field: string; readonly why: string } | undefined {
  const usable = (name: string | undefined): name is string => {
    if (name === undefined || !/^[A-Za-z_]\w*$/.test(name)) return false
    const shape = schemas.shape(record.properties.get(name))
    return (
      shape.kind === 'scalar' &&
      (shape.type === 'string' ||
        shape.type === 'integer' ||
        (shape.type === 'number' && shape.format === undefined) ||
        shape.type === undefined)
    )
  }
  const byName = (wanted: string) =>
    [...record.properties.keys()].find(name => bareName(name) === wanted && usable(name))
  const id = ['id', 'Id', 'ID', '_id'].find(usable)
  if (id !== undefined) return { field: id, why: 'the field of this name' }
  for (const parameter of itemParameters) {
    const match = fieldOf(parameter, noun, record, schemas)
    if (match !== undefined && !match.field.includes('.') && usable(match.field))
      return { field: match.field, why: `the path of one record names it ({${parameter}})` }
  }
  const one = bareName(noun)
  const field = [`${one}id`, 'uuid', 'guid', 'gid', 'sid', `${one}uuid`, `${one}key`, `${one}number`]
    .map(byName)
    .find(name => name !== undefined)
  return field === undefined ? nestedKey(record, one, schemas) : { field, why: 'the field of this name' }
}

/** Kubernetes keeps what tells records apart in `metadata`, Contentful in `sys`; some lists wrap each record, as `node`. */
function nestedKey(
  record: SchemaShape,
  noun: string,
  schemas: Schemas,
): { readonly field: string; readonly why: string } | undefined {
  for (const [name, schema] of [...record.properties].slice(0, MOST_COLUMNS)) {
    const isOnly = record.properties.size === 1 && (bareName(name) === noun || /^(?:data|item)$/i.test(name))
    const isHolder = isOnly || /^(?:_?meta(?:data)?|sys|node)$/i.test(name)
    const inner = isHolder && /^[A-Za-z_]\w*$/.test(name) ? schemas.shape(schema) : undefined
    const key = ['uid', 'uuid', 'id', 'Id'].find(one => {
      const { kind, type } = schemas.shape(inner?.properties.get(one))
      return kind === 'scalar' && (type === 'string' || type === 'integer')
    })
    if (key !== undefined) return { field: `${name}__${key}`, why: `${key} of ${name} in each record` }
  }
  return undefined
}

/** The field of a record that a parameter of a path takes: `id` for `user_id`. */
export function fieldOf(
  parameter: string,
  noun: string,
  record: SchemaShape,
  schemas: Schemas,
): { readonly field: string; readonly isSure: boolean } | undefined {
  const fields = new Map<string, string>()
  for (const [name, schema] of record.properties) {
    const { kind } = schemas.shape(schema)
    if (/^[A-Za-z_]\w*$/.test(name) && (kind === 'scalar' || kind === 'unknown')) fields.set(bareName(name), name)
  }
  const metadata = schemas.shape(record.properties.get('metadata'))
  // A path that names a thing twice counts: `{event-id}` and `{event-id1}`.
  const written = bareName(parameter)
  const wanted = fields.has(written) ? written : written.replace(/(?<=(?:id|key|name))\d$/, '')
  const one = bareName(noun)
  const named = fields.get(wanted)
  if (named !== undefined) return { field: named, isSure: true }
  // A person's name is not a user name.
  if (/^(?:user|login)name$/.test(wanted)) {
    const account = ['login', 'handle', 'screenname', 'slug'].find(name => fields.has(name))
    if (account !== undefined) return { field: fields.get(account) ?? account, isSure: true }
  }
  const rest = one !== '' && wanted.startsWith(one) ? wanted.slice(one.length) : undefined
  const ofRest = rest === undefined ? undefined : fields.get(rest)
  if (ofRest !== undefined) return { field: ofRest, isSure: true }
  const ending = /(id|uuid|guid|gid|slug|key|name|number|code|sid|login|username|symbol|iri)$/.exec(wanted)?.[1]
  const byEnding = ending === undefined ? undefined : fields.get(ending)
  if (byEnding !== undefined) return { field: byEnding, isSure: rest !== undefined }
  const either = /(?:^|[a-z])(?:(id|key|name|slug|uuid)or\w+|\w*or(id|key|name|slug|uuid))$/.exec(wanted)
  const byEither = fields.get(either?.[1] ?? either?.[2] ?? '')
  if (byEither !== undefined) return { field: byEither, isSure: true }
  // Kubernetes keeps names in `metadata`.
  if (metadata.properties.has('name') && (wanted === 'name' || wanted === one))
    return { field: 'metadata.name', isSure: true }
  if (wanted === one || wanted === 'id' || ending === 'id' || ending === 'uuid' || ending === 'guid') {
    const usual = ['id', `${one}id`, 'uuid', 'guid', 'gid', 'sid', 'key', 'slug', 'name']
      .map(name => fields.get(name))
      .find(name => name !== undefined)
    if (usual !== undefined) return { field: usual, isSure: false }
  }
  return undefined
}

/** A field with the moment of the last change, and the parameter that seems to begin there. */
export function cursorCandidate(
  record: SchemaShape,
  parameters: readonly Parameter[],
  schemas: Schemas,
): { readonly field: string; readonly parameter: string } | undefined {
  const since = parameters.find(({ name, in: place }) => place === 'query' && SINCE.test(bareName(name)))
  if (since === undefined) return undefined
  const fields = [...record.properties].filter(([name, schema]) => {
    const { kind } = schemas.shape(schema)
    return CHANGED.test(bareName(name)) && (kind === 'scalar' || kind === 'unknown')
  })
  const [field] = fields[0] ?? []
  return field === undefined ? undefined : { field, parameter: since.name }
}

const SINCE =
  /^(?:since|(?:updated|modified|changed|lastmodified|lastupdated|updatedat|modifiedat|update|updatetime|dateupdated|datemodified|lastchanged)(?:at)?(?:since|after|from|gte?|min|start|datemin)?|min(?:updated|modified)(?:at|date)?|(?:start|from)(?:updated|modified)\w*|ifmodifiedsince|startmodifieddate)$/
const CHANGED =
  /^(?:last)?(?:updated|modified|changed|update|modification|edited)(?:at|on|time|date|datetime|timestamp|timeutc)?$|^(?:date|time)(?:updated|modified)$|^(?:last)(?:update|modification|change)\w*$/
