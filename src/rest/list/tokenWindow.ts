import type { IncrementalWindow } from '../../model/source.js'
import type { ListOutline } from './listReader.js'

/** Whether this run goes on from a sync token. */
export function hasToken({ resource }: Pick<ListOutline, 'resource'>, window: IncrementalWindow | undefined): boolean {
  return resource.incremental?.token !== undefined && window?.lastValue != null
}
