import { z } from 'zod'
import { later } from '../../../model/runtime/firstUse.js'
import type { ResponseFunction } from '../model.js'
import { functionOf, key, name, required, scalar, seconds } from './pieces.js'
import { strictObject } from './strictObject.js'

/** A status, `5xx`, or a range `500-503`. */
const statusPattern = z.union([z.int().min(100).max(599), z.string().regex(/^([1-5]xx|[1-5]\d\d(-[1-5]\d\d)?)$/i)])

/** What a function of the response may ask for. */
export const functionActions = ['ignore', 'skip_page', 'stop', 'retry', 'fail', 'empty'] as const

/** What a condition may ask for. Both further actions must be known before an answer is read. */
const responseActions = [...functionActions, 'refresh_auth', 'reset_pagination'] as const

const responseFunction = functionOf<ResponseFunction>('a function of the response', 'ResponseFunction')

/** Conditions on an answer. All that are given must hold. */
const conditionKeys = later(() => ({
  status_code: key(statusPattern, { description: 'Status of the answer.', examples: [404, '5xx', '500-503'] }),
  content: key(z.string(), 'Text that the body contains.'),
  json_path: key(name, {
    description:
      'JSONPath in the body. `equals`, `in` or `exists` say what must be there; without them, anything but null.',
    examples: ['error.code'],
  }),
  equals: key(scalar, 'A value at `json_path` is this one. Numbers and texts of the same digits are equal.'),
  in: key(z.array(scalar).min(1), {
    description: 'A value at `json_path` is one of these.',
    examples: [['throttled', 429]],
  }),
  exists: key(z.boolean(), 'Whether there is a value at `json_path`. Null is none.'),
}))

const waitFrom = strictObject(() => ({
  header: key(name, { description: 'Header of the answer.', examples: ['X-RateLimit-Reset'] }),
  json_path: key(name, { description: 'JSONPath in the body.', examples: ['error.retry_after_ms'] }),
  unit: key(z.enum(['seconds', 'milliseconds', 'date']), {
    description: 'What the value is: a time to wait, or the moment to wait for (a date, or seconds since 1970).',
    default: 'seconds',
  }),
})).meta({ id: 'wait_from' })

export const responseAction = z
  .union([
    strictObject(() => ({
      ...conditionKeys(),
      action: required(
        z.union([z.enum(responseActions), responseFunction, z.array(responseFunction)]),
        '`ignore` or `stop`: the list ends here, its earlier pages stay · `skip_page`: go on with the next page · `empty`: as ' +
          'if the page had no records · `retry`: ask again · `fail`: fail the run · `refresh_auth`: fetch new credentials ' +
          'and ask again, once · `reset_pagination`: read the list from its start again, once.',
      ),
      wait_from: key(waitFrom, 'For `retry`: where the answer says how long to wait.'),
      message: key(name, {
        description: 'For `fail`: the text of the error. `{path}` stands for the value at a JSONPath in the body.',
        examples: ['the report failed: {error.message}'],
      }),
      proves_end: key(z.boolean(), {
        description: 'For `empty` and `stop`: whether such an answer proves that the list is whole.',
        default: false,
      }),
    })),
    responseFunction,
  ])
  .meta({ id: 'response_action' })

const answerCondition = strictObject(() => conditionKeys()).meta({ id: 'answer_condition' })

export const retry = strictObject(() => ({
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
  when: key(z.array(answerCondition), {
    description: 'Answers that are retried too, whatever their status: those that meet one of these conditions.',
    examples: [[{ json_path: 'status', in: ['busy', 'throttled'] }]],
  }),
  wait_from: key(waitFrom, 'Where an answer says how long to wait, if not in `Retry-After`.'),
})).meta({ id: 'retry' })

/** The key `adapt_page_size` of an endpoint. */
export const adaptPageSize = strictObject(() => ({
  param: key(name, {
    description:
      'Query parameter with the size of a page. Not needed for `offset` and `keyset`, which know their limit.',
    examples: ['per_page'],
  }),
  body_path: key(name, {
    description: 'Place of the size in the body instead.',
    examples: ['variables.first'],
  }),
  min: key(z.int().min(1), { description: 'Fewest records of a page.', default: 1 }),
  statuses: key(z.array(statusPattern).min(1), {
    description: 'Statuses that say that a page is too large.',
    default: [413, 504],
  }),
  when: key(z.array(answerCondition).min(1), {
    description: 'Other answers that say so, whatever their status: those that meet one of these conditions.',
    examples: [[{ json_path: 'errors[*].type', equals: 'MAX_NODE_LIMIT_EXCEEDED' }]],
  }),
})).meta({ id: 'adapt_page_size' })
