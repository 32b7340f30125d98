import type { ListEnd, Unread } from '../../model/source.js'
import { count } from '../../model/verdict.js'

/**
 * Every reason for the judgement of a list, in one table: what it proves, and the sentence of the receipt.
 *
 * `proven`: the list showed its end. `limited`: nothing shows it, or something contradicts it. The records are kept,
 * but nothing is deleted because of them. `suspect`: records are known to be missing, or an answer was not a page of
 * the list. The run fails unless that is allowed. Absence proves nothing: if no answer has the link, cursor or list,
 * that is `limited`.
 */
const table = {
  empty_page: ['proven', () => 'the last page is empty'],
  no_content: ['proven', () => 'an answer without content ended the list'],
  no_next: ['proven', (what: string) => `the last page has no ${what}`],
  missing_is_end: [
    'proven',
    (what: string) => `the answer has no ${what}, which is the end of a list by \`stop_when_missing\``,
  ],
  nothing_new: ['proven', () => 'the last page has only records of the page before'],
  short_page: [
    'proven',
    (records: number, limit: number) =>
      `the last page has ${count(records, 'record')}, fewer than ${limit}, which ends the list by \`stop_after_short_page\``,
  ],
  no_more: ['proven', (path: string) => `"${path}" says there is no more`],
  pages_reached: ['proven', (pages: number) => `the API announced ${count(pages, 'page')}`],
  total_reached: ['proven', (records: number) => `the API announced ${count(records, 'record')}`],
  total_arrived: [
    'proven',
    (records: number, path: string) => `${count(records, 'record')} arrived, as "${path}" says`,
  ],
  part_reached: [
    'proven',
    (counted: 'records' | 'pages', end: number) =>
      `the part ends after ${count(end, counted === 'records' ? 'record' : 'page')} of the list`,
  ],
  no_value: ['proven', (expression: string) => `the parent's record has null for \`{${expression}}\``],
  one_page: ['proven', () => 'the list is one page'],
  end_declared: ['proven', (path: string) => `the list ended with an answer that ends it, as ${path} says`],
  job_done: ['proven', (status: string) => `the export job ended as "${status}", and its result was read`],
  no_file: [
    'limited',
    (status: string) =>
      `the export job ended as "${status}" without a file, and no total of 0 says that it found nothing: set \`job.total_path\``,
  ],
  empty_file: [
    'limited',
    () =>
      'a file of the export has no content, not even an empty list, and no total says that nothing is missing: set `job.total_path`',
  ],
  empty_answer: [
    'limited',
    () => 'an answer has no content, not even an empty list, and no total says that nothing is missing',
  ],
  no_file_for_total: [
    'suspect',
    (records: number) => `the export job announced ${count(records, 'record')}, but has no file`,
  ],
  own_rule: ['proven', () => "the paginator's rule ended the list"],

  flag_missing: ['limited', (path: string) => `the last page has no flag at "${path}" that says that there is no more`],
  never_seen: ['limited', (what: string) => `no answer has the ${what}: nothing shows that the list ended`],
  unread_header: ['limited', (header: string) => `the header ${header} cannot be read to its end`],
  no_value_ever: [
    'limited',
    (expression: string) => `no record of the parent has a value for \`{${expression}}\`: its name may be wrong`,
  ],
  no_way_on: ['suspect', noWayOn],
  perhaps_no_way_on: ['limited', noWayOn],
  guess_missed_more: [
    'suspect',
    (guess: string, what: string) =>
      `the guessed paginator (${guess}) ends the list, but ${what}; configure \`paginator\``,
  ],
  guess_in_doubt: [
    'limited',
    (guess: string, what: string) => `the guessed paginator (${guess}) ends the list, but ${what}`,
  ],
  no_paginator: ['limited', () => 'no paginator is configured and none was found: one page was read'],
  cap: ['limited', (name: string, value: number) => `${name} is ${value}`],
  trial: ['limited', (pages: number) => `the run was asked for ${count(pages, 'page')}`],
  bound: ['limited', () => 'the bound of the paginator was reached'],
  ignored: ['limited', (status: number, path: string) => `an answer ${status} was ignored (${path})`],
  skipped: ['limited', (path: string) => `a page was skipped (${path})`],
  taken_as_empty: ['limited', (path: string) => `an answer was taken for a page without records (${path})`],
  changes_lost: ['limited', () => 'what changed between the old sync token and the new one is not in the list'],
  reset: ['limited', (path: string) => `${path} sent the reading back to the start of the list`],
  stopped: ['limited', (path: string) => `${path} ended the list`],
  no_list: [
    'limited',
    () => 'the last answer has no list, although earlier ones had: it may be empty, or another kind of answer',
  ],
  list_left_out: [
    'limited',
    (path: string) => `the answer has nothing at "${path}": the list may be empty, or somewhere else`,
  ],
  list_missing: ['suspect', () => 'an answer between others has no list: its records are missing'],
  list_missing_once: [
    'limited',
    () => 'an answer before others has no list, and they have an empty one: its records may be missing',
  ],
  empty_unsaid: [
    'limited',
    (pages: number, path: string) =>
      `${pages} pages in a row have no records and lead on, and "${path}" says neither that there is more nor that there is not`,
  ],
  null_between: ['limited', () => 'an answer before others has null in place of the list: its records may be missing'],
  null_nodes: [
    'limited',
    (nodes: number) => `an answer has null for ${count(nodes, 'node')} of the connection: these records are missing`,
  ],
  other_than_list: [
    'limited',
    () => 'an answer has one object where others have a list: it may be a record, or something else',
  ],
  cut_answer: ['limited', (doubt: string) => doubt],
  job_error: ['limited', (key: string) => `the last status of the export job has "${key}"`],
  partial_error: ['limited', (key: string) => `an answer brings "${key}" besides its records`],
  total_says_more: [
    'limited',
    (path: string, total: number, records: number) =>
      `"${path}" says ${total}, but ${count(records, 'record')} arrived`,
  ],
  total_says_less: [
    'limited',
    (path: string, total: number, records: number) =>
      `"${path}" says ${total}, but ${count(records, 'record')} arrived: the list may have changed, or this is not its length`,
  ],
  pages_say_other: [
    'limited',
    (path: string, total: number, pages: number) => `"${path}" says ${total}, but ${count(pages, 'page')} arrived`,
  ],
  says_more: ['limited', (path: string) => `"${path}" says there is more`],
  last_link_further: [
    'limited',
    (path: string, last: number, pages: number) =>
      `the last page is ${last} by the link in "${path}", but ${count(pages, 'page')} arrived`,
  ],
  has_position: ['limited', (path: string) => `"${path}" has a cursor that the paginator does not follow`],
  unsettled_value: [
    'limited',
    () =>
      'the records of the last page have one value, so none leads on, and nothing shows that there are no others with it',
  ],
  keyset_ties: [
    'limited',
    (field: string, ties: boolean) =>
      ties
        ? `the API gives fewer records than fit, so some with one value at "${field}" may be missing: page by a field that is unique`
        : `several records have one value at "${field}", and those between two pages may be missing: set \`ties: true\``,
  ],
  keyset_order: [
    'limited',
    (field: string) =>
      `the records of the pages are not sorted alike by "${field}": the API may sort by something else, so others may be missing; a total of the list would tell (\`total_path\`)`,
  ],
  keyset_turned: [
    'limited',
    (field: string) =>
      `nothing came after the first page, and the API may sort by "${field}" the other way, so that all others come before it; a total of the list would tell (\`total_path\`)`,
  ],
  values_repeat: [
    'limited',
    (field: string) =>
      `values at "${field}" came again on a later page: the API may sort by something else, give records with the value that is sent once more (\`inclusive: true\`), or the list changed, so others may be missing`,
  ],
  has_before: [
    'limited',
    (path: string) =>
      `"${path}" in the first answer says that there is a page before it: the API may count from another number; set \`base_page\``,
  ],
  known_not_again: [
    'limited',
    (field: string) =>
      `the last page should have brought records again, by their value at "${field}", but is empty: the list changed, or this is not its end`,
  ],
  near_miss: [
    'limited',
    (what: string, place: string) =>
      `the answer has no ${what}, but something at "${place}": the document may have another name for it`,
  ],
  content_missing: [
    'limited',
    () => 'an answer without content ended the list, although the page before says that there is more',
  ],
  has_next: ['limited', (path: string) => `the last answer has a next page at "${path}"`],
  total_changed: [
    'limited',
    (before: number, now: number) =>
      `the API announced ${count(before, 'record')} and then ${now}: the list changed while it was read`,
  ],
  pages_changed: [
    'limited',
    (before: number, now: number) =>
      `the API announced ${count(before, 'page')} and then ${now}: the list changed while it was read`,
  ],
  size_unproven: [
    'limited',
    (size: number) =>
      `pages were asked for with ${count(size, 'record')} in the middle of the list, and nothing shows that the API counts its pages by that`,
  ],
  size_ignored: [
    'suspect',
    (size: number, records: number) =>
      `a page of ${count(size, 'record')} was asked for and has ${records}: the API does not go by the size, so records are missing`,
  ],
  came_after_end: ['limited', (path: string) => `"${path}" said that there is no more, and more came`],
  keys_repeat: [
    'limited',
    (times: number) =>
      `${count(times, 'record')} came again on a later page: the list changed while it was read, or the primary key does not tell its records apart; others may be missing`,
  ],
  texts_repeat: [
    'limited',
    (times: number) =>
      `${count(times, 'change')} came again word for word on a later page: the API repeats them, or their order changed while they were read, so others may be missing`,
  ],
  keys_shared: [
    'limited',
    (times: number) =>
      `${count(times, 'record')} ${times === 1 ? 'has' : 'have'} the primary key of a record of another parent, and other values: one row stays of each key. Add the parent to the key, by \`include_from_parent\``,
  ],
  page_repeats: ['limited', () => 'a page has the records of an earlier one: one may stand in for another'],
  same_number: [
    'limited',
    (number: number) =>
      `two answers in a row say that they are page ${number}: the API may ignore what the paginator sends`,
  ],
  filtered_pages: [
    'limited',
    () => 'the API leaves records out of its pages, so their number cannot be held against the total',
  ],
  unsettled_page: [
    'limited',
    (records: number) =>
      `the first page has ${count(records, 'record')}, fewer than the limit, and the API did not say whether it caps pages`,
  ],

  nested_no_place: [
    'limited',
    () => 'a record has something other than an object where the list belongs, so the list was not read',
  ],
  nested_fewer: [
    'limited',
    (came: number, present: number) =>
      `${count(came, 'record')} came for a record that has ${present} in its list: those of the record stay`,
  ],
  nested_other: [
    'limited',
    () =>
      'a list came without some of the records that its beginning has: the endpoint may give another list, or it changed',
  ],
  nested_again: [
    'limited',
    () => 'records of the beginning came again: the endpoint may not begin behind it, as `append` expects',
  ],

  name_repeats: [
    'limited',
    (name: string) => `an answer has "${name}" twice beside or around its records: only the last one was read`,
  ],
  key_text_changed: [
    'limited',
    (key: string) =>
      `the text of an answer could not be read as it is, and U+FFFD stands in the key ${key}, so different records may be one row: set \`endpoint.encoding\``,
  ],
  answer_in_part: ['limited', (key: string) => `an answer says "${key}": it may not be all that there is`],
  remark_for_list: [
    'limited',
    (key: string, text: string) => `an answer without records has "${key}", which says more than that: ${text}`,
  ],
  error_answer: ['suspect', (key: string, text: string) => `an answer without records has "${key}": ${text}`],
  empty_before_total: [
    'suspect',
    (records: number, at: number, remedy: string) =>
      `the API announced ${count(records, 'record')}, but the page at offset ${at} is empty; ${remedy}`,
  ],
  empty_before_last: [
    'suspect',
    (pages: number, at: number, remedy: string) =>
      `the API announced ${count(pages, 'page')}, but page ${at} of them is empty; ${remedy}`,
  ],
  start_empty: [
    'limited',
    (start: string) =>
      `nothing came after ${start}, where the list was asked for from: the API may give what comes before it; a total of the list would tell (\`total_path\`)`,
  ],
  page_zero_empty: [
    'limited',
    () => 'page 0 is empty, as it is where an API counts from 1: say in `base_page` where it begins, 0 or 1',
  ],
  broken_header: ['suspect', (header: string) => `the header ${header} names a next page, but cannot be read`],
} as const satisfies Readonly<Record<string, readonly [ListEnd['end'], (...details: never[]) => string]>>

