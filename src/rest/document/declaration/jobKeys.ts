import { z } from 'zod'
import { key, name, required, scalar, seconds } from './pieces.js'

const path = 'Relative to `base_url`, or absolute. `{handle}` is the handle of the job.'

const jobParams = key(z.record(z.string(), scalar), 'Query parameters. Texts may hold `{handle}`.')

const handlePath = key(name, {
  description: 'JSONPath of the handle of the job in the answer to the order. It may be an id or a URL.',
  examples: ['id', 'job.status_url'],
})

/** The key `job` of an endpoint: its request orders an export, and its records are in the file that comes of it. */
export const job = z
  .strictObject({
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
  })
  .meta({ id: 'job', description: 'An export that is ordered, waited for and downloaded.' })
