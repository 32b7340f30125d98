import type { JsonDocument, Span } from '../../json/bytes.js'
import type { JsonValue } from '../../json/value.js'
import { remembered } from '../../model/runtime/remembered.js'
import { pathOfKeys } from '../list/answer/selector.js'
import { wholeNumber } from '../paginators/paginator.js'
import { briefValue } from './briefValue.js'

/** What a member outside the records may say about other pages. */
export type HintKind =
  | 'next'
  | 'position'
  | 'last_id'
  | 'more'
  | 'last'
  | 'unfinished'
  | 'remaining'
  | 'total'
  | 'pages'
  | 'page'
  | 'offset'
  | 'limit'

/** A member of an answer, outside its lists, with a name about paging. */
export interface PagingHint {
  readonly kind: HintKind
  readonly key: string
  /** Keys of the enclosing objects, from the root. */
  readonly above: readonly string[]
  /** JSONPath of the value. */
  readonly path: string
  /** A scalar or null. */
  readonly value: JsonValue
  /** A total up to which the API counted: there may be more. */
  readonly isLeast?: boolean | undefined
}

/** A value that may lead to the next page. */
export interface NextHint {
  readonly kind: 'link' | 'cursor'
  readonly path: string
  readonly value: JsonValue
  /** Whether it leads to a page. Null, false, 0 and empty text do not. */
  readonly leads: boolean
  /** The parameter that probably carries it, if it is a cursor. */
  readonly param: string
  /** The flag that says there is more, for values that stay even on the last page. */
  readonly morePath?: string
}

/** Names without case, `_`, `-` and the prefixes of OData and Hydra. */
export const bareName: (name: string) => string = remembered(name =>
  name
    .toLowerCase()
    .replace(/[^a-z\d]/g, '')
    .replace(/^(?:odata|hydra)/, ''),
)

/** Words that may follow `next` in the name of a link or cursor. Others mean something else, as in `next_billing_date`. */
const NEXT =
  /^next(?:after|batch|bookmark|continuation|cursor|href|id|index|key|link|marker|offset|page(?:no|num|number)?|params?|path|position|query|records?|results?|scroll|set|skip|start|token|uri|url)*$/

const NAMES: readonly (readonly [HintKind, RegExp])[] = [
  ['next', NEXT],
  ['next', /^(?:continue|continuation|continuationtoken|endcursor)$/],
  ['position', /^(?:after|aftercursor|bookmark|cursor|lastseq|marker|pagetoken|scrollid|searchafter)$/],
  ['last_id', /^lastid$/],
  [
    'more',
    /^(?:has(?:more|next|additional)(?:pages?|items|results|records|rows|data)?|(?:is|are|there(?:is|are))?more(?:results|data|items|records|rows|pages)?(?:available|exists?|incollection)?|(?:is|results?|response|list|data|output)?truncated|exceeded(?:transfer|result|record)?limit|(?:(?:item|max|query|record|result|row|size)s?)?limit(?:exceeded|hit|reached))$/,
  ],
  // If such a flag is true, it may not be about the list.
  ['unfinished', /^(?:is)?(?:end|ended|final|finalpage|finished|completed|lastbatch)$/],
  [
    'remaining',
    /^(?:(?:num(?:ber)?(?:of)?)?remaining(?:count|docs|documents|entries|items?|itemcount|objects|pages|records?|recordcount|results|rows)?|(?:items|pages|records|results|rows)(?:remaining|left))$/,
  ],
  [
    'last',
    /^(?:(?:is)?(?:last|lastpage|done|complete|finished|exhausted)|eof|endof(?:stream|list|results|data|records|rows|items|pages))$/,
  ],
  [
    'total',
    /^(?:(?:opensearch|x|i)?total(?:available|count|data|docs|documents|elements|entries|found|hits|items|list|matches|number|objects|records|results|rows|size|value)?|(?:num|number|num(?:ber)?of)_?(?:available|count|docs|documents|elements|entries|found|hits|items|matches|number|objects|records|results|rows|size|value)|(?:total)?(?:filter|hit|item|object|record|result|row)s?(?:count|total)|(?:all|filtered|full|grand|overall)(?:count|total)|datatotal|(?:result|list)s?size|found|count|nbhits)$/,
  ],
  ['pages', /^(?:pages|lastpage|maxpage|(?:total|num|nb|numberof)pages?|(?:total)?pages?count|pagestotal)$/],
  ['page', /^(?:number|(?:current)?page(?:number|no|num|index)?|currentpageindex)$/],
  ['offset', /^(?:offset|pageoffset|skip|start|startat|startindex|from|startrecord)$/],
  [
    'limit',
    /^(?:limit|perpage|(?:page|max)(?:size|results|limit)|size|take|top|itemsperpage|resultsperpage|hitsperpage)$/,
  ],
]

