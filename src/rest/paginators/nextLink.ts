import { z } from 'zod'
import { shortened } from '../../model/errors.js'
import type { ListEnd } from '../../model/source.js'
import type { ApiPage, Paginator } from '../api.js'
import { strictObject } from '../document/declaration/strictObject.js'
import { absent, because, nothingLeft } from '../evidence/evidence.js'
import { checkEnds, endKeys, headerName, missingKeys, withEnds } from './listEnds.js'
import { definePaginator, describe, jsonPath, pageError } from './paginator.js'

/** The body holds the URL of the next page, absolute or relative to the page. */
export const jsonLink = definePaginator({
  type: 'json_link',
  aliases: ['json_response'],
  shorthand: true,
  schema: strictObject(() => ({
    type: z.literal(['json_link', 'json_response']),
    next_url_path: jsonPath.default('next').meta({ description: 'JSONPath of the link to the next page.' }),
    ...missingKeys(),
    ...endKeys(),
  }))
    .superRefine(checkEnds)
    .meta({
      description:
        'Follows a link in the body. It replaces the URL with its query; method, headers and body stay. No link, null or an empty text ends the list.',
    }),
  create(config) {
    const { next_url_path: path } = config
    const what = `next link at "${path}"`
    const follow: Paginator = {
      goesBy: [path],
      next(page) {
        const link = page.first(path)
        if (link === undefined) return absent(what, config.stop_when_missing)
        if (typeof link === 'string' && link.trim() !== '') return { url: link.trim() }
        if (link === null || link === false || link === 0 || typeof link === 'string') return nothingLeft(what)
        throw pageError(page, `next_url_path "${path}" must give a URL, but is ${describe(link)}`)
      },
    }
    return withEnds(follow, config)
  },
})

/** The `Link` header names the next page (RFC 8288). */
export const headerLink = definePaginator({
  type: 'header_link',
  aliases: [],
  shorthand: true,
  schema: strictObject(() => ({
    type: z.literal('header_link'),
    links_next_key: z
      .string()
      .min(1)
      .default('next')
      .meta({ description: 'Relation (`rel`) of the link to the next page.' }),
    header: headerName()
      .default('Link')
      .meta({
        description: 'Response header with the link: in the form of `Link`, or a URL alone.',
        examples: ['Next-Page'],
      }),
    ...missingKeys(),
    ...endKeys(),
  }))
    .superRefine(checkEnds)
    .meta({
      description:
        'Follows a link in a header, the Link header if no other is named. A missing relation ends the list.',
    }),
  create(config) {
    const { links_next_key: relation, header } = config
    const name = header.toLowerCase()
    const follow: Paginator = {
      goesByHeaders: true,
      goesBy: name !== 'link' || relation === 'next' ? [name] : [],
      next(page) {
        const text = page.headers[name]
        if (name !== 'link' && text?.includes('<') !== true) return plainLink(page, text, config)
        const link = linkTarget(text, relation)
        return link === undefined ? withoutLink(text, config) : { url: link }
      },
    }
    return withEnds(follow, config)
  },
})

interface LinkKeys {
  readonly links_next_key: string
  readonly header: string
  readonly stop_when_missing: boolean
}

/** Other relations prove that the API sends the header, so a missing one is not a mistake in the document. */
function withoutLink(text: string | undefined, { links_next_key: relation, header, ...config }: LinkKeys): ListEnd {
  const what = `${header} header with rel="${relation}"`
  const { links, rest } = readLinks(text ?? '')
  if (rest.toLowerCase().includes(relation.toLowerCase())) return because('broken_header', header)
  // A truncated link may lead to any page.
  if (rest.includes('<') || (links.length === 0 && rest.trim() !== '')) return because('unread_header', header)
  const leads = links.some(({ target, relations }) => target !== '' && relations.some(name => /next/i.test(name)))
  if (leads && relation === 'next') return because('has_next', header)
  return links.length > 0 && !leads ? nothingLeft(what) : absent(what, config.stop_when_missing)
}

/** A header that holds the URL alone. */
function plainLink(page: ApiPage, text: string | undefined, { header, stop_when_missing }: LinkKeys) {
  const what = `header ${header}`
  if (text === undefined) return absent(what, stop_when_missing)
  const url = text.trim()
  if (url === '') return nothingLeft(what)
  if (/^https?:\/\/|[/?]/i.test(url) && !/\s/.test(url)) return { url }
  const problem = `the header ${header} must give a URL, but is ${JSON.stringify(shortened(url, 40))}; for a number or a cursor use header_cursor`
  throw pageError(page, problem)
}

/** Target of the first link with this relation. Empty targets do not count. */
export function linkTarget(header: string | undefined, relation: string): string | undefined {
  const wanted = relation.toLowerCase()
  return readLinks(header ?? '').links.find(
    ({ target, relations }) => target !== '' && relations.some(name => name.toLowerCase() === wanted),
  )?.target
}

interface Links {
  readonly links: readonly { readonly target: string; readonly relations: readonly string[] }[]
  /** The header without its links. */
  readonly rest: string
}

const TARGET = /<([^<>]*)>/g
/** One parameter of a link. Single quotes are not standard, but occur. A quote that is never closed is no value. */
const PARAMETER = /\s*;\s*([^\s=;,<"']*)\s*(?:=\s*(?:"((?:[^"\\]|\\.)*)"|'([^']*)'|([^\s;,"<]*)))?/y

/** Reads the header once, whatever it contains. If a link has several `rel` parameters, the first counts. */
function readLinks(header: string): Links {
  const links: Links['links'][number][] = []
  let rest = ''
  let at = 0
  for (let link = matchAt(TARGET, header, at); link !== null; link = matchAt(TARGET, header, at)) {
    rest += header.slice(at, link.index)
    at = TARGET.lastIndex
    let relations: readonly string[] | undefined
    for (let found = matchAt(PARAMETER, header, at); found !== null; found = matchAt(PARAMETER, header, at)) {
      const [, name = '', quoted, single, plain = ''] = found
      if (name.toLowerCase() === 'rel') relations ??= (quoted ?? single ?? plain).trim().split(/\s+/)
      at = PARAMETER.lastIndex
    }
    links.push({ target: (link[1] ?? '').trim(), relations: relations ?? [] })
  }
  return { links, rest: rest + header.slice(at) }
}

function matchAt(pattern: RegExp, text: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at
  return pattern.exec(text)
}
