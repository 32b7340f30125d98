import { z } from 'zod'
import type { ListEnd } from '../../model/source.js'
import type { ApiPage, ApiRequest, Paginator } from '../api.js'
import { strictObject } from '../document/declaration/strictObject.js'
import { because } from '../evidence/evidence.js'
import { checkEnds, checkFlag, emptyPage, flagPath, maySayMore } from './listEnds.js'
import { range } from './pageNumber.js'
import { bodyPath, definePaginator, jsonPath, paramName } from './paginator.js'
import { facts, isEndless, type NumberPlace, rangeEnds, read, target, withoutFlag, write } from './range.js'
import { declaresTotal, totalOf, totalPath, totalValue, untrueTotal } from './totals.js'

const schema = strictObject(() => ({
  type: z.literal('offset'),
  limit: z
    .int()
    .nonnegative()
    .meta({ description: 'Records per page, sent with every request. 0: no limit is sent, and the API decides.' }),
  offset: z.int().nonnegative().default(0).meta({ description: 'First offset.' }),
  offset_param: paramName
    .nullish()
    .meta({ description: 'Query parameter for the offset. Default: `offset`, unless `offset_body_path` is given.' }),
  offset_body_path: bodyPath.nullish().meta({ description: 'Place of the offset in the body.' }),
  offset_template: z
    .string()
    .regex(/^[^{}]*\{offset\}[^{}]*$/, 'must hold `{offset}` once')
    .nullish()
    .meta({
      description:
        'Text of that parameter with `{offset}` in it, for APIs that want more than the number, as `{offset},50`.',
    }),
  limit_param: paramName
    .nullish()
    .meta({ description: 'Query parameter for the limit. Default: `limit`, unless `limit_body_path` is given.' }),
  limit_body_path: bodyPath.nullish().meta({ description: 'Place of the limit in the body.' }),
  total_path: jsonPath.nullish().meta({
    description:
      'JSONPath of the number of records, `total` if absent; null: there is none. Under the default path it may be missing from answers.',
  }),
  maximum_offset: z.int().nullish().meta({ description: 'The list ends before this offset.' }),
  ...rangeEnds('records'),
}))
  .superRefine((config, context) => {
    checkEnds(config, context)
    for (const name of ['offset', 'limit'] as const) {
      if (config[`${name}_param`] == null || config[`${name}_body_path`] == null) continue
      const message = `the ${name} goes either into \`${name}_param\` or into \`${name}_body_path\`, not into both`
      context.addIssue({ code: 'custom', path: [`${name}_body_path`], message })
    }
    if (config.offset_template != null && config.offset_body_path != null) {
      const message = 'is for a query parameter; in a body, `offset_body_path` takes the number alone'
      context.addIssue({ code: 'custom', path: ['offset_template'], message })
    }
    if (isEndless(config, config.maximum_offset)) {
      const message =
        'nothing ends the list: give `total_path`, `maximum_offset` or `has_more_path`, or leave `stop_after_empty_page` true'
      context.addIssue({ code: 'custom', message })
    }
  })
  .meta({
    description:
      'Counts records up to a total, an empty page, `has_more_path` or `maximum_offset`. Where the API gives fewer than `limit` although there is more, the offset advances by what arrived.',
  })

/** Where the page begins that holds the record before this one. */
function pageBefore(record: number, limit: number): number {
  return Math.floor(Math.max(record - 1, 0) / limit) * limit
}

/** Records are counted. */
export const offset = definePaginator({
  type: 'offset',
  aliases: [],
  shorthand: false,
  schema,
  create(config): Paginator {
    const mode = config.stop_after_empty_page ? undefined : 'filtered'
    return offsetPaginator(config, mode)
  },
})

type OffsetConfig = z.output<typeof schema>

function offsetPlace({ offset_param, offset_body_path, offset_template }: OffsetConfig): NumberPlace {
  const place = target(offset_param, offset_body_path, 'offset')
  const [before, after] = offset_template?.split('{offset}') ?? []
  return 'param' in place && before !== undefined && after !== undefined ? { ...place, around: [before, after] } : place
}

/**
 * `capped`: the API returns fewer records per page than requested, so the offset advances by the records that arrived.
 * `filtered`: it leaves records out of pages, so the offset advances by the limit. Undefined: not known yet. Then it
 * advances by the records that arrived if the API says that there is more.
 */
