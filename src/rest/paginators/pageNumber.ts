import { z } from 'zod'
import type { ListEnd } from '../../model/source.js'
import type { ApiPage, Paginator } from '../api.js'
import { strictObject } from '../document/declaration/strictObject.js'
import { because, perhapsBeforeFirst } from '../evidence/evidence.js'
import { checkEnds, checkFlag, emptyPage, flagPath, maySayMore } from './listEnds.js'
import { bodyPath, definePaginator, jsonPath, paramName } from './paginator.js'
import { facts, isEndless, rangeEnds, read, target, withoutFlag, write } from './range.js'
import { declaresTotal, totalOf, totalPath, totalValue, untrueTotal } from './totals.js'

const schema = strictObject(() => ({
  type: z.literal('page_number'),
  base_page: z.int().nullish().meta({
    description:
      "The API's number of its first page. Default: 0. An empty page 0 proves nothing then: it is empty too where an API counts from 1.",
  }),
  page: z.int().nullish().meta({ description: 'First page to request. Default: `base_page`.' }),
  page_param: paramName
    .nullish()
    .meta({ description: 'Query parameter for the number. Default: `page`, unless `page_body_path` is given.' }),
  page_body_path: bodyPath.nullish().meta({ description: 'Place of the number in the body.' }),
  total_path: jsonPath.nullish().meta({
    description:
      'JSONPath of the number of pages, `total` if absent; null: there is none. Under the default path it may be missing from answers.',
  }),
  maximum_page: z.int().nullish().meta({ description: 'The list ends before this page number.' }),
  ...rangeEnds('pages'),
}))
  .superRefine((config, context) => {
    checkEnds(config, context)
    if (config.page_param != null && config.page_body_path != null) {
      const message = 'the number goes either into `page_param` or into `page_body_path`, not into both'
      context.addIssue({ code: 'custom', path: ['page_body_path'], message })
    }
    if (isEndless(config, config.maximum_page)) {
      const message =
        'nothing ends the list: give `total_path`, `maximum_page` or `has_more_path`, or leave `stop_after_empty_page` true'
      context.addIssue({ code: 'custom', message })
    }
  })
  .meta({ description: 'Counts pages up to a total, an empty page, `has_more_path` or `maximum_page`.' })

/** Pages are counted. */
export const pageNumber = definePaginator({
  type: 'page_number',
  aliases: [],
  shorthand: true,
  schema,
  create: (config): Paginator => pageNumberPaginator(config),
})

type PageNumberConfig = z.output<typeof schema>

