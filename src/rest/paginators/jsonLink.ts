import { z } from 'zod'
import type { Paginator } from '../api.js'
import { absent, nothingLeft } from '../evidence/evidence.js'
import { checkEnds, endKeys, missingKeys, withEnds } from './listEnds.js'
import { definePaginator, describe, jsonPath, pageError } from './paginator.js'

/** The body holds the URL of the next page, absolute or relative to the page. */
export const jsonLink = definePaginator({
  type: 'json_link',
  aliases: ['json_response'],
  shorthand: true,
  schema: z
    .strictObject({
      type: z.literal(['json_link', 'json_response']),
      next_url_path: jsonPath.default('next').meta({ description: 'JSONPath of the link to the next page.' }),
      ...missingKeys,
      ...endKeys,
    })
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
