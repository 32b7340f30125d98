import { z } from 'zod'
import { later } from '../../../model/runtime/firstUse.js'
import { bodyKeys } from './formatKeys.js'
import { jsonObject, jsonValue, key, name, required, scalar, secretValue } from './pieces.js'
import { adaptPageSize } from './responseKeys.js'
import { strictObject } from './strictObject.js'
import { paginator } from './variants.js'
import { incrementalParam } from './windowKeys.js'

/** A query of GraphQL, in place of `json`. */
const graphql = strictObject(() => ({
  query: required(name, 'The query, as it is: its braces are not placeholders. Values go into `variables`.'),
  variables: key(jsonObject, {
    description: 'Values of the query’s variables. May hold placeholders.',
    examples: [{ first: 100, since: '{incremental.start_value}' }],
  }),
  operation_name: key(name, 'Which operation to run, if the query has several.'),
  connection: key(name, {
    description:
      'JSONPath of the Relay connection in the answer. It sets the `paginator`, by `pageInfo`, and `data_selector`, its `nodes`, where the endpoint has none.',
    examples: ['data.orders'],
  }),
  cursor_variable: key(name, { description: 'The variable for the cursor of the next page.', default: 'after' }),
})).meta({ id: 'graphql' })

const method = z.enum(['GET', 'POST', 'PUT', 'PATCH'])

const resolveParam = strictObject(() => ({
  type: z.literal('resolve'),
  resource: required(name, 'Name of the parent.'),
  field: required(name, 'Field of the parent’s record, as JSONPath.'),
})).meta({ description: 'The value of a field of the parent’s record. A placeholder says the same in one word.' })

const paramValue = z
  .union([scalar, z.array(scalar), z.discriminatedUnion('type', [resolveParam, incrementalParam]), secretValue])
  .meta({ id: 'param_value' })

const headerValue = z.union([z.string(), z.number(), z.boolean(), z.bigint(), z.null(), secretValue])

/** The keys that say how a list is asked for, and where its records are. */
export const requestKeys = later(() => ({
  path: key(z.string(), {
    description:
      'Relative to `base_url`, or absolute. May hold `{resources.parent.field}`, `{incremental.start_value}` and `{param}`.',
    examples: ['v1/feedback', 'users/{resources.users.id}/posts'],
  }),
  method: key(method, { description: 'HTTP method.', default: 'GET' }),
  params: key(z.record(z.string(), paramValue), {
    description:
      'Query parameters. A list repeats the name; null leaves it out. A parameter that the path names as `{name}` goes into the path instead.',
  }),
  json: key(
    jsonObject,
    'JSON body. A text that is a single placeholder takes the type of its value. Members may be secrets.',
  ),
  graphql: key(
    graphql,
    'A GraphQL query, sent by POST in place of `json`. It waits for the costs that answers tell, as those of Shopify and GitHub do.',
  ),
  data: key(jsonValue, 'Form body as map or list of pairs, or a raw body as text.'),
  headers: key(
    z.record(z.string(), headerValue),
    'Headers. They replace those of the client with the same name; null removes one.',
  ),
  paginator: key(paginator, { description: 'How to get from page to page.', default: 'auto' }),
  data_selector: key(
    z.string(),
    'JSONPath of the records in the body. Without it, Sluice looks for the list in the first page.',
  ),
  data_selector_required: key(z.boolean(), {
    description: 'Whether the run fails if the selector matches nothing on the first page.',
    default: true,
  }),
  ...bodyKeys(),
  adapt_page_size: key(adaptPageSize, {
    description:
      'Pages that are too large for the API are asked for again with half the records: after 413 and 504, where no answer comes in time, and where a body is too long. No record is lost or comes twice. After good pages the size grows again.',
    examples: [{ param: 'per_page', min: 10 }],
  }),
}))
