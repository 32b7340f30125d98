import { z } from 'zod'
import { endpoint } from './endpointKeys.js'
import { key, name, required } from './pieces.js'
import { strictObject } from './strictObject.js'

const list = strictObject(() => ({
  when: key(z.string(), {
    description: 'Completes the list of records for which this expression (CEL) is true.',
    examples: ['size(record.labels) >= 10'],
  }),
  has_more_path: key(name, {
    description: 'JSONPath in the record of a boolean: true where the list goes on.',
    examples: ['labels.pageInfo.hasNextPage'],
  }),
  total_path: key(name, {
    description: 'JSONPath in the record of the length of the list. What is there in the end is compared with it.',
    examples: ['fields.comment.total'],
  }),
  append: key(z.boolean(), {
    description:
      'true: the endpoint gives what comes after the records that are there. false: it gives the whole list, which takes their place.',
    default: false,
  }),
  endpoint: required(z.union([z.string(), endpoint]), {
    description:
      'Where the list of one record is read. A text is the `path`. It names fields of the record as `{resources.name.field}`; `name` is this resource.',
    examples: ['issues/{resources.issues.number}/labels'],
  }),
}))

/** The key `complete_nested`: lists inside records that the API cuts, by their paths. */
export const completeNested = z.record(z.string(), list)
