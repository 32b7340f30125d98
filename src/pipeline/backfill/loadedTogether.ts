import type { DispositionHint, Resource, Source } from '../../model/source.js'

/** What the windows of a resource load. */
export interface LoadedTogether {
  /** The resource, and its selected children with theirs. */
  readonly resources: readonly Resource[]
  /**
   * Selected children with a cursor of their own: the window's parents are older than what that cursor has reached.
   */
  readonly leftOut: readonly Resource[]
}

export function loadedTogether(source: Source, resource: Resource): LoadedTogether {
  const children = source.resources.filter(({ parent, selected }) => parent === resource.name && selected)
  const own = children.filter(child => child.incremental !== undefined)
  const parts = children.filter(child => child.incremental === undefined).map(child => loadedTogether(source, child))
  return {
    resources: [resource, ...parts.flatMap(part => part.resources)],
    leftOut: [...own, ...parts.flatMap(part => part.leftOut)],
  }
}

export function dispositionIn({ hints }: Resource): DispositionHint {
  return hints.writeDisposition ?? { disposition: 'append' }
}
