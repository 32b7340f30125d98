import { z } from 'zod'
import { later } from '../../../model/runtime/firstUse.js'
import { MOST_SLICES, PARTITIONINGS } from '../../../model/source.js'
import { incremental } from './incrementalKeys.js'
import { count, key, name, names, required, scalar, seconds } from './pieces.js'
import { requestKeys } from './requestKeys.js'
import { responseAction, retry } from './responseKeys.js'
import { strictObject } from './strictObject.js'
import { auth } from './variants.js'

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

/** More pages of one load would be a load without partitions. */
const MOST_PAGES_OF_PARTITION = 100_000

/** How a backfill cuts the lists of a resource that has no cursor. */
const partition = strictObject(() => ({
  by: required(z.enum(PARTITIONINGS), {
    description:
      'What a partition is. `values`: one record of the parent, which is a list in the file (`records`) · `parents`: a slice of the records of the parent, by their keys · `pages`: so many pages of the list itself, whose answers tell its length.',
  }),
  slices: key(z.int().min(1).max(MOST_SLICES), {
    description:
      'With `parents`: how many slices. Each reads the list of the parents again, and the lists of its own ones.',
    examples: [16],
  }),
  pages: key(z.int().min(2).max(MOST_PAGES_OF_PARTITION), {
    description: 'With `pages`: how many. Each partition also reads the page before its first one.',
    examples: [100],
  }),
}))
  .superRefine(({ by, slices, pages }, context) => {
    for (const [key, owner, value, what] of [
      ['slices', 'parents', slices, 'in how many slices the parents are read'],
      ['pages', 'pages', pages, 'how many pages a partition has'],
    ] as const) {
      if ((value == null) === (by !== owner)) continue
      const message = value == null ? `is missing: ${what}` : `has no meaning with \`${by}\`; leave it out`
      context.addIssue({ code: 'custom', path: [key], message })
    }
  })
  .meta({ id: 'partition' })

const onNull = ['fail', 'skip', 'omit'] as const

export const endpointKeys = later(() => ({
  ...requestKeys(),
  job: key(job, 'The request orders an export; its records are in the file that comes of it.'),
  response_actions: key(z.array(responseAction), 'What to do with certain answers. The first that matches counts.'),
  incremental: key(incremental, 'Load only what is new.'),
  auth: key(auth, 'Replaces `client.auth`. null: no authentication.'),
  retry: key(retry, 'Replaces keys of `client.retry`.'),
  timeout: key(z.number().positive(), {
    description:
      'Seconds to wait for an answer, and for each part of it. The whole of a body may take ten times as long, and a second more for each 16 KiB; one that only drips is given up then.',
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
  read_when: key(z.enum(['always', 'parent_changed', 'parent_newer']), {
    description:
      'For which records of the parent the list is read. `parent_changed`: only for those that are new, or not as they were when their list was last read and committed · ' +
      '`parent_newer`: only for those that changed since, by the field of `changed_by`; the state keeps its greatest value instead of every record. ' +
      'The parent needs a `primary_key`. What was not read stays as it is, and the receipt says `unproven`.',
    default: 'always',
  }),
  changed_by: key(names, {
    description:
      'Fields of the parent’s record that tell a change. Without it, any change of the record counts. `parent_newer` needs one field, which grows with each change.',
    examples: ['updated_at', ['version', 'comments_count']],
  }),
  partition: key(
    partition,
    'How `sluice backfill` cuts a list that has no cursor. Each partition is a load of its own. The parent, or the list itself with `pages`, needs a `primary_key`.',
  ),
  on_null: key(z.enum(onNull), {
    description:
      'What to do where a placeholder `{resources.parent.field}` finds null. `fail`: the run fails · `skip`: that record of the parent has no list, ' +
      'also if it has no such field · `omit`: leave out the parameter, header or member of the body. Without `on_null` the run fails too, but a member of a JSON body ' +
      'that is nothing but the placeholder is sent as null.',
  }),
  read_ahead: key(z.int().min(0), {
    description: 'How many pages to request ahead. 0: one page after the other.',
  }),
}))

export const endpoint = strictObject(() => endpointKeys()).meta({ id: 'endpoint' })
