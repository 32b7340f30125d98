import { elements, skipSpace, valueAt } from '../../json/bytes.js'
import { compiledPath } from '../../json/path.js'
import { isJsonObject, numberLiteral } from '../../json/value.js'
import type { RecordField } from '../api.js'
import type { Selection } from './selector.js'

/** The first match of a path in each record of a page, in order. A number's text has the digits as sent. */
export function fieldsOf({ records, count }: Selection, path: string): readonly (RecordField | undefined)[] {
  if (count === 0) return []
  const compiled = compiledPath(path)
  return elements(records, skipSpace(records, 0)).map(span => {
    const record = valueAt(records, span)
    if (isJsonObject(record) && Object.hasOwn(record, path)) return fieldAt(record, path)
    const [match] = compiled.find(record)
    if (match === undefined) return undefined
    const { container, key, value } = match
    if (container !== undefined && key !== undefined) return fieldAt(container, key)
    return { value, text: String(value) }
  })
}

/** The names of the members of a record of a page. */
export function namesOf({ records, count }: Selection, index: number): readonly string[] {
  const span = count === 0 ? undefined : elements(records, skipSpace(records, 0))[index]
  const record = span === undefined ? undefined : valueAt(records, span)
  return isJsonObject(record) ? Object.keys(record) : []
}

function fieldAt(container: object, key: string | number): RecordField {
  const value = (container as Readonly<Record<string | number, RecordField['value']>>)[key] ?? null
  return { value, text: numberLiteral(container, key) ?? String(value) }
}
