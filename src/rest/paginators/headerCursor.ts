import { z } from 'zod'
import type { Paginator } from '../api.js'
import { absent, nothingLeft } from '../evidence/evidence.js'
import { checkEnds, endKeys, headerName, missingKeys, withEnds } from './listEnds.js'
import { definePaginator, paramName } from './paginator.js'

/** A response header holds a cursor for the next request. */
export const headerCursor = definePaginator({
  type: 'header_cursor',
  aliases: [],
  shorthand: true,
  schema: z
    .strictObject({
      type: z.literal('header_cursor'),
      cursor_key: headerName().default('next').meta({ description: 'Response header with the cursor.' }),
      cursor_param: paramName.default('cursor').meta({ description: 'Query parameter for the cursor.' }),
      ...missingKeys,
      ...endKeys,
    })
    .superRefine(checkEnds)
    .meta({ description: 'Sends the cursor found in a header. A missing or empty header ends the list.' }),
  create(config) {
    const { cursor_key: header, cursor_param: param } = config
    const follow: Paginator = {
      goesBy: [header.toLowerCase()],
      next(page) {
        const value = page.headers[header.toLowerCase()]
        if (value === undefined) return absent(`header ${header}`, config.stop_when_missing)
        return value.trim() === '' ? nothingLeft(`header ${header}`) : { params: { [param]: value } }
      },
    }
    return withEnds(follow, config)
  },
})
