import type { IncrementalWindow } from '../../model/source.js'
import type { ListOutline } from './listReader.js'

/** Whether this run goes on from a sync token. */
export function hasToken({ resource }: Pick<ListOutline, 'resource'>, window: IncrementalWindow | undefined): boolean {
  return resource.incremental?.token !== undefined && window?.lastValue != null
}

/**
 * Whether the texts of a list tell what a second reading of it brings: changes since a token, or records since a cursor
 * that replace their rows. A window of the past has no cursor to hold.
 */
export function isReadByText(
  { resource }: Pick<ListOutline, 'resource'>,
  window: IncrementalWindow | undefined,
): boolean {
  const { incremental, hints } = resource
  if (incremental === undefined) return false
  if (incremental.token !== undefined) return window?.lastValue != null
  return hints.writeDisposition?.disposition === 'merge' && window?.endValue == null
}
