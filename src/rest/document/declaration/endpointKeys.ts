import { z } from 'zod'
import { bodyKeys } from './formatKeys.js'
import { graphql } from './graphqlKeys.js'
import { incremental, incrementalParam } from './incrementalKeys.js'
import { job } from './jobKeys.js'
import { count, jsonObject, jsonValue, key, name, required, scalar, secretValue } from './pieces.js'
import { responseAction, retry } from './responseKeys.js'
import { auth, paginator } from './variants.js'

const method = z.enum(['GET', 'POST', 'PUT', 'PATCH'])

const onNull = ['fail', 'skip', 'omit'] as const

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
  graphql: key(graphql, 'A GraphQL query, sent by POST in place of `json`.'),
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
