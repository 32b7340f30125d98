import { included, type Resource, type Slice, type SliceField } from './rendering.js'

/**
 * The slice that several parents give together, where all of them lie in one line: each is a parent, however far up, of
 * the innermost one, or the same list. What the others know is then handed down to the innermost. Undefined for parents
 * that lie beside each other. Throws Unsayable for a field that cannot be handed down.
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

/** The one list that a slice comes of. */
export function parentOf({ fields }: Slice): Resource | undefined {
  const found = new Set([...fields.values()].map(field => ('parent' in field ? field.parent : undefined)))
  const [only] = found
  return found.size === 1 ? only : undefined
}

/** A list, its parent, and so on. */
function lineage(resource: Resource): readonly Resource[] {
  const line: Resource[] = []
  for (let at: Resource | undefined = resource; at !== undefined && !line.includes(at); at = parentOf(at.slice))
    line.push(at)
  return line
}

function handedDown(field: SliceField, line: readonly Resource[]): SliceField {
  if ('value' in field) return field
  return line
    .slice(0, line.indexOf(field.parent))
    .reduceRight<Extract<SliceField, { parent: Resource }>>(
      (above, child) => ({ parent: child, field: included(child.include, above) }),
      field,
    )
}
