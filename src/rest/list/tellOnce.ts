import type { RunEvent } from '../../model/events.js'
import type { ExtractContext, ResourceNotes } from '../../model/source.js'

/** What a list has for telling. */
interface Telling extends Pick<ExtractContext, 'emit'> {
  readonly notes: ResourceNotes
}

/** Emits an event only once in a run, for facts that hold for all lists of the resource. `key` identifies the event. */
export function tellOnce({ notes, emit }: Telling, key: string, event: RunEvent): void {
  if (notes.told.has(key)) return
  notes.told.add(key)
  emit(event)
}
