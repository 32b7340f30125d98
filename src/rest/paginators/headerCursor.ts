import { z } from 'zod'
import { absent, nothingLeft } from '../evidence/evidence.js'
import { definePaginator, paramName } from './paginator.js'

/** A response header holds a cursor for the next request. */
export const headerCursor = definePaginator({
  type: 'header_cursor',
  aliases: [],
  shorthand: true,
  schema: z
    .strictObject({
      type: z.literal('header_cursor'),
      cursor_key: z.string().min(1).default('next').meta({ description: 'Response header with the cursor.' }),
      cursor_param: paramName.default('cursor').meta({ description: 'Query parameter for the cursor.' }),
    })
    .meta({ description: 'Sends the cursor found in a header. A missing or empty header ends the list.' }),
  create: ({ cursor_key: header, cursor_param: param }) => ({
    goesBy: [header.toLowerCase()],
    next(page) {
      const value = page.headers[header.toLowerCase()]
      if (value === undefined) return absent(`header ${header}`)
      return value.trim() === '' ? nothingLeft(`header ${header}`) : { params: { [param]: value } }
    },
  }),
})
