import { z } from 'zod'
import { later } from '../../../model/runtime/firstUse.js'
import { WINDOW_ORDERS } from '../../../model/source.js'
import { jsonObject, key, name, required, scalar } from './pieces.js'
import { requestKeys } from './requestKeys.js'
import { strictObject } from './strictObject.js'
import { windowKeys } from './windowKeys.js'

const initialToken = strictObject(() => ({
  path: required(name, {
    description: 'Relative to `base_url`, or absolute. May hold `{resources.parent.field}`.',
    examples: ['users/me/profile', 'changes/startPageToken'],
  }),
  method: key(z.enum(['GET', 'POST']), { description: 'HTTP method.', default: 'GET' }),
  params: key(z.record(z.string(), scalar), 'Query parameters. Those of the endpoint are not sent.'),
  json: key(jsonObject, 'JSON body.'),
  token_path: key(name, {
    description:
      'JSONPath of the token in the answer. Default: `token_path` or `next_url_path` of `incremental`. Of several matches the first counts.',
    examples: ['historyId', 'startPageToken'],
  }),
})).meta({ id: 'initial_token' })

const changes = strictObject(() => requestKeys()).meta({ id: 'changes' })

const token = later(() => ({
  token_path: key(
    name,
    'JSONPath of a sync token in the last answer of a list. It is kept, and the next run sends it. Instead of `cursor_path`.',
  ),
  token_param: key(name, 'Query parameter for the sync token. `{incremental.last_value}` puts it elsewhere.'),
  next_url_path: key(
    name,
    'JSONPath of a link in the last answer of a list, with which the next run begins. Instead of `cursor_path`.',
  ),
  token_expired: key(
    strictObject(() => ({
      status: key(z.int().min(200).max(599), 'Status of the answer.'),
      body: key(name, 'Text in the body of the answer.'),
    })),
    'The answer to a token that is no longer known; status 410 if absent. Everything is then read again, once.',
  ),
  initial_token: key(
    initialToken,
    'Where the first token comes from, if the list does not give it. It is asked for before the list is read, so that no change meanwhile is lost.',
  ),
  changes: key(
    changes,
    'Where the next runs read what changed, if not from the endpoint. Keys that are left out are those of the endpoint; `params` and `json` are merged with its own.',
  ),
}))

const width = z.union([name, z.number().positive()])

const windows = strictObject(() => ({
  step: required(width, {
    description: 'Width of a window: an ISO 8601 duration if the cursor is a time, else an amount.',
    examples: ['P7D', 'PT6H', 10000],
  }),
  order: key(z.enum(WINDOW_ORDERS), {
    description: 'Which windows are loaded first.',
    default: 'oldest_first',
  }),
  lookback: key(width, {
    description: 'How far each window also looks back over the one before it. Only with `merge`.',
    examples: ['P1D'],
  }),
}))

export const incremental = strictObject(() => ({
  ...windowKeys(),
  cursor_path: key(name, windowKeys().cursor_path.meta() as { description: string }),
  ...token(),
  end_value: key(scalar, 'End of a backfill. The run then neither reads nor writes state. Needs `initial_value`.'),
  start_param: key(name, 'Query parameter for the value to start from.'),
  end_param: key(name, 'Query parameter for `end_value`.'),
  per_parent: key(z.boolean(), {
    description:
      'Whether each record of the parent has a cursor of its own, so that a new one is read from the beginning. The parent needs a `primary_key`.',
    default: false,
  }),
  window: key(windows, 'How `sluice backfill` cuts the range of the cursor. Each window is a load of its own.'),
}))
  .superRefine(checkKind)
  .meta({ id: 'incremental' })

/** A cursor of the records, or a token of the answers. */
function checkKind(config: Readonly<Record<string, unknown>>, context: z.RefinementCtx): void {
  const add = (path: string, message: string): void => context.addIssue({ code: 'custom', path: [path], message })
  const kinds = ['cursor_path', 'token_path', 'next_url_path'].filter(name => config[name] != null)
  const [kind, second] = kinds
  if (kind === undefined)
    add('cursor_path', 'is missing; expected a text, or `token_path` or `next_url_path` in its place')
  else if (second !== undefined) add(second, `cannot be combined with \`${kind}\`; leave one out`)
  const either = 'token_path` or `next_url_path'
  const needs = { token_param: 'token_path', token_expired: either, initial_token: either, changes: either }
  for (const [name, needed] of Object.entries(needs)) {
    const isMet = kind === 'token_path' || (kind === 'next_url_path' && name !== 'token_param')
    if (kind !== undefined && config[name] != null && !isMet) add(name, `needs \`${needed}\``)
  }
  if (kind === undefined || kind === 'cursor_path') return
  const known = new Set([...kinds, ...Object.keys(token()), 'per_parent'])
  const other = Object.keys(config).find(name => config[name] != null && !known.has(name))
  if (other !== undefined) add(other, `makes no sense with \`${kind}\`: a token has no order and no window`)
}
