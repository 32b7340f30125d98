/** `sluice/source`, the door for authors of sources: re-exports only. */

export { parseJson } from './json/parse.js'
export { isJsonObject, type JsonObject, type JsonValue } from './json/value.js'
export { stringifyJson } from './json/write.js'
export { DataError, RequestError } from './model/errors.js'
export type { RunEvent } from './model/events.js'
export type { Expectations } from './model/expectations.js'
export type { BodyPlace, RecordedResponse, ResponseIdentity, ResponseJournal } from './model/responses.js'
export type {
  Clock,
  CountedList,
  DeletePolicy,
  DispositionHint,
  ExtractContext,
  IncrementalHint,
  IncrementalWindow,
  ListEnd,
  Page,
  PageMemory,
  ParentChangedHint,
  PartitionHint,
  ProcessingStep,
  Resource,
  ResourceDescription,
  ResourceNotes,
  Source,
  TableHints,
  Unread,
  WindowHint,
} from './model/source.js'
export type { ColumnSchema, ContractMode, SchemaContract } from './schema/schemaTypes.js'
