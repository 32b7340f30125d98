import { z } from 'zod'
import { definePaginator, proven } from './kind.js'

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
    next(page) {
      const link = linkTarget(page.headers.link, relation)
      return link === undefined ? proven(`the last page has no Link header with rel="${relation}"`) : { url: link }
    },
  }),
})

/** Target of the first link with this relation, or with this very target; empty targets count as none. */
export function linkTarget(header: string | undefined, relation: string): string | undefined {
  if (header === undefined) return undefined
  // A target in angle brackets, then parameters up to the comma that is outside of quotes.
  for (const [, target = '', parameters = ''] of header.matchAll(/<([^>]*)>((?:[^,"]|"(?:[^"\\]|\\.)*")*)/g)) {
    const relations = relationsOf(parameters)
    const matches = relations.some(name => name.toLowerCase() === relation.toLowerCase())
    if (matches && target.trim() !== '') return target.trim()
  }
  return undefined
}

/** Values of the first `rel` among a link's parameters; quoted texts are stepped over. */
function relationsOf(parameters: string): string[] {
  for (const [, name, quoted, plain] of parameters.matchAll(
    /;\s*([^\s=;,]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;,"]*))/g,
  )) {
    if (name?.toLowerCase() === 'rel') return (quoted ?? plain ?? '').trim().split(/\s+/)
  }
  return []
}
