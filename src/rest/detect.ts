import type { JsonDocument, Span } from '../core/jsonBytes.js'
import { compilePath } from '../core/path.js'
import { cursor } from './paginators/cursor.js'
import { headerLink, linkTarget } from './paginators/headerLink.js'
import { jsonLink } from './paginators/jsonLink.js'
import { limited, wholeNumber } from './paginators/kind.js'
import { pageNumber } from './paginators/pageNumber.js'
import { read } from './paginators/range.js'
import { pathOfKeys } from './selector.js'
import type { ApiPage, Paginator } from './types.js'

export interface DetectedPaginator {
  readonly paginator: Paginator
  /** As it would be configured. */
  readonly guess: string
  readonly why: string
}

/**
 * Guesses the paginator from the first page: a Link header, a link in the body, a number of pages, a cursor, else one
 * page. A guess that was wrong ends with an error at the first request that was sent before.
 */
export function detectPaginator(page: ApiPage, document: JsonDocument | undefined): DetectedPaginator {
  if (linkTarget(page.headers.link, 'next') !== undefined) {
    const paginator = headerLink.create({ type: 'header_link', links_next_key: 'next' })
    return { paginator, guess: 'header_link', why: 'the Link header has rel="next"' }
  }
  const root = document?.root
  if (document === undefined || root === undefined || document.kind(root) !== 'object') return onePage(page)
  const next = nextKey(document, root)
  const path = next === undefined ? '' : pathOfKeys(next)
  if (next !== undefined && isLink(page.first(path))) {
    const paginator = jsonLink.create({ type: 'json_link', next_url_path: path })
    return { paginator, guess: `json_link, next_url_path: ${path}`, why: `the body has a link at ${path}` }
  }
  const total = totalPages(document, root)
  if (total !== undefined) return countedPages(page, document, total)
  if (next !== undefined) {
    const paginator = cursor.create({ type: 'cursor', cursor_path: path, stop_after_empty_page: false })
    return { paginator, guess: `cursor, cursor_path: ${path}`, why: `the body has a value at ${path}` }
  }
  return onePage(page)
}

function onePage(page: ApiPage): DetectedPaginator {
  // A guess proves nothing: where a list came, there may be more of it that the answer does not tell of.
  const end =
    page.records === 0 ? undefined : limited('no paginator is configured and none was found: one page was read')
  return { paginator: { next: () => end }, guess: 'single_page', why: 'the answer tells of no other page' }
}

function isLink(value: unknown): boolean {
  return typeof value === 'string' && /^(?:http|\/)/.test(value)
}

/** Keys of the first member, depth first, whose name starts with `next`, and of `href` or `url` in it. */
function nextKey(document: JsonDocument, root: Span): string[] | undefined {
  return search(document, root, (key, span) => {
    if (!/^next/i.test(key)) return undefined
    const kind = document.kind(span)
    if (kind === 'string' || kind === 'number' || kind === 'boolean') return []
    if (kind !== 'object') return undefined
    for (const [inner, value] of document.members(span)) {
      const innerKind = document.kind(value)
      if (/^(?:href|url)/i.test(inner) && (innerKind === 'string' || innerKind === 'number')) return [inner]
    }
    return undefined
  })
}

function totalPages(document: JsonDocument, root: Span): string[] | undefined {
  return search(document, root, (key, span) => {
    if (!/^(?:total_?pages|pages)$/i.test(key)) return undefined
    return wholeNumber(scalarOf(document, span)) === undefined ? undefined : []
  })
}

/** Names under which answers say which page they are. */
const OWN_NUMBER = /^(?:(?:current_?)?page|page_?(?:number|no|index)|number)$/i

/** The number of the first page is taken from the answer, or from the request; without either it is 0, as in dlt. */
function countedPages(page: ApiPage, document: JsonDocument, total: readonly string[]): DetectedPaginator {
  const siblings = page.first(pathOfKeys(total.slice(0, -1)) || '$')
  const entries = typeof siblings === 'object' && siblings !== null ? Object.entries(siblings) : []
  const own = entries.flatMap(([key, value]) => (OWN_NUMBER.test(key) ? [wholeNumber(value)] : []))[0]
  const anywhere = own ?? ownNumber(document)
  const first = read(page.request, { param: 'page' }) ?? anywhere ?? 0
  // The base only tells where the total ends: it is 0 or 1, whichever page came first.
  const base = first === 0 || anywhere === 0 ? 0 : 1
  const path = pathOfKeys(total)
  const config = {
    type: 'page_number',
    base_page: base,
    page: first,
    total_path: path,
    stop_after_empty_page: true,
  } as const
  return {
    paginator: pageNumber.create(config),
    guess: `page_number, base_page: ${base}, total_path: ${path}`,
    why: `the body has a number of pages at ${path}${anywhere === undefined ? '' : ` and is page ${anywhere}`}`,
  }
}

function ownNumber(document: JsonDocument): number | undefined {
  const keys = search(document, document.root, (key, span) => {
    if (!OWN_NUMBER.test(key)) return undefined
    return wholeNumber(scalarOf(document, span)) === undefined ? undefined : []
  })
  return keys === undefined ? undefined : wholeNumber(document.first(compilePath(pathOfKeys(keys))))
}

function scalarOf(document: JsonDocument, span: Span) {
  const kind = document.kind(span)
  if (kind !== 'number' && kind !== 'string') return undefined
  return document.value(span)
}

const DEEPEST = 32

/** Objects within objects, depth first in document order; lists are not looked into. */
function search(
  document: JsonDocument,
  span: Span,
  found: (key: string, value: Span) => string[] | undefined,
  depth = 0,
): string[] | undefined {
  for (const [key, value] of document.members(span)) {
    const here = found(key, value)
    if (here !== undefined) return [key, ...here]
    if (document.kind(value) !== 'object' || depth >= DEEPEST) continue
    const inner = search(document, value, found, depth + 1)
    if (inner !== undefined) return [key, ...inner]
  }
  return undefined
}
