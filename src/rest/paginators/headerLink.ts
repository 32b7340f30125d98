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

/** Other relations show that the API sends the header, so that the one that is not there is no slip. */
function withoutLink(header: string | undefined, relation: string): ListEnd {
  const what = `Link header with rel="${relation}"`
  const { links, rest } = readLinks(header ?? '')
  if (rest.toLowerCase().includes(relation.toLowerCase())) return because('broken_header', 'Link')
  const hasNext = relation !== 'next' && linkTarget(header, 'next') !== undefined
  return links.length > 0 && !hasNext ? nothingLeft(what) : absent(what)
}

/** Target of the first link with this relation; empty targets count as none. */
export function linkTarget(header: string | undefined, relation: string): string | undefined {
  const wanted = relation.toLowerCase()
  return readLinks(header ?? '').links.find(
    ({ target, relations }) => target !== '' && relations.some(name => name.toLowerCase() === wanted),
  )?.target
}

interface Links {
  readonly links: readonly { readonly target: string; readonly relations: readonly string[] }[]
  /** What is left of the header when the links are taken out. */
  readonly rest: string
}

/** A target in angle brackets, then parameters up to the comma that is outside of quotes. */
const LINK = /<([^>]*)>((?:[^,"'<]|"(?:[^"\\]|\\.)*"|'[^']*')*)/g

function readLinks(header: string): Links {
  const links = [...header.matchAll(LINK)].map(([, target = '', parameters = '']) => ({
    target: target.trim(),
    relations: relationsOf(parameters),
  }))
  return { links, rest: header.replace(LINK, '') }
}

/** Values of the first `rel` among a link's parameters; quoted texts are stepped over. Single quotes are none by the standard, but are met. */
function relationsOf(parameters: string): string[] {
  for (const [, name, quoted, single, plain] of parameters.matchAll(
    /;\s*([^\s=;,]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|'([^']*)'|([^\s;,"]*))/g,
  )) {
    if (name?.toLowerCase() === 'rel') return (quoted ?? single ?? plain ?? '').trim().split(/\s+/)
  }
  return []
}
