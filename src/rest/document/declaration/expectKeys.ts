import { z } from 'zod'
import { key, name, required } from './pieces.js'
import { strictObject } from './strictObject.js'

const maxAge = strictObject(() => ({
  path: required(name, {
    description: 'Field of the record with a time, as a name or JSONPath.',
    examples: ['updated_at'],
  }),
  duration: required(z.string(), {
    description: 'Greatest age of the newest time, as an ISO 8601 duration of weeks, days, hours, minutes and seconds.',
    examples: ['P1D', 'PT6H'],
  }),
})).meta({ id: 'max_age' })

/** What the records of a run must be. */
export const expectations = strictObject(() => ({
  min_records: key(z.int().min(0), 'Fewest records that must arrive.'),
  max_change: key(z.number().min(0), {
    description:
      'Greatest share by which the number of records may differ from that of the last committed load of the resource. 0.2: a fifth more or less.',
    examples: [0.2],
  }),
  max_age: key(maxAge, 'How old the newest record may be.'),
  not_null: key(z.array(name), {
    description: 'Fields that every record must have, as names or JSONPaths. Null counts as missing.',
    examples: [['email', 'customer.id']],
  }),
  unique: key(z.array(z.union([name, z.array(name).min(1).readonly()])), {
    description:
      'Fields whose values must occur once in the run. A list in the list: their values together. Records without a value are left out. The first million values are remembered.',
    examples: [['email', ['shop', 'number']]],
  }),
})).meta({ id: 'expectations' })
