import { z } from 'zod'
import type { JsonObject } from '../../../json/value.js'
import type { Transport } from '../../api.js'
import type { RecordsFunction } from '../model.js'
import { endpoint, retry } from './endpointKeys.js'
import { nestedHints, resourceTableName, tableHints } from './hintKeys.js'
import { count, functionOf, jsonObject, key, name, required, secretValue } from './pieces.js'
import { auth, paginator } from './variants.js'

/**
 * Declares every key of a `rest_api` document once. The checker, the types (`configTypes.ts`), the JSON Schema and
 * `docs/config.md` are made from it. Names and meanings are dlt's if dlt has the key.
 */

const rateLimit = z.strictObject({
  requests: key(count, 'Requests started in any such interval.'),
  per: key(z.number().positive(), { description: 'Length of the interval in seconds.', default: 1 }),
  max_concurrency: key(count, 'Requests in flight.'),
})

const client = z.strictObject({
  base_url: required(z.string(), {
    description: 'What relative paths are appended to; may be empty when every path is absolute.',
    examples: ['https://api.example.com/v1/'],
  }),
  headers: key(z.record(z.string(), z.union([z.string(), secretValue])), 'Headers of every request.'),
  auth: key(auth, 'Authentication of every request to `base_url` and `allowed_hosts`.'),
  paginator: key(paginator, { description: 'Paginator of every endpoint that has none.', default: 'auto' }),
  allowed_hosts: key(z.array(name), {
    description: 'Other hosts or origins that may receive credentials and configured headers.',
    examples: [['files.example.com', 'http://localhost:8080']],
  }),
  retry: key(retry, 'When and how often a request is sent again.'),
  concurrency: key(count, 'Most requests in flight; without it Sluice adapts.'),
  rate_limit: key(rateLimit, 'Limits that the API states.'),
  transport: key(
    functionOf<Transport>('a function that sends a request', 'Transport'),
    'TypeScript: sends requests in place of Sluice.',
  ),
})

const recordFunction = <Result>(result: string) =>
  functionOf<(record: JsonObject) => Result>('a function of a record', `(record: JsonObject) => ${result}`)

const processingStep = z.strictObject({
  filter: key(recordFunction<boolean>('boolean'), 'Keeps records for which it returns true.'),
  map: key(recordFunction<JsonObject>('JsonObject'), 'Replaces a record.'),
  yield_map: key(recordFunction<Iterable<JsonObject>>('Iterable<JsonObject>'), 'Replaces a record by several.'),
})

const recordsFunction = functionOf<RecordsFunction>('a function that yields records', 'RecordsFunction')

const resourceKeys = {
  endpoint: key(z.union([z.string(), endpoint]), 'Where the records are; a text is its `path`.'),
  records: key(z.union([z.array(jsonObject), recordsFunction]), {
    description: 'The records themselves, or in TypeScript a generator of them, in place of `endpoint`.',
    examples: [[{ id: 'eu' }, { id: 'us' }]],
  }),
  include_from_parent: key(z.array(name), 'Keys of the parent’s record, each copied into the child as `_parent_key`.'),
  processing_steps: key(z.array(processingStep), 'TypeScript: functions that see each record, in order.'),
  parallelized: key(
    z.boolean(),
    'Accepted, as dlt has it, and without effect: lists are read in parallel in any case; `--concurrency` and `client.concurrency` bound it.',
  ),
  selected: key(z.boolean(), {
    description: 'Whether its records are loaded; if not, they are read only for its children.',
    default: true,
  }),
  table_name: key(resourceTableName, 'Name of its table; default: the name of the resource.'),
  ...tableHints,
  nested_hints: key(nestedHints, 'Hints of nested tables, by path under the resource.'),
  deletes: key(z.enum(['soft', 'hard', 'with_parent']), {
    description:
      'What becomes of rows that a complete listing no longer has: marked, or removed; with `with_parent`, which needs the primary key of the parent in `include_from_parent`, of rows whose parent’s row goes. Needs `write_disposition: merge` with a primary key, and a database. Default: they stay.',
  }),
  max_delete_share: key(z.number().min(0).max(1), {
    description:
      'The greatest share of a table that one run may take away, 0.1 if it is not given: by `deletes`, or by `write_disposition: replace` where the listing is not known to be complete. A run that would take more fails, and changes nothing. Resources that fill one table need the same share.',
  }),
}

const resource = z.strictObject({
  name: required(name, 'Name of the resource: of its table, unless `table_name` is given, and of its state.'),
  ...resourceKeys,
})

const resourceDefaults = z.strictObject({
  ...resourceKeys,
  endpoint: key(endpoint, 'Keys of every endpoint.'),
})

/** A whole document. */
export const restDocument = z.strictObject({
  $schema: key(z.string(), 'Address of the JSON Schema, for editors.'),
  client: required(client, 'The API: what all resources have in common.'),
  resources: required(z.array(z.union([name, resource, recordsFunction])), {
    description: 'The lists to load. A text is the name of a resource and its path.',
  }),
  resource_defaults: key(resourceDefaults, 'Keys of every resource that does not set them.'),
})
