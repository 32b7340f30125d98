import type { JsonObject } from '../../../../src/json/value.js'
import type { Transport } from '../../../../src/rest/api.js'
import type { RestApiConfig } from '../../../../src/rest/document/declaration/configTypes.js'
import { type Level, type Plan, readsMore, readsTotals } from './plan.js'
import { halves, names } from './truth.js'

/** The document that reads the tree. */
export function documentOf(plan: Plan, transport: Transport): RestApiConfig {
  const document: unknown = { client: { base_url: 'http://api.test/', transport }, resources: resourcesOf(plan) }
  return document as RestApiConfig
}

export function resourcesOf({ levels, isShared, runs }: Plan): readonly JsonObject[] {
  const resources = levels.map((level, at) => {
    const hasOdd = runs.some(({ lies }) =>
      lies.some(lie => lie.level === at && lie.kind === 'a record of another type'),
    )
    return { ...resource(level, at), ...(hasOdd && strict) }
  })
  const [root] = resources
  return isShared && root !== undefined ? halves.map(name => half(root, name)) : resources
}

/** Rows of another type are discarded. */
const strict = { columns: { rev: { data_type: 'bigint' } }, schema_contract: { data_type: 'discard_row' } }

function half(root: JsonObject, name: string): JsonObject {
  return { ...root, name, table_name: names[0], endpoint: { ...(root.endpoint as JsonObject), path: `shops/${name}` } }
}

function resource(level: Level, at: number): JsonObject {
  const { style, bound, deletes, perParent: isPerParent } = level
  const above = names[at - 1]
  return {
    name: names[at] as string,
    primary_key: 'id',
    write_disposition: level.disposition,
    selected: level.selected,
    ...(deletes !== undefined && { deletes, max_delete_share: 1 }),
    ...(deletes === 'with_parent' && { include_from_parent: ['id'] }),
    endpoint: {
      path: above === undefined ? (names[at] as string) : `${above}/{resources.${above}.id}/${names[at]}`,
      ...(style.asks === 'body' && {
        method: 'POST',
        json: style.way === 'page_number' ? { page: style.base } : { all: true },
      }),
      ...(level.selector && { data_selector: style.bare ? '$' : 'records' }),
      ...(!level.auto && { paginator: paginator(level) }),
      ...(level.ignores404 && { response_actions: [{ status_code: 404, action: 'ignore' }] }),
      ...(level.incremental && {
        incremental: {
          ...(style.syncs ? { token_path: 'sync', token_param: 'since' } : { cursor_path: 'rev', initial_value: 0 }),
          ...(isPerParent && { per_parent: true }),
        },
      }),
      ...(bound !== undefined && bound.by !== 'maximum' && { [bound.by]: bound.at }),
    },
  }
}

/** Whether the document says that an empty page does not end the list. */
export function leavesRecordsOut(level: Level): boolean {
  const isCounted = level.style.way === 'offset' || level.style.way === 'page_number'
  return isCounted && !level.auto && paginator(level).stop_after_empty_page === false
}

function paginator(level: Level): JsonObject {
  const { style, slip, bound } = level
  const path = (name: string): string => (slip === 'path' ? `meta.${name}_` : name)
  const param = (name: string): string => (slip === 'param' ? `${name}_` : name)
  const place = (key: string, name: string): JsonObject =>
    style.asks === 'body' ? { [`${key}_body_path`]: param(name) } : { [`${key}_param`]: param(name) }
  const flag = style.more === 'done' ? 'done_path' : 'has_more_path'
  const hasMore = readsMore(level.reads) && style.more !== undefined ? { [flag]: path(style.more) } : {}
  const maximum = bound?.by === 'maximum' ? bound.at : undefined
  const total = (where: string | undefined): JsonObject => {
    if (level.reads === 'default') return {}
    const isRead = readsTotals(level.reads) && where !== undefined
    if (isRead && where.startsWith('X-')) return { total_header: where }
    return isRead ? { total_path: where.startsWith('@') ? `['${where}']` : path(where) } : { total_path: null }
  }
  const ends = { ...hasMore, ...total(style.total), stop_after_empty_page: level.stopAfterEmpty }
  const follows = { ...ends, stop_when_missing: level.stopsMissing }
  const stop = (isEnded: boolean): JsonObject => ({ stop_after_empty_page: level.stopAfterEmpty || !isEnded })
  switch (style.way) {
    case 'offset': {
      const counted = total(style.total)
      return {
        type: 'offset',
        limit: style.size,
        ...place('offset', 'offset'),
        ...(style.asks === 'body' && { limit_body_path: 'limit' }),
        ...counted,
        ...hasMore,
        ...stop(counted.total_path != null || flag in hasMore),
        ...(maximum !== undefined && { maximum_offset: maximum }),
      }
    }
    case 'page_number': {
      const counted = total(style.pages)
      return {
        type: 'page_number',
        base_page: style.base,
        ...place('page', 'page'),
        ...counted,
        ...hasMore,
        ...stop(counted.total_path != null || flag in hasMore),
        ...(maximum !== undefined && { maximum_page: maximum }),
      }
    }
    case 'cursor':
      return {
        type: 'cursor',
        cursor_path: path('next'),
        ...place('cursor', 'after'),
        ...follows,
      }
    case 'json_link':
      return { type: 'json_link', next_url_path: path('next'), ...follows }
    case 'header_link':
      return {
        type: 'header_link',
        ...(style.header === 'Link' ? { links_next_key: slip === 'path' ? 'nxt' : 'next' } : { header: style.header }),
        ...follows,
      }
    case 'header_cursor':
      return {
        type: 'header_cursor',
        cursor_key: slip === 'path' ? 'x-nxt' : 'x-next',
        cursor_param: param('after'),
        ...follows,
      }
    case 'keyset': {
      const { pick, mode, stopsShort } = level.keyset
      return {
        type: 'keyset',
        field: style.key,
        ...(style.asks === 'body'
          ? { body_path: param('after'), limit_body_path: 'limit' }
          : { param: param('after') }),
        limit: style.size,
        pick: pick === 'last' ? pick : style.isDescending ? 'least' : 'greatest',
        inclusive: mode === 'inclusive',
        ties: mode === 'ties',
        stop_after_short_page: stopsShort,
        ...ends,
      }
    }
    case 'single_page':
      return { type: 'single_page' }
  }
}
