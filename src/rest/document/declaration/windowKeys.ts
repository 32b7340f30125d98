import { z } from 'zod'
import { later } from '../../../model/runtime/firstUse.js'
import type { ConvertFunction } from '../model.js'
import { functionOf, key, name, names, required, scalar } from './pieces.js'
import { strictObject } from './strictObject.js'

const convert = functionOf<ConvertFunction>('a function of a value', 'ConvertFunction')

/** The keys of a cursor and its window, wherever they are written. */
export const windowKeys = later(() => ({
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

/** A cursor, written as the value of the query parameter that carries the start value. */
export const incrementalParam = strictObject(() => ({
  type: z.literal('incremental'),
  ...windowKeys(),
  transform: key(convert, 'Older name of `convert`.'),
})).meta({ description: 'The value that incremental loading starts from.' })