function noWayOn(what: string): string {
  return `${what}, but no way to the next page was found; configure \`paginator\``
}

export type ReasonCode = keyof typeof table

/** An end of a list, with the reason's code from the table. */
export interface Reason extends ListEnd {
  readonly code: ReasonCode
}

/** The end of a list, for a reason from the table. */
export function because<Code extends ReasonCode>(code: Code, ...details: Parameters<(typeof table)[Code][1]>): Reason {
  const [end, sentence] = table[code] as readonly [ListEnd['end'], (...details: readonly unknown[]) => string]
  const basis = BASES[code]
  const unread = UNREAD.get(code)
  return {
    code,
    end,
    reason: sentence(...details),
    ...(OPEN.has(code) && { isOpen: true }),
    ...(basis !== undefined && { basis }),
    ...(unread !== undefined && { unread }),
  }
}

const BASES: Readonly<Partial<Record<ReasonCode, ListEnd['basis']>>> = {
  no_more: 'flag',
  one_page: 'blind',
  missing_is_end: 'blind',
  part_reached: 'part',
}

const OPEN: ReadonlySet<ReasonCode> = new Set(['never_seen', 'flag_missing', 'no_paginator'])

/** Reasons that mean: the list changed while it was read. */
const MOVED: ReadonlySet<string | undefined> = new Set<ReasonCode>([
  'keys_repeat',
  'texts_repeat',
  'total_changed',
  'pages_changed',
])
/** Reasons about a number that became outdated because the list changed. */
const OUTDATED: ReadonlySet<string | undefined> = new Set<ReasonCode>([
  'total_says_more',
  'total_says_less',
  'pages_say_other',
])

