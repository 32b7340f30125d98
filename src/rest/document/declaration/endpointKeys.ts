import { z } from 'zod'
import { later } from '../../../model/firstUse.js'
import { bodyKeys } from './formatKeys.js'
import { incremental, incrementalParam } from './incrementalKeys.js'
import { count, jsonObject, jsonValue, key, name, names, required, scalar, seconds, secretValue } from './pieces.js'
import { adaptPageSize, responseAction, retry } from './responseKeys.js'
import { strictObject } from './strictObject.js'
import { auth, paginator } from './variants.js'

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

const path = 'Relative to `base_url`, or absolute. `{handle}` is the handle of the job.'

const jobParams = key(z.record(z.string(), scalar), 'Query parameters. Texts may hold `{handle}`.')

const handlePath = key(name, {
  description: 'JSONPath of the handle of the job in the answer to the order. It may be an id or a URL.',
  examples: ['id', 'job.status_url'],
})

/** The key `job` of an endpoint: its request orders an export, and its records are in the file that comes of it. */
const job = strictObject(() => ({
  handle_path: handlePath,
  handle_header: key(name, { description: 'Header that has the handle instead.', examples: ['Location'] }),
  poll: required(
    z.strictObject({
      path: required(name, path),
      method: key(z.enum(['GET', 'POST']), { description: 'HTTP method.', default: 'GET' }),
      params: jobParams,
      status_path: key(name, {
        description: 'JSONPath of the status of the job. Without it, the HTTP status is the status of the job.',
        examples: ['status'],
      }),
      done: required(z.array(scalar).min(1), 'Statuses of a job whose result is there.'),
      failed: key(z.array(scalar), {
        description: 'Statuses of a job that will have no result. Upper and lower case are the same.',
        default: ['failed', 'failure', 'error', 'cancelled', 'canceled', 'aborted', 'expired'],
      }),
      message_path: key(name, 'JSONPath of the reason why a job failed. Without it, the error shows the answer.'),
      every: key(z.number().positive(), {
        description: 'Seconds between two looks. `Retry-After` counts more.',
        default: 5,
      }),
      timeout: key(seconds, {
        description: 'Most seconds to wait for the result in one run. The next run waits for the same job.',
        default: 3600,
      }),
    }),
    'How to see whether the result is there.',
  ),
  download: required(
    z.strictObject({
      url_path: key(name, {
        description:
          'JSONPath of the URL of the file in the last status, or of several URLs. A host that is not the API’s gets no credentials.',
        examples: ['result.url', 'files[*].url'],
      }),
      path: key(name, path),
      params: jobParams,
    }),
    'Where the result is.',
  ),
  cleanup: key(
    z.strictObject({
      path: required(name, path),
      method: key(z.enum(['DELETE', 'POST']), { description: 'HTTP method.', default: 'DELETE' }),
    }),
    'Request that removes the job once its result is read. If it fails, that is a warning.',
  ),
  total_path: key(name, 'JSONPath of the number of records in the last status. It is compared with what arrives.'),
})).meta({ id: 'job', description: 'An export that is ordered, waited for and downloaded.' })

const method = z.enum(['GET', 'POST', 'PUT', 'PATCH'])

const onNull = ['fail', 'skip', 'omit'] as const

const resolveParam = strictObject(() => ({
  type: z.literal('resolve'),
  resource: required(name, 'Name of the parent.'),
  field: required(name, 'Field of the parent’s record, as JSONPath.'),
})).meta({ description: 'The value of a field of the parent’s record. A placeholder says the same in one word.' })

const paramValue = z
  .union([scalar, z.array(scalar), z.discriminatedUnion('type', [resolveParam, incrementalParam]), secretValue])
  .meta({ id: 'param_value' })

const headerValue = z.union([z.string(), z.number(), z.boolean(), z.bigint(), z.null(), secretValue])

export const endpointKeys = later(() => ({
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
  job: key(job, 'The request orders an export; its records are in the file that comes of it.'),
  response_actions: key(z.array(responseAction), 'What to do with certain answers. The first that matches counts.'),
  incremental: key(incremental, 'Load only what is new.'),
  auth: key(auth, 'Replaces `client.auth`. null: no authentication.'),
  retry: key(retry, 'Replaces keys of `client.retry`.'),
  timeout: key(z.number().positive(), {
    description: 'Seconds to wait for an answer, and for each part of it.',
    default: 60,
  }),
  max_pages: key(count, 'Most pages of one list.'),
  max_records: key(count, 'Most records of one list. The last page is loaded whole.'),
  max_seconds: key(
    z.number().positive(),
    'Most seconds that are spent on one list, waits included. What is under way then is given up, and the list ends with the pages before it.',
  ),
  batch_size: key(count, {
    description:
      'Most records of the parent in one request. Their values are joined by `batch_separator`; in a list, an element that is one placeholder becomes one element a value, and an object with placeholders one object a record.',
    default: 1,
    examples: [50],
  }),
  batch_separator: key(name, { description: 'Text between the values of a batch.', default: ',' }),
  read_when: key(z.enum(['always', 'parent_changed']), {
    description:
      'For which records of the parent the list is read. `parent_changed`: only for those that are new, or not as they were when their list was last read and committed. ' +
      'The parent needs a `primary_key`. What was not read stays as it is, and the receipt says `unproven`.',
    default: 'always',
  }),
  changed_by: key(names, {
    description: 'Fields of the parent’s record that tell a change. Without it, any change of the record counts.',
    examples: ['updated_at', ['version', 'comments_count']],
  }),
  on_null: key(z.enum(onNull), {
    description:
      'What to do where a placeholder `{resources.parent.field}` finds null. `fail`: the run fails · `skip`: that record of the parent has no list, ' +
      'also if it has no such field · `omit`: leave out the parameter, header or member of the body.',
    default: 'fail',
  }),
  adapt_page_size: key(adaptPageSize, {
    description:
      'Pages that are too large for the API are asked for again with half the records: after 413 and 504, where no answer comes in time, and where a body is too long. No record is lost or comes twice. After good pages the size grows again.',
    examples: [{ param: 'per_page', min: 10 }],
  }),
  read_ahead: key(z.int().min(0), {
    description: 'How many pages to request ahead. 0: one page after the other.',
  }),
}))

export const endpoint = strictObject(() => endpointKeys()).meta({ id: 'endpoint' })
