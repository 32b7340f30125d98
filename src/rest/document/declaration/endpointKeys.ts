import { z } from 'zod'
import type { ResponseFunction } from '../model.js'
import { bodyKeys } from './formatKeys.js'
import { incremental, incrementalParam } from './incrementalKeys.js'
import {
  count,
  functionOf,
  jsonObject,
  jsonValue,
  key,
  name,
  required,
  scalar,
  seconds,
  secretValue,
} from './pieces.js'
import { auth, paginator } from './variants.js'

const method = z.enum(['GET', 'POST', 'PUT', 'PATCH'])

/** A status, `5xx`, or a range `500-503`. */
const statusPattern = z.union([z.int().min(100).max(599), z.string().regex(/^([1-5]xx|[1-5]\d\d(-[1-5]\d\d)?)$/i)])

export const responseActions = ['ignore', 'skip_page', 'stop', 'retry', 'fail', 'empty'] as const

const onNull = ['fail', 'skip', 'omit'] as const

const responseFunction = functionOf<ResponseFunction>('a function of the response', 'ResponseFunction')

const responseAction = z
  .union([
    z.strictObject({
      status_code: key(statusPattern, { description: 'Status of the answer.', examples: [404, '5xx', '500-503'] }),
      content: key(z.string(), 'Text that the body contains.'),
      action: required(
        z.union([z.enum(responseActions), responseFunction, z.array(responseFunction)]),
        '`ignore` or `stop`: the list ends here, its earlier pages stay · `skip_page`: go on with the next page · `empty`: as ' +
          'if the page had no records · `retry`: ask again · `fail`: fail the run.',
      ),
    }),
    responseFunction,
  ])
  .meta({ id: 'response_action' })

export const retry = z
  .strictObject({
    attempts: key(z.int().min(1), { description: 'Most requests, including the first.', default: 4 }),
    statuses: key(z.array(statusPattern), {
      description: 'Statuses after which the request is sent again.',
      default: [429, 500, 502, 503, 504],
    }),
    on_connection_error: key(z.boolean(), {
      description: 'Whether to retry after a dropped connection or a timeout.',
      default: true,
    }),
    base: key(seconds, { description: 'Seconds before the first retry.', default: 1 }),
    factor: key(z.number().min(1), {
      description: 'Each wait is this many times longer than the one before.',
      default: 2,
    }),
    max_delay: key(seconds, { description: 'Longest wait between two attempts, in seconds.', default: 300 }),
    max_wait: key(seconds, {
      description:
        'Longest wait that the API may ask for (`Retry-After`, the end of a rate limit), in seconds. A longer one ends the run, which keeps its pages for the next.',
      default: 900,
    }),
    jitter: key(z.enum(['full', 'none']), {
      description: '`full`: a random part of each wait, so that many clients do not come back at once.',
      default: 'full',
    }),
    body_contains: key(
      z.union([z.string(), z.array(z.string())]),
      'A successful answer that contains this text is retried too.',
    ),
  })
  .meta({ id: 'retry' })

const resolveParam = z
  .strictObject({
    type: z.literal('resolve'),
    resource: required(name, 'Name of the parent.'),
    field: required(name, 'Field of the parent’s record, as JSONPath.'),
  })
  .meta({ description: 'The value of a field of the parent’s record. A placeholder says the same in one word.' })

const paramValue = z
  .union([scalar, z.array(scalar), z.discriminatedUnion('type', [resolveParam, incrementalParam]), secretValue])
  .meta({ id: 'param_value' })

const headerValue = z.union([z.string(), z.number(), z.boolean(), z.bigint(), z.null(), secretValue])

export const endpointKeys = {
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
  json: key(jsonObject, 'JSON body. A text that is a single placeholder takes the type of its value.'),
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
  ...bodyKeys,
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
  on_null: key(z.enum(onNull), {
    description:
      'What to do where a placeholder `{resources.parent.field}` finds null. `fail`: the run fails · `skip`: that record of the parent has no list, ' +
      'also if it has no such field · `omit`: leave out the parameter, header or member of the body.',
    default: 'fail',
  }),
  read_ahead: key(z.int().min(0), {
    description: 'How many pages to request ahead. 0: one page after the other.',
  }),
}

export const endpoint = z.strictObject(endpointKeys).meta({ id: 'endpoint' })