/** Whether a doubt says that a list changed (`moved`), or that a number became outdated by such a change (`outdated`). */
export function moveOf(doubt: ListEnd): 'moved' | 'outdated' | undefined {
  const code = codeOf(doubt)
  if (MOVED.has(code)) return 'moved'
  return OUTDATED.has(code) ? 'outdated' : undefined
}

function codeOf(end: ListEnd): string | undefined {
  return 'code' in end && typeof end.code === 'string' ? end.code : undefined
}

/** Reasons that mean unread records, and why they were not read. */
const UNREAD: ReadonlyMap<ReasonCode, Unread> = new Map([
  ['trial', 'run'],
  ['cap', 'document'],
  ['bound', 'document'],
  ['total_says_more', 'document'],
  ['filtered_pages', 'doubt'],
  ['pages_say_other', 'document'],
  ['total_says_less', 'doubt'],
  ['says_more', 'document'],
  ['flag_missing', 'document'],
  ['has_next', 'document'],
  ['near_miss', 'document'],
  ['perhaps_no_way_on', 'document'],
  ['guess_in_doubt', 'document'],
  ['unsettled_value', 'document'],
  ['keyset_ties', 'document'],
  ['page_zero_empty', 'document'],
  ['start_empty', 'document'],
  ['last_link_further', 'document'],
  ['has_position', 'document'],
  ['ignored', 'answer'],
  ['skipped', 'answer'],
  ['taken_as_empty', 'answer'],
  ['content_missing', 'answer'],
  ['name_repeats', 'answer'],
  ['cut_answer', 'doubt'],
  ['answer_in_part', 'doubt'],
  ['partial_error', 'doubt'],
  ['remark_for_list', 'doubt'],
  ['job_error', 'doubt'],
  ['empty_file', 'doubt'],
  ['empty_answer', 'doubt'],
  ['empty_unsaid', 'document'],
  ['null_between', 'doubt'],
  ['null_nodes', 'doubt'],
  ['no_list', 'doubt'],
  ['list_missing_once', 'doubt'],
  ['other_than_list', 'doubt'],
  ['unread_header', 'doubt'],
  ['page_repeats', 'doubt'],
  ['same_number', 'doubt'],
  ['keyset_order', 'doubt'],
  ['keyset_turned', 'document'],
  ['values_repeat', 'doubt'],
  ['has_before', 'document'],
  ['known_not_again', 'doubt'],
  ['size_unproven', 'doubt'],
  ['nested_no_place', 'doubt'],
  ['nested_fewer', 'doubt'],
  ['nested_other', 'doubt'],
  ['nested_again', 'doubt'],
  ['keys_repeat', 'moved'],
  ['texts_repeat', 'moved'],
  ['total_changed', 'moved'],
  ['pages_changed', 'moved'],
])