/** What a member with this name means, whatever its value. */
export const hintKind: (name: string) => HintKind | undefined = remembered(name => {
  const bare = bareName(name)
  return NAMES.find(([, pattern]) => pattern.test(bare))?.[0]
})

const DEEPEST = 32

/** Whether a nested object is searched. */
export type Enters = (span: Span, key: string) => boolean

/**
 * Hints in nested objects, depth first, in document order. Lists are not searched, except lists of links. `enters` may
 * exclude some objects.
 */
export function pagingHints(document: JsonDocument | undefined, enters: Enters = () => true): PagingHint[] {
  const hints: PagingHint[] = []
  if (document !== undefined && document.kind(document.root) === 'object')
    collect(document, document.root, [], enters, hints)
  return hints
}

function collect(
  document: JsonDocument,
  span: Span,
  above: readonly string[],
  enters: Enters,
  hints: PagingHint[],
): void {
  const members = document.members(span)
  if (above.length > 0 && members.size > MOST_MEMBERS) return
  for (const [key, value] of members) {
    const kind = hintKind(key)
    switch (document.kind(value)) {
      case 'array':
        if (LINKS.test(key)) hints.push(...listedLink(document, value, above, key))
        if (mayLead(kind, key) && isFilledList(document, value)) hints.push(unfinished(above, key))
        break
      case 'object': {
        const found = kind === 'next' ? nextObject(document, value, above, key) : []
        if (kind === 'total') found.push(...totalObject(document, value, above, key))
        hints.push(...found)
        const leads = mayLead(kind, key) && found.length === 0 && isFilled(document, value)
        if (leads) hints.push(unfinished(above, key))
        const isOpen = !leads && found.length === 0 && above.length < DEEPEST && enters(value, key)
        if (isOpen) collect(document, value, [...above, key], enters, hints)
        break
      }
      default:
        if (DYNAMO.test(bareName(key)) && !isNothing(document.value(value))) hints.push(unfinished(above, key))
        else if (kind !== undefined && (kind !== 'remaining' || !isOfQuota(members, above))) {
          hints.push(scalarHint(document, value, above, key, kind))
        }
    }
  }
}

/** What a member means by its name. A last page may be a flag, or a number, which is then the number of pages. */
function scalarHint(
  document: JsonDocument,
  span: Span,
  above: readonly string[],
  key: string,
  named: HintKind,
): PagingHint {
  const value = document.value(span)
  const isNumber = bareName(key) === 'lastpage' && wholeNumber(value) !== undefined
  return { kind: isNumber ? 'pages' : named, key, above, path: pathOfKeys([...above, key]), value }
}

const DYNAMO = /^lastevaluatedkey$/

/** In DynamoDB and Elasticsearch a cursor may also be a list or an object. */
function mayLead(kind: HintKind | undefined, key: string): boolean {
  const bare = bareName(key)
  return (
    DYNAMO.test(bare) || bare === 'searchafter' || (kind === 'next' && !/^next(?:records|results|batch)?$/.test(bare))
  )
}

function isFilledList(document: JsonDocument, list: Span): boolean {
  const values = briefValue(document, list)
  return values === undefined || (Array.isArray(values) && values.length > 0)
}

function unfinished(above: readonly string[], key: string): PagingHint {
  return { kind: 'unfinished', key, above, path: pathOfKeys([...above, key]), value: false }
}

/** Whether an object holds something that leads on, and no separate member for a link or a cursor. */
function isFilled(document: JsonDocument, object: Span): boolean {
  const members = [...document.members(object)]
  const isPlace = ([key]: readonly [string, Span]): boolean => [TARGETS, CURSORS, POSITIONS].some(one => one.test(key))
  return !members.some(isPlace) && members.some(([, value]) => !isNothing(briefValue(document, value)))
}

function isOfQuota(members: ReadonlyMap<string, Span>, above: readonly string[]): boolean {
  return [...members.keys(), ...above.slice(-1)].some(key => OF_QUOTA.test(bareName(key)))
}

/** An object with more members is a map of records, not paging data. */
const MOST_MEMBERS = 1000

const LINKS = /^_?links?$/i

