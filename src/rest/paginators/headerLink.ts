import { z } from 'zod'
import type { ListEnd } from '../../model/source.js'
import { absent, because, nothingLeft } from '../evidence/evidence.js'
import { definePaginator } from './paginator.js'

/** The `Link` header names the next page (RFC 8288). */
export const headerLink = definePaginator({
  type: 'header_link',
  aliases: [],
  shorthand: true,
  schema: z
    .strictObject({
      type: z.literal('header_link'),
      links_next_key: z
        .string()
        .min(1)
        .default('next')
        .meta({ description: 'Relation (`rel`) of the link to the next page.' }),
    })
    .meta({ description: 'Follows the Link header. A missing relation ends the list.' }),
  create: ({ links_next_key: relation }) => ({
    goesBy: relation === 'next' ? ['link'] : [],
    next(page) {
      const link = linkTarget(page.headers.link, relation)
      return link === undefined ? withoutLink(page.headers.link, relation) : { url: link }
    },
  }),
})

/** Other relations prove that the API sends the header, so a missing one is not a mistake in the document. */
function withoutLink(header: string | undefined, relation: string): ListEnd {
  const what = `Link header with rel="${relation}"`
  const { links, rest } = readLinks(header ?? '')
  if (rest.toLowerCase().includes(relation.toLowerCase())) return because('broken_header', 'Link')
  // A truncated link may lead to any page.
  if (rest.includes('<') || (links.length === 0 && rest.trim() !== '')) return because('unread_header', 'Link')
  const hasNext = relation !== 'next' && linkTarget(header, 'next') !== undefined
  return links.length > 0 && !hasNext ? nothingLeft(what) : absent(what)
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
