import type { ListEnd, Page, Resource } from '../model/source.js'

/** The same resource with no more than so many lists, if it has a parent: the lists of the others are left away. */
export function shortened(parents: number): (resource: Resource) => Resource {
  return resource => {
    if (resource.parent === undefined) return resource
    let lists = 0
    return {
      ...resource,
      pages(context) {
        lists++
        return lists > parents ? leftAway(parents) : resource.pages(context)
      },
    }
  }
}

// biome-ignore lint/correctness/useYield: a list without pages
async function* leftAway(parents: number): AsyncGenerator<Page, ListEnd> {
  return { end: 'limited', reason: `only the lists of the first ${parents} parents are recorded` }
}