/** As in FHIR: a list of links, each with its relation. */
function listedLink(document: JsonDocument, list: Span, above: readonly string[], key: string): PagingHint[] {
  const links = briefValue(document, list)
  if (!Array.isArray(links)) return []
  for (const link of links as readonly JsonValue[]) {
    if (typeof link !== 'object' || link === null || Array.isArray(link)) continue
    const members = new Map(Object.entries(link))
    const relation = ['relation', 'rel'].find(name => members.get(name) === 'next')
    const target = ['url', 'href', 'uri'].find(name => typeof members.get(name) === 'string')
    if (relation === undefined || target === undefined) continue
    const path = `${pathOfKeys([...above, key])}[?(@.${relation}=='next')].${target}`
    return [{ kind: 'next', key: 'next', above: [...above, key], path, value: members.get(target) ?? null }]
  }
  return []
}

const TARGETS = /^(?:href|url|uri|link)/i
const CURSORS = /^(?:after|cursor|marker|startingafter|starting_after|token)$/i
const POSITIONS = /^(?:offset|start|page)$/i

/** As in HAL (`next.href`) or HubSpot (`next.after`). */
function nextObject(document: JsonDocument, span: Span, above: readonly string[], key: string): PagingHint[] {
  for (const pattern of [TARGETS, CURSORS, POSITIONS]) {
    for (const [inner, value] of document.members(span)) {
      const kind = document.kind(value)
      if (!pattern.test(inner) || kind === 'object' || kind === 'array' || kind === 'null') continue
      const keys = [...above, key]
      return [
        { kind: 'next', key: inner, above: keys, path: pathOfKeys([...keys, inner]), value: document.value(value) },
      ]
    }
  }
  return []
}

/** As in Elasticsearch: `total.value`. */
function totalObject(document: JsonDocument, span: Span, above: readonly string[], key: string): PagingHint[] {
  const value = document.members(span).get('value')
  if (value === undefined || document.kind(value) !== 'number') return []
  const keys = [...above, key, 'value']
  const relation = document.members(span).get('relation')
  const isLeast = relation !== undefined && document.value(relation) === 'gte'
  return [{ kind: 'total', key, above, path: pathOfKeys(keys), value: document.value(value), isLeast }]
}

/** Links and cursors among the hints, in their order. */
export function nextHints(hints: readonly PagingHint[]): NextHint[] {
  const more = hints.find(({ kind, value }) => kind === 'more' && value === true)
  return hints.flatMap((hint): NextHint[] => {
    const { value, path, key } = hint
    const leads = !isNothing(value)
    if (hint.kind === 'next') {
      const kind = isLink(hint) ? 'link' : 'cursor'
      const isRelay = more !== undefined && bareName(key) === 'endcursor'
      return [{ kind, path, value, leads, param: cursorParam(hint), ...(isRelay && { morePath: more.path }) }]
    }
    // Without a "there is more" flag it may be the cursor of this page.
    if (hint.kind === 'position' && more !== undefined && leads) {
      return [{ kind: 'cursor', path, value, leads, param: positionParam(key), morePath: more.path }]
    }
    // As in Airtable. A number would be the offset of this page.
    if (hint.kind === 'offset' && typeof value === 'string' && /\D/.test(value)) {
      return [{ kind: 'cursor', path, value, leads, param: key }]
    }
    return []
  })
}

/** The parameter for a cursor whose name does not contain `next`. */
export function positionParam(key: string): string {
  const bare = bareName(key)
  if (bare === 'aftercursor') return 'after'
  return bare === 'lastseq' ? 'since' : key
}

/** Whether the value leads nowhere. */
function isNothing(value: JsonValue | undefined): boolean {
  return value === null || value === false || value === 0 || value === 0n || value === ''
}

const CURSOR_WORDS = /cursor|token|marker|bookmark|scroll|continu/