function offsetPaginator(
  config: OffsetConfig,
  mode: 'capped' | 'filtered' | undefined,
  end = Number.POSITIVE_INFINITY,
): Paginator {
  const place = offsetPlace(config)
  const limitPlace = target(config.limit_param, config.limit_body_path, 'limit')
  const { limit, maximum_offset: maximum } = config
  const flagAt = flagPath(config)
  const position = (page: ApiPage): number => read(page.request, place) ?? config.offset
  const sizeOf = (request: ApiRequest): number => (limit === 0 ? 0 : (read(request, limitPlace) ?? limit))
  const isPart = config.offset !== 0 || end !== Number.POSITIVE_INFINITY
  return {
    counts: 'records',
    isPart,
    goesBy: flagAt === undefined ? [] : [flagAt],
    first: write([place, config.offset], ...(limit === 0 ? [] : [[limitPlace, limit] as const])),
    next(page) {
      const at = position(page)
      if (config.stop_after_empty_page && page.records === 0) return emptyEnd(page, at)
      const { total, more } = facts(page, config, maximum, fewest(page, at))
      if (more === false) {
        const arrived = at + page.records
        return total !== undefined && total > arrived
          ? because('total_says_more', totalPath(config) ?? '', total, arrived - config.offset)
          : because('no_more', flagAt ?? '')
      }
      const next = at + step(page, total !== undefined || more === true)
      if (next >= end && (total === undefined || total > next)) return because('part_reached', 'records', end)
      const isAtMaximum = maximum != null && next >= maximum
      if (total !== undefined && next >= total && (isAtMaximum || more === true || !mayBeOfPage(page, at, total)))
        return more === true ? because('says_more', flagAt ?? '') : because('total_reached', total)
      if (maximum != null && next >= maximum) return because('cap', 'maximum_offset', maximum)
      return withoutFlag(config, maximum, { total, more }) ?? write([place, next])
    },
    check: first => checkFlag(first, config),
    announced(page) {
      if (maximum != null || (flagAt !== undefined && !declaresTotal(config))) return undefined
      if (end === Number.POSITIVE_INFINITY) return isPart ? undefined : total(page)
      const records = total(page)
      const last = Math.max(end, position(page) + page.records)
      return records === undefined ? undefined : Math.max(Math.min(records, last) - config.offset, 0)
    },
    saysMore: page => maySayMore(page, config) === true || (total(page) ?? 0) > position(page) + page.records,
    rest(first) {
      const size = sizeOf(first.request)
      if (size === 0 || flagAt !== undefined || first.records !== size) return undefined
      const records = total(first)
      if (records === undefined || mayBeOfPage(first, position(first), records)) return undefined
      const last = Math.min(records, maximum ?? Number.POSITIVE_INFINITY, end)
      return range(position(first) + size, last, size, value => write([place, value]))
    },
    ahead(request, last) {
      if (limit === 0) return undefined
      const next = (read(request, place) ?? config.offset) + sizeOf(request)
      const records = last === undefined ? undefined : total(last)
      if ((records !== undefined && next >= records) || next >= end) return undefined
      return maximum != null && next >= maximum ? undefined : write([place, next])
    },
    ...(mode === undefined &&
      maximum == null && {
        shortPages: {
          limit: page => sizeOf(page.request),
          behind: page => write([place, position(page) + page.records]),
          capped: offsetPaginator(config, 'capped', end),
          filtered: offsetPaginator(config, 'filtered', end),
        },
      }),
    parts:
      limit === 0 || maximum != null || (isPart && end === Number.POSITIVE_INFINITY)
        ? undefined
        : {
            page: limit,
            place: page => ({ at: position(page), length: total(page) }),
            of: (from, to) => offsetPaginator({ ...config, offset: pageBefore(from, limit) }, mode, to),
          },
  }

  function step(page: ApiPage, thereIsMore: boolean): number {
    const size = sizeOf(page.request)
    if (size === 0) return page.records
    if (mode === 'filtered' || page.records === 0) return size
    if (mode === 'capped' || page.records > size || thereIsMore) return page.records
    return size
  }

  /** A total of the list is at least what arrived. Only where an empty page ends the list, another number may be ignored. */
  function fewest(page: ApiPage, at: number): number {
    const arrived = config.stop_after_empty_page && mode !== 'filtered' ? at - config.offset : 0
    return arrived + page.records
  }

  /**
   * Whether the total may be that of the page alone: the first one is full, and holds as many records. Some APIs count
   * so. The next page tells, if an empty one ends the list.
   */
  function mayBeOfPage(page: ApiPage, at: number, total: number): boolean {
    const isFull = page.records > 0 && page.records === sizeOf(page.request)
    return config.stop_after_empty_page && at === config.offset && isFull && total === page.records
  }

  /** The total, if the page gives one. It need not. */
  function total(page: ApiPage): number | undefined {
    return totalOf(totalValue(page, config), Math.max(page.records, 0))
  }

  function emptyEnd(page: ApiPage, at: number): ListEnd {
    const records = total(page)
    return records !== undefined && records > at
      ? because('empty_before_total', records, at, untrueTotal(config, 'total'))
      : emptyPage(page, config)
  }
}
