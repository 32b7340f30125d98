/** What a file says of keys that its source does not show. It is true until they are written. */
export const ABSENT_KEYS = {
  paginator:
    'nothing in the source says how pages follow each other; without a paginator, a run goes by what the first answer has',
  data_selector: 'the first answer shows where the records are',
} as const

/** How the assumption of an import begins that has found no key to merge by. */
export const REPLACES = 'a run replaces the table'