/** The graver ones first. */
const UNREAD_ORDER: readonly (Unread | undefined)[] = ['run', 'document', 'doubt', 'answer', 'moved', undefined]

/** The graver of two reasons why records may be unread. */
export function graverUnread(one: Unread | undefined, other: Unread | undefined): Unread | undefined {
  return UNREAD_ORDER.indexOf(one) <= UNREAD_ORDER.indexOf(other) ? one : other
}

/** All reasons with what each proves, for tests and documentation. */
export const reasonCodes: ReadonlyMap<ReasonCode, ListEnd['end']> = new Map(
  Object.entries(table).map(([code, [end]]) => [code as ReasonCode, end]),
)

/**
 * The end of a list whose page has no `what`. If an earlier page, or another list of the resource, had one, its absence
 * is how such lists end. If none ever had one, the document may be wrong, unless it says that this is the end.
 */
export function absent(what: string, isEnd: boolean): ListEnd {
  const end = because(isEnd ? 'missing_is_end' : 'never_seen', what)
  return { ...end, unlessSeen: { what, end: because('no_next', what) } }
}

/** The end of a list at a page whose flag says nothing. That an earlier page had one shows nothing of this one. */
export function withoutSaying(path: string): ListEnd {
  const end = because('flag_missing', path)
  return { ...end, unlessSeen: { what: `flag at "${path}"`, end } }
}