/** Null under a name that is not a cursor's may be a link: most APIs end such lists this way. */
function isLink({ key, value }: PagingHint): boolean {
  const bare = bareName(key)
  if (typeof value === 'string' && /^https?:\/\//i.test(value)) return true
  if (CURSOR_WORDS.test(bare)) return false
  if (/link|ur[il]|href/.test(bare)) return value === null || typeof value === 'string'
  if (typeof value === 'string' && value !== '') return /^[/?]/.test(value)
  return value === null && bare === 'next'
}

/**
 * Name of the parameter for a cursor's name: `page_token` for `next_page_token`, `pageToken` for `nextPageToken`, but
 * `NextToken` for `NextToken`.
 */
function cursorParam({ key, above, value }: PagingHint): string {
  const name = key.replace(/^.*[.@]/, '')
  const bare = bareName(name)
  if (bare === 'endcursor') return 'after'
  // As in dlt. Only a request would show whether the number belongs into `page`.
  if (typeof value === 'number' && /^nextpage/.test(bare)) return 'cursor'
  if (bare === 'nexttoken' || !bare.startsWith('next')) return name
  const rest = name.replace(/^_?next[-_]?/i, '')
  if (rest === '') return above.some(outer => bareName(outer) === 'paging') ? 'after' : 'cursor'
  return /^n/.test(name) ? rest.charAt(0).toLowerCase() + rest.slice(1) : rest
}

/** The first whole number of this kind that is at least `least`. */
export function count(
  hints: readonly PagingHint[],
  kind: HintKind,
  least: number,
): (PagingHint & { number: number }) | undefined {
  for (const hint of hints) {
    if (hint.kind !== kind) continue
    const number = wholeNumber(hint.value)
    if (number !== undefined && number >= least) return { ...hint, number }
  }
  return undefined
}

/** Whether the name and place of a member leave no doubt that it counts all records. */
export function isSureTotal({ kind, above, key }: PagingHint): boolean {
  // By the OData standard it counts the whole list.
  if (/odata\.count$/.test(key)) return true
  // In some APIs `count` is the number on this page. Sizes and values may be about anything.
  if (kind !== 'total' || /^(?:count|found|grandtotal)$|size|value|number/.test(bareName(key))) return false
  const outer = above.at(-1)
  return outer === undefined || BESIDE_RECORDS.test(bareName(outer))
}

/** The number of all records, if it cannot mean anything else. */
export function surelyTotal(hints: readonly PagingHint[], number: number): PagingHint | undefined {
  return hints.find(hint => isSureTotal(hint) && count([hint], 'total', number)?.number === number)
}

/** The total that proves that a page with this many records is the whole list. In some APIs other numbers count the page. */
export function wholeTotal(hints: readonly PagingHint[], records: number): PagingHint | undefined {
  return surelyTotal(
    hints.filter(({ key }) => !mayCountPage(key)),
    records,
  )
}

/** Whether a number with this name may count the records on the page, as `result_count` does at X. */
export function mayCountPage(key: string): boolean {
  return /^(?:(?:filter|hit|item|object|record|result|row)s?count|num(?!found|ber).*)$/.test(bareName(key))
}

const BESIDE_RECORDS = /^(?:data|hits|links|.*(?:info|meta|metadata|page|paging|pagination|response|results?|total))$/

/** Some APIs write flags as text, and "more" flags as numbers. */
function flagOf(value: JsonValue, mayBeNumber: boolean): JsonValue {
  if (typeof value === 'string' && /^(?:true|false)$/i.test(value)) return /^true$/i.test(value)
  return mayBeNumber && typeof value === 'number' ? value > 0 : value
}

/**
 * Whether the answer says that more follows. If several flags disagree, the one that says so wins. Undefined if no flag
 * says.
 */
export function saidMore(hints: readonly PagingHint[]): { readonly more: boolean; readonly path: string } | undefined {
  const flags = hints.flatMap(({ kind, key, value, path }) => {
    const said = flagOf(value, kind === 'more')
    if (typeof said !== 'boolean' || (kind !== 'more' && kind !== 'last')) return []
    // At GitHub, a search that was not cut short says so on each page.
    if (!said && bareName(key) === 'incompleteresults') return []
    return [{ more: kind === 'more' ? said : !said, path }]
  })
  return flags.find(({ more }) => more) ?? flags[0]
}

/** Members that show that a `remaining` next to them counts requests. */
const OF_QUOTA = /quota|rate|reset|credit|calls|requests/

/** The place of a member that says that there is more. The opposite value would prove nothing. */
export function saidRest(hints: readonly PagingHint[]): string | undefined {
  return hints.find(({ kind, value }) => {
    if (kind === 'next') return flagOf(value, false) === true
    if (kind === 'unfinished') return flagOf(value, false) === false
    return kind === 'remaining' && (wholeNumber(value) ?? 0) > 0
  })?.path
}

/** The place of a cursor that may belong to this page. */
export function positionAt(hints: readonly PagingHint[]): string | undefined {
  return hints.find(({ kind, value }) => kind === 'position' && !isNothing(value))?.path
}
