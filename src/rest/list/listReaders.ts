import type { Resource } from '../../model/source.js'
import type { ListReader } from './listReader.js'

const readers = new WeakMap<Resource, () => Promise<ListReader>>()

/** Lets others ask the API what the lists of a resource would ask it. */
export function offerReader(resource: Resource, reader: () => Promise<ListReader>): Resource {
  readers.set(resource, reader)
  return resource
}

/** Undefined for resources without requests, and for those of other sources. */
export async function readerOf(resource: Resource): Promise<ListReader | undefined> {
  return readers.get(resource)?.()
}