/** Whether a list ended because a page has no link, cursor or value that leads to another one. */
export function isWithoutNext(end: ListEnd): boolean {
  return ['no_next', 'never_seen', 'missing_is_end', 'unsettled_value'].includes(codeOf(end) ?? '')
}

/** A doubt about a list of one short page. If another list of the resource had a longer one, nothing caps pages so. */
export function perhapsCapped(records: number, end: ListEnd = because('empty_page')): ListEnd {
  const what = `page of more than ${count(records, 'record')}`
  return {
    ...because('unsettled_page', records),
    unlessSeen: { what, longerThan: records, end },
  }
}

/** What shows that page numbers begin where the first one was asked for. */
export const FILLED_PAGE = 'page with records'

/** The end of a list whose first page is empty, and may be the one before the first. */
export function perhapsBeforeFirst(): ListEnd {
  return { ...because('page_zero_empty'), unlessSeen: { what: FILLED_PAGE, end: because('empty_page') } }
}

/** What shows that an API begins with the records before those that the paginator asks for. */
export const LED_PAGE = 'page behind the first one'

/** The end of a list whose first page may be its last one. If another list of the resource went on, it is. */
export function perhapsTurned(field: string): ListEnd {
  return { ...because('keyset_turned', field), unlessSeen: { what: LED_PAGE, end: because('empty_page') } }
}

/** The end of a list without a record after the value that the document begins with. */
export function perhapsBeforeStart(start: string): ListEnd {
  return { ...because('start_empty', start), unlessSeen: { what: FILLED_PAGE, end: because('empty_page') } }
}

export function isPerhapsBeforeFirst(end: ListEnd): boolean {
  return ['page_zero_empty', 'start_empty'].includes(codeOf(end) ?? '')
}

/** Any list of the resource that was asked for saw this. */
export const VALUE_OF_PARENT = 'value of the parent'

/** The end of a list that is not asked for because the parent's record has no value for a placeholder. */
export function withoutValue(expression: string, isNull: boolean): ListEnd {
  const end = because('no_value', expression)
  return isNull ? end : { ...because('no_value_ever', expression), unlessSeen: { what: VALUE_OF_PARENT, end } }
}

/** The end of a list whose answers have a place for `what`, but it is empty. */
export function nothingLeft(what: string): ListEnd {
  return { ...because('no_next', what), saw: [what] }
}
