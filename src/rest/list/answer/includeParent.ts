import { elements, kindAt, skipSpace } from '../../../json/bytes.js'
import { type JsonObject, numberLiteral } from '../../../json/value.js'
import { stringifyJson } from '../../../json/write.js'
import { DataError, shortened } from '../../../model/errors.js'
import type { EndpointResource } from '../../document/model.js'
import type { Selection } from './selector.js'

/** The member of a child's record that holds a copy of its parent's key. */
export function includedName(parent: string, key: string): string {
  return `_${parent}_${key}`
}

/**
 * Members to add to every record of a child: `_<parent>_<key>` for each key of `include_from_parent`, as UTF-8 text
 * `"name":value,…`. If the parent's record lacks a key, that is a DataError `placeholder`.
 */
export function parentMembers(resource: EndpointResource, parent: JsonObject): Uint8Array | undefined {
  const { includeFromParent, name, path } = resource
  if (includeFromParent.length === 0) return undefined
  const members = includeFromParent.map((key, index) => {
    if (!Object.hasOwn(parent, key)) {
      const keys = Object.keys(parent)
      throw new DataError(
        'placeholder',
        `${path}.include_from_parent[${index}]: a record of ${resource.parent} has no key ${JSON.stringify(key)}; ` +
          (keys.length === 0 ? 'the record is empty' : `its keys are ${shortened(keys.slice(0, 30).join(', '), 500)}`),
        { resource: name, path: `${path}.include_from_parent[${index}]` },
      )
    }
    const value = numberLiteral(parent, key) ?? stringifyJson(parent[key])
    return `${JSON.stringify(includedName(resource.parent ?? '', key))}:${value}`
  })
  return Buffer.from(members.join(','))
}

/** The records with these members appended. They win over existing members with the same name. */
export function withMembers(selection: Selection, members: Uint8Array, resource: EndpointResource): Selection {
  if (selection.count === 0) return selection
  const { records } = selection
  const spans = elements(records, skipSpace(records, 0))
  const output = Buffer.allocUnsafe(records.length + spans.length * (members.length + 1) + 2)
  let at = 0
  for (const [index, { start, end }] of spans.entries()) {
    if (kindAt(records, start) !== 'object') {
      throw new DataError(
        'placeholder',
        `${resource.path}.include_from_parent: record ${index + 1} of a page is not an object, so nothing can be added to it`,
        { resource: resource.name, path: `${resource.path}.include_from_parent` },
      )
    }
    output[at++] = index === 0 ? 0x5b : 0x2c
    output.set(records.subarray(start, end - 1), at)
    at += end - 1 - start
    const isEmpty = skipSpace(records, start + 1) === end - 1
    if (!isEmpty) output[at++] = 0x2c
    output.set(members, at)
    at += members.length
    output[at++] = 0x7d
  }
  output[at++] = 0x5d
  return { ...selection, records: output.subarray(0, at), separators: undefined }
}
