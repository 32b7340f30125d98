import { included, type RenderedResource, type Slice, type SliceField } from './rendering.js'

/**
 * The slice of several parents, if each of them is an ancestor of the innermost one, or the same list. The fields of the
 * others are then passed down to the innermost one. Undefined for parents that are not ancestors of each other. Throws
 * Unsayable if a field cannot be passed down.
 */
export function nestedSlice(slices: readonly Slice[]): Slice | undefined {
  const parents = slices.map(parentOf)
  for (const [index, innermost] of slices.entries()) {
    const parent = parents[index]
    if (parent === undefined) return undefined
    const line = lineage(parent)
    if (!parents.every(other => other !== undefined && line.includes(other))) continue
    const handed = (fields: ReadonlyMap<string, SliceField>) =>
      [...fields].map(([name, field]) => [name, handedDown(field, line)] as const)
    return {
      ...innermost,
      fields: new Map(slices.flatMap(({ fields }) => handed(fields))),
      extra: new Map(slices.flatMap(({ extra }) => handed(extra))),
    }
  }
  return undefined
}

/** The list that a slice comes from, if it is only one. */
export function parentOf({ fields }: Slice): RenderedResource | undefined {
  const found = new Set([...fields.values()].map(field => ('parent' in field ? field.parent : undefined)))
  const [only] = found
  return found.size === 1 ? only : undefined
}

/** A list, its parent, and so on. */
function lineage(resource: RenderedResource): readonly RenderedResource[] {
  const line: RenderedResource[] = []
  for (let at: RenderedResource | undefined = resource; at !== undefined && !line.includes(at); at = parentOf(at.slice))
    line.push(at)
  return line
}

function handedDown(field: SliceField, line: readonly RenderedResource[]): SliceField {
  if ('value' in field) return field
  return line
    .slice(0, line.indexOf(field.parent))
    .reduceRight<Extract<SliceField, { parent: RenderedResource }>>(
      (above, child) => ({ parent: child, field: included(child.include, above) }),
      field,
    )
}
