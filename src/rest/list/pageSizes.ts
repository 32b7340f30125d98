import type { JsonValue } from '../../json/value.js'
import type { ListEnd } from '../../model/source.js'
import type { ApiPage, ApiRequest, ApiResponse, Paginator } from '../api.js'
import type { AdaptModel } from '../document/model.js'
import { because } from '../evidence/evidence.js'
import { meets } from '../http/answerCondition.js'
import { requestUrl } from '../http/wire.js'
import { read, valueIn, write } from '../paginators/range.js'
import { applyPatch } from '../request/request.js'
import type { KeyedRequest } from './readAhead.js'

/** So many good pages in a row let the size grow again. Each growth that fails doubles the number. */
const PAGES_BEFORE_GROWTH = 8

/**
 * The size of the pages of one list, which is halved where a page is too large for the API, and grows again after good
 * pages. Only sizes whose pages begin at the same record are taken.
 */
export class PageSizes {
  readonly #model: AdaptModel
  readonly #paginator: Paginator
  /** The size of the first request. */
  #most: number | undefined
  /** The size of the next page. */
  #size: number | undefined
  #patience = PAGES_BEFORE_GROWTH
  #good = 0
  #isGrown = false
  /** For pages that are counted: whether all pages so far had as many records as they were asked for. */
  #areFull = true
  #read = 0
  #last: ApiPage | undefined
  #unsure: ListEnd | undefined
  /** Keys of requests that were not repeated. */
  readonly #givenUp = new Set<string>()

  constructor(model: AdaptModel, paginator: Paginator) {
    this.#model = model
    this.#paginator = paginator
  }

  /** Takes the size of the first request. False if it has none. */
  begin(request: ApiRequest): boolean {
    this.#most = this.#sizeOf(request)
    this.#size = this.#most
    return this.#most !== undefined
  }

  /** Whether an answer says that the page is too large. */
  isTooLarge(response: ApiResponse): boolean {
    const { statuses, when } = this.#model
    return statuses.includes(response.status) || when.some(condition => meets(condition, response))
  }

