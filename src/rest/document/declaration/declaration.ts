import { z } from 'zod'
import { later } from '../../../model/runtime/firstUse.js'
import type { MadeRecord, RecordFunction } from '../../../model/userFunction.js'
import type { Transport } from '../../api.js'
import { maskKinds } from '../../mask/maskRules.js'
import type { RecordsFunction } from '../model.js'
import { completeNested } from './completeKeys.js'
import { endpoint } from './endpointKeys.js'
import { expectations } from './expectKeys.js'
import { nestedHints, resourceTableName, tableHints } from './hintKeys.js'
import { count, functionOf, jsonObject, key, name, required, secretValue } from './pieces.js'
import { retry } from './responseKeys.js'
import { strictObject } from './strictObject.js'
import { auth, paginator } from './variants.js'

/**
 * Declares every key of a `rest_api` document once. The checker, the types (`configTypes.ts`), the JSON Schema and
 * `docs/config.md` are made from it. Names and meanings are dlt's if dlt has the key.
 */

const rateLimit = strictObject(() => ({
  requests: key(count, 'Most requests in an interval.'),
  per: key(z.number().positive(), { description: 'Length of the interval in seconds.', default: 1 }),
  max_concurrency: key(count, 'Most requests at the same time.'),
}))

const client = strictObject(() => ({
  base_url: key(z.string(), {
    description: 'Address that paths are relative to. It may be left out if every path is absolute.',
    examples: ['https://api.example.com/v1/'],
  }),
  headers: key(z.record(z.string(), z.union([z.string(), secretValue])), 'Headers of every request.'),
  auth: key(auth, 'Authentication of every request to `base_url` and `allowed_hosts`.'),
  paginator: key(paginator, { description: 'Paginator of every endpoint without one of its own.', default: 'auto' }),
  allowed_hosts: key(z.array(name), {
    description: 'Other hosts or origins that may receive credentials and configured headers.',
    examples: [['files.example.com', 'http://localhost:8080']],
  }),
  retry: key(retry, 'When and how often a failed request is sent again.'),
  concurrency: key(count, 'Most requests at the same time. Without it, Sluice adapts.'),
  rate_limit: key(rateLimit, 'Rate limits of the API.'),
  transport: key(
    functionOf<Transport>('a function that sends a request', 'Transport'),
    'TypeScript: sends requests in place of Sluice.',
  ),
}))

const recordFunction = <Result>(result: string) =>
  functionOf<RecordFunction<Result>>('a function of a record', `RecordFunction<${result}>`)

const processingStep = strictObject(() => ({
  filter: key(recordFunction<boolean>('boolean'), 'Keeps records for which it returns true.'),
  map: key(recordFunction<MadeRecord>('MadeRecord'), 'Replaces a record.'),
  yield_map: key(recordFunction<Iterable<MadeRecord>>('Iterable<MadeRecord>'), 'Replaces a record by several.'),
}))

const recordsFunction = functionOf<RecordsFunction>('a function that yields records', 'RecordsFunction')

const resourceKeys = later(() => ({
  endpoint: key(z.union([z.string(), endpoint]), 'Where the records are. A text is the `path`.'),
  records: key(z.union([z.array(jsonObject), recordsFunction]), {
    description: 'The records themselves, or in TypeScript a generator of them, in place of `endpoint`.',
    examples: [[{ id: 'eu' }, { id: 'us' }]],
  }),
  include_from_parent: key(
    z.array(name),
    'Fields of the parent’s record to copy into the child. Field `id` of parent `orders` becomes `_orders_id`.',
  ),
  processing_steps: key(z.array(processingStep), 'TypeScript: functions that see each record, in order.'),
  filter: key(z.string(), {
    description: 'Keeps records for which this expression (CEL) is true. Rows that were loaded earlier stay.',
    examples: ["record.status != 'draft'", 'has(record.amount) && record.amount >= 100.0'],
  }),
  add: key(z.record(z.string(), z.string()), {
    description: 'New fields, by expressions (CEL) of the record as the API sent it.',
    examples: [{ full_name: "record.first + ' ' + record.last", city: 'record.address.?city.orValue(null)' }],
  }),
  rename: key(z.record(z.string(), name), {
    description: 'New names of fields of the record, by their old names.',
    examples: [{ ID: 'id' }],
  }),
  select: key(z.array(name), {
    description: 'The only fields to keep, by the names of `rename` and `add`. A path leads into objects and lists.',
    examples: [['id', 'customer.name']],
  }),
  drop: key(z.array(name), {
    description: 'Fields to leave out. A path leads into objects and lists.',
    examples: [['raw', 'customer.address']],
  }),
  mask: key(z.record(z.string(), z.enum(maskKinds).nullable()), {
    description:
      'What nobody may see, by its path in the record: through lists, `*` is any member, `$..` any depth. `hash`: an HMAC of the value, the same in every run · `redact`: `***` · `drop`: left out · `last4`: its last four characters. Applied before an answer is journaled. A path adds to those of the defaults; null cancels one.',
    examples: [{ email: 'hash', 'contacts.phone': 'last4', '$..ssn': 'drop' }],
  }),
  mask_salt: key(secretValue, {
    description: 'The secret key of `hash`, at least 16 characters. Another salt gives other hashes.',
    examples: ['${secrets.mask_salt}'],
  }),
  parallelized: key(
    z.boolean(),
    'Accepted for dlt, without effect. Lists are always read in parallel; `--concurrency` and `client.concurrency` set the limit.',
  ),
  selected: key(z.boolean(), {
    description: 'false: the records are read for child resources only and get no table.',
    default: true,
  }),
  table_name: key(resourceTableName, 'Name of the table. Default: the name of the resource.'),
  ...tableHints(),
  nested_hints: key(nestedHints, 'Hints for nested tables, by the path of their list.'),
  expect: key(
    expectations,
    'What the records of a run must be. A run that breaks it is incomplete: it fails, and nothing is committed.',
  ),
  deletes: key(z.enum(['soft', 'hard', 'with_parent']), {
    description:
      'What happens to rows that a complete list no longer has. `soft` marks them, `hard` removes them, `with_parent` does what is done to the row of the parent, whose primary key must be in `include_from_parent`. Needs `write_disposition: merge`, a primary key and a database. Default: they stay.',
  }),
  max_delete_share: key(z.number().min(0).max(1), {
    description:
      'Greatest share of a table that one run may take away. Default: 0.1. It holds for `deletes`, and for `replace` and the `destination_scope` of `delete-insert` after a list that is not known to be complete. A run that would take more fails and changes nothing. Resources that fill one table need the same share.',
  }),
}))

const resource = strictObject(() => ({
  name: required(
    name,
    'Name of the resource. It is also the name of its table, unless `table_name` is given, and of its state.',
  ),
  ...resourceKeys(),
  complete_nested: key(
    completeNested,
    'Lists inside the records of which the API gives only the beginning, by their paths. They are read to their end, for the records that need it. If that fails to show a list whole, the receipt says so.',
  ),
}))

const resourceDefaults = strictObject(() => ({
  ...resourceKeys(),
  endpoint: key(endpoint, 'Defaults for the keys of every endpoint.'),
}))

/** A whole document. */
export const restDocument = strictObject(() => ({
  $schema: key(z.string(), 'Address of the JSON Schema, for editors.'),
  client: key(client, 'The API: what all resources have in common. It may be left out if every path is absolute.'),
  resources: required(z.array(z.union([name, resource, recordsFunction])), {
    description: 'The lists to load. A text is the name of a resource and its path.',
  }),
  resource_defaults: key(resourceDefaults, 'Defaults for the keys of every resource.'),
}))
