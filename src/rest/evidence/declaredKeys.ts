import type { TableHints } from '../../model/source.js'
import type { EndpointResource } from '../document/model.js'
import { includedName } from '../list/answer/includeParent.js'

/**
 * The fields that tell the records of one list apart, as the document says: the primary key, of the resource or of its
 * columns, without what all records of a list get from their parent. Undefined if there are none.
 */
export function declaredKeys({ hints, includeFromParent, parent }: EndpointResource): readonly string[] | undefined {
  const included = includeFromParent.map(key => includedName(parent ?? '', key))
  const own = keyNames(hints).filter(name => !included.includes(name))
  return own.length === 0 ? undefined : own
}

/** The fields of the primary key, of the resource or of its columns. */
export function keyNames({ primaryKey, columns = [] }: TableHints): readonly string[] {
  return primaryKey ?? columns.filter(column => column.primary_key === true).map(({ name }) => name)
}