/** `from` and `end`: the pages of a part of the list, counted from 0. */
function pageNumberPaginator(config: PageNumberConfig, from?: number, end = Number.POSITIVE_INFINITY): Paginator {
  const place = target(config.page_param, config.page_body_path, 'page')
  const base = config.base_page ?? 0
  const start = from === undefined ? (config.page ?? base) : base + from
  const maximum = config.maximum_page
  const flagAt = flagPath(config)
  /** Where an API counts from 1, page 0 is empty, or the same as page 1. */
  const mayBeginAtOne = config.base_page == null && config.page == null
  const isPart = start !== base || end !== Number.POSITIVE_INFINITY
  const number = (page: ApiPage): number => read(page.request, place) ?? start
  return {
    counts: 'pages',
    isPart,
    goesBy: flagAt === undefined ? [] : [flagAt],
    first: write([place, start]),
    next(page) {
      if (config.stop_after_empty_page && page.records === 0) return emptyEnd(page)
      const { total, more } = facts(page, config, maximum, page.records > 0 ? 1 : 0)
      const next = number(page) + 1
      if (next - base >= end && (total === undefined || total > next - base))
        return because('part_reached', 'pages', end)
      if (more === false) {
        // Only a configured total is trusted to count pages.
        const path = totalPath(config) ?? ''
        return declaresTotal(config) && total !== undefined && next < total + base
          ? because('pages_say_other', path, total, next - base)
          : because('no_more', flagAt ?? '')
      }
      if (total !== undefined && next >= total + base) {
        return more === true
          ? because('says_more', flagAt ?? '')
          : { ...because('pages_reached', total), by: totalPath(config) }
      }
      if (maximum != null && next >= maximum) return because('cap', 'maximum_page', maximum)
      return withoutFlag(config, maximum, { total, more }) ?? write([place, next])
    },
    check: first => checkFlag(first, config),
    ...(mayBeginAtOne && { circleRemedy: 'if the API counts from 1, set base_page: 1' }),
    saysMore(page) {
      const total = declaresTotal(config) ? totalOf(totalValue(page, config), 1) : undefined
      return maySayMore(page, config) === true || (total ?? 0) + base > number(page) + 1
    },
    rest(first) {
      // In many APIs `total` counts records. Only a configured path is trusted to count pages.
      if (!declaresTotal(config) || flagAt !== undefined || first.records === 0) return undefined
      const { total } = facts(first, config, maximum, 1)
      if (total === undefined) return undefined
      const last = Math.min(total + base, maximum ?? Number.POSITIVE_INFINITY, end + base)
      return range(number(first) + 1, last, 1, value => write([place, value]))
    },
    ahead: (request, last) => {
      const next = (read(request, place) ?? start) + 1
      const total = last === undefined ? undefined : totalOf(totalValue(last, config), 1)
      if ((total !== undefined && next >= total + base) || next - base >= end) return undefined
      return maximum != null && next >= maximum ? undefined : write([place, next])
    },
    pages,
    resized(request, from, to) {
      const index = (read(request, place) ?? start) - base
      const first = index * from
      return first % to === 0 ? write([place, first / to + base]) : undefined
    },
    doubt(page, previous) {
      const [before, now] = [pages(previous), pages(page)]
      if (before === undefined || now === undefined || now === before) return undefined
      return because('pages_changed', before, now)
    },
    parts:
      !declaresTotal(config) || flagAt !== undefined || maximum != null || (isPart && end === Number.POSITIVE_INFINITY)
        ? undefined
        : {
            page: 1,
            place: page => ({ at: number(page) - base, length: pages(page) }),
            of: (first, last) => pageNumberPaginator(config, Math.max(first - 1, 0), last),
          },
  }

  /** The number of pages, if the page gives it and a path is configured that counts pages. */
  function pages(page: ApiPage): number | undefined {
    return declaresTotal(config) ? totalOf(totalValue(page, config), Math.min(page.records, 1)) : undefined
  }

  /** An API may say that an empty list has one page. */
  function emptyEnd(page: ApiPage): ListEnd {
    const announced = declaresTotal(config) ? totalOf(totalValue(page, config), 0) : undefined
    const position = number(page) - base + 1
    const end = emptyPage(page, config)
    const isPerhapsBeforeFirst = mayBeginAtOne && number(page) === 0
    if (end.end !== 'proven' || announced === undefined || announced <= 1 || position > announced) {
      const isSaid = maySayMore(page, config) !== undefined || totalOf(totalValue(page, config), 0) === 0
      return isPerhapsBeforeFirst && end.end === 'proven' && !isSaid ? perhapsBeforeFirst() : end
    }
    const remedy = isPerhapsBeforeFirst ? 'if the API counts from 1, set base_page: 1' : untrueTotal(config, 'number')
    return flagAt === undefined
      ? because('empty_before_last', announced, position, remedy)
      : because('pages_say_other', totalPath(config) ?? '', announced, position - 1)
  }
}

/** One item for each value from `start` to before `end`, at most 100,000. */
export function range<Item>(start: number, end: number, step: number, item: (value: number) => Item): Item[] {
  const items: Item[] = []
  for (let value = start; value < end && items.length < 100_000; value += step) items.push(item(value))
  return items
}