  /** The same page with fewer records. Undefined if there is none. From now on pages have that size. */
  smaller(request: ApiRequest): ApiRequest | undefined {
    const found = this.#halved(request)
    if (found === undefined) return undefined
    if (this.#isGrown) this.#patience *= 2
    this.#isGrown = false
    this.#good = 0
    this.#size = this.#sizeOf(found)
    return found
  }

  /** Whether a page that fails is not repeated, because a smaller one can take its place. */
  isGivenUp({ request, key }: KeyedRequest, response: ApiResponse | undefined): boolean {
    if (response !== undefined && !this.isTooLarge(response)) return false
    if (this.#halved(request) === undefined) return false
    this.#givenUp.add(key)
    return true
  }

  /** Whether a page that failed was not repeated. */
  wasGivenUp({ key }: KeyedRequest): boolean {
    return this.#givenUp.delete(key)
  }

  /** Whether two pages were asked for with different sizes. */
  differ(page: ApiPage, other: ApiPage): boolean {
    return this.#sizeOf(page.request) !== this.#sizeOf(other.request)
  }

  /** Takes note of a page that came. Returns what it leaves in doubt about the list. */
  came(page: ApiPage): ListEnd | undefined {
    const size = this.#sizeOf(page.request)
    const last = this.#last
    const before = last === undefined ? undefined : this.#sizeOf(last.request)
    this.#last = page
    this.#read += 1
    this.#good += 1
    if (this.#good >= this.#patience) this.#isGrown = false
    if (this.#paginator.counts !== 'pages' || size === undefined) return undefined
    if (page.records !== size) this.#areFull = false
    if (last === undefined || before === undefined) return undefined
    if (before === size) {
      // An API with pages of one size has so few records on its last page only.
      if (this.#unsure !== undefined && page.records > 0) this.#unsure = undefined
      return undefined
    }
    const [earlier, now] = [this.#paginator.pages?.(last), this.#paginator.pages?.(page)]
    const isTold = earlier !== undefined && now !== undefined
    if (isTold && ((now - 1) * size >= earlier * before || (earlier - 1) * before >= now * size))
      return because('pages_changed', earlier, now)
    if (page.records > size) return because('size_ignored', size, page.records)
    if (isTold && earlier !== now) return undefined
    if (page.records === size) this.#unsure = because('size_unproven', size)
    return page.records === size ? undefined : because('size_unproven', size)
  }

  /** What is still in doubt at the end of the list: whether the API counts its pages by the size. */
  get unsure(): ListEnd | undefined {
    return this.#unsure
  }

  /** The next request with the size that pages have now, or with a greater one where it may grow. */
  next(request: ApiRequest): ApiRequest {
    const [size, most] = [this.#size, this.#most]
    const asked = this.#sizeOf(request)
    if (size === undefined || most === undefined || asked === undefined) return request
    const same = asked > size ? (this.#resized(request, asked, size) ?? request) : request
    if (this.#good < this.#patience || size >= most) return same
    const larger = Math.min(size * 2, most)
    const grown = this.#resized(same, size, larger)
    if (grown === undefined) return same
    this.#good = 0
    this.#size = larger
    this.#isGrown = true
    return grown
  }

  #halved(request: ApiRequest): ApiRequest | undefined {
    const size = this.#sizeOf(request)
    if (size === undefined) return undefined
    for (let smaller = Math.floor(size / 2); smaller >= this.#model.min; smaller--) {
      const found = this.#resized(request, size, smaller)
      if (found !== undefined) return found
      if (this.#paginator.resized === undefined) return undefined
    }
    return undefined
  }

  #resized(request: ApiRequest, from: number, to: number): ApiRequest | undefined {
    const { counts, isPart, resized } = this.#paginator
    if (counts === 'pages' && (!this.#areFull || (this.#read === 0 && isPart === true))) return undefined
    if (counts === undefined && resized === undefined && this.#namesPage(request)) return undefined
    const patch = resized === undefined ? {} : resized.call(this.#paginator, request, from, to)
    if (patch === undefined) return undefined
    return applyPatch(applyPatch(request, patch), write([this.#model.place, to]))
  }

  /** A link or cursor that has the number of its page leads elsewhere if the size changes. */
  #namesPage(request: ApiRequest): boolean {
    const last = this.#last
    if (last === undefined) return false
    const known = new Set(numbersIn(last.request))
    const size = String(this.#sizeOf(request))
    return numbersIn(request).some(
      number => number !== size && !known.has(number) && Math.abs(Number(number) - this.#read) <= 1,
    )
  }

  #sizeOf(request: ApiRequest): number | undefined {
    const { place } = this.#model
    const size = read(request, place) ?? ('param' in place ? inUrl(request, place.param) : undefined)
    return size !== undefined && size >= 1 && valueIn(request, place) !== null ? size : undefined
  }
}

/** A link has its parameters in the URL. */
function inUrl({ url }: ApiRequest, name: string): number | undefined {
  const text = URL.canParse(url) ? new URL(url).searchParams.get(name) : null
  return text !== null && /^\d{1,9}$/.test(text) ? Number(text) : undefined
}

/** Numbers that stand alone in the URL or the body, also in a cursor that is JSON in base64. */
function numbersIn(request: ApiRequest): string[] {
  const { searchParams, pathname } = new URL(requestUrl(request))
  const { body } = request
  const texts = [pathname, ...searchParams.values()]
  if (body?.kind === 'json') texts.push(...scalarsOf(body.value))
  if (body?.kind === 'form') texts.push(...body.pairs.map(([, value]) => value))
  return [...texts, ...texts.map(decoded)].flatMap(text => text.match(/(?<!\w)\d+(?!\w)/g) ?? [])
}

function scalarsOf(value: JsonValue): string[] {
  if (typeof value === 'object' && value !== null) return Object.values(value).flatMap(scalarsOf)
  return [String(value)]
}

/** What a text says in base64. Nothing if it is no text there: a random token holds digits by chance. */
function decoded(text: string): string {
  const inside = Buffer.from(text, 'base64').toString('latin1')
  return /^[\x20-\x7e]*$/.test(inside) ? inside : ''
}
