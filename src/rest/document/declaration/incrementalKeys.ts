import { z } from 'zod'
import { later } from '../../../model/firstUse.js'
import { WINDOW_ORDERS } from '../../../model/source.js'
import type { ConvertFunction } from '../model.js'
import { functionOf, key, name, names, required, scalar } from './pieces.js'
import { strictObject } from './strictObject.js'

const convert = functionOf<ConvertFunction>('a function of a value', 'ConvertFunction')

const window = later(() => ({
  cursor_path: required(name, {
    description: 'Field of the record whose value grows, as a name or JSONPath.',
    examples: ['updated_at', 'meta.at'],
  }),
  initial_value: key(scalar, 'Where the first run begins.'),
  last_value_func: key(z.enum(['max', 'min']), {
    description: 'Whether the greatest or the smallest value is the newest.',
    default: 'max',
  }),
  row_order: key(
    z.enum(['asc', 'desc']),
    'Order in which the API lists records. The list ends at the first record out of range.',
  ),
  range_start: key(z.enum(['closed', 'open']), {
    description:
      'closed: records equal to the start value are loaded, unless they were loaded before. open: they are not.',
    default: 'closed',
  }),
  range_end: key(z.enum(['open', 'closed']), {
    description: 'closed: records equal to `end_value` are loaded. open: they are not.',
    default: 'open',
  }),
  on_cursor_value_missing: key(z.enum(['raise', 'include', 'exclude']), {
    description: 'What to do with a record that has no cursor value.',
    default: 'raise',
  }),
  lag: key(
    z.number(),
    'How far to look back: seconds if `initial_value` is a timestamp, days if it is a date, else an amount. Without it, the values decide.',
  ),
  primary_key: key(
    names,
    'Key that recognises records that were loaded before. Default: that of the resource. Empty: none.',
  ),
  allow_external_schedulers: key(
    z.boolean(),
    'true: the run reads the window from `DLT_INTERVAL_START` to `DLT_INTERVAL_END` of the environment, within `initial_value` and `end_value`, and keeps no state. Numbers are seconds. false: never. Absent: only where `DLT_ALLOW_EXTERNAL_SCHEDULERS` is true.',
  ),
  param_format: key(name, {
    description:
      'How times are sent: `epoch_seconds`, `epoch_ms`, `epoch_us`, `iso8601`, `rfc1123`, or a pattern of strftime. Numbers of the API are seconds, milliseconds or microseconds by their size. What the format leaves out widens the window.',
    examples: ['%Y-%m-%d %H:%M', 'epoch_ms'],
  }),
  param_time_zone: key(name, {
    description: 'Time zone in which a pattern of `param_format` is written; `UTC` if absent.',
    examples: ['Europe/Berlin'],
  }),
  convert: key(
    convert,
    'TypeScript: converts the cursor value into the form that the API wants. Records stay as they are.',
  ),
}))

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
  ...window(),
  cursor_path: key(name, window().cursor_path.meta() as { description: string }),
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
  const needs = { token_param: 'token_path', token_expired: 'token_path` or `next_url_path' }
  for (const [name, needed] of Object.entries(needs)) {
    const isMet = kind === 'token_path' || (kind === 'next_url_path' && name === 'token_expired')
    if (kind !== undefined && config[name] != null && !isMet) add(name, `needs \`${needed}\``)
  }
  if (kind === undefined || kind === 'cursor_path') return
  const known = new Set([...kinds, ...Object.keys(token()), 'per_parent'])
  const other = Object.keys(config).find(name => config[name] != null && !known.has(name))
  if (other !== undefined) add(other, `makes no sense with \`${kind}\`: a token has no order and no window`)
}

/** The same, written as the value of the query parameter that carries the start value. */
export const incrementalParam = strictObject(() => ({
  type: z.literal('incremental'),
  ...window(),
  transform: key(convert, 'Older name of `convert`.'),
})).meta({ description: 'The value that incremental loading starts from.' })
