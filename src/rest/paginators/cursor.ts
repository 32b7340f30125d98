import { z } from 'zod'
import type { JsonValue } from '../../json/value.js'
import type { Paginator } from '../api.js'
import { strictObject } from '../document/declaration/strictObject.js'
import { absent, nothingLeft } from '../evidence/evidence.js'
import { checkEnds, endKeys, headerName, missingKeys, withEnds } from './listEnds.js'
import { bodyPath, definePaginator, describe, jsonPath, pageError, paramName } from './paginator.js'

/** The body holds a cursor for the next request. */
export const cursor = definePaginator({
  type: 'cursor',
  aliases: [],
  shorthand: true,
  schema: strictObject(() => ({
    type: z.literal('cursor'),
    cursor_path: jsonPath.default('cursors.next').meta({ description: 'JSONPath of the cursor of the next page.' }),
    cursor_param: paramName.nullish().meta({
      description: 'Query parameter for the cursor. Default: `cursor`, unless `cursor_body_path` is given.',
    }),
    cursor_body_path: bodyPath.nullish().meta({ description: 'Place of the cursor in the JSON or form body.' }),
    ...missingKeys(),
    ...endKeys(),
  }))
    .superRefine((config, context) => {
      checkEnds(config, context)
      if (config.cursor_param != null && config.cursor_body_path != null) {
        const message = 'the cursor goes either into `cursor_param` or into `cursor_body_path`, not into both'
        context.addIssue({ code: 'custom', path: ['cursor_body_path'], message })
      }
    })
    .meta({
      description: 'Sends the cursor found in the body. No cursor, null, 0, false or an empty text ends the list.',
    }),
  create(config) {
    const target = config.cursor_body_path ?? undefined
    const param = config.cursor_param ?? 'cursor'
    const path = config.cursor_path
    const what = `cursor at "${path}"`
    const follow: Paginator = {
      goesBy: [path],
      next(page) {
        const value = page.first(path)
        if (value === undefined) return absent(what, config.stop_when_missing)
        if (isFalsy(value)) return nothingLeft(what)
        if (target !== undefined) return { body: [{ path: target, value }] }
        if (typeof value === 'object')
          throw pageError(page, `cursor_path "${path}" must give a value, but is ${describe(value)}`)
        return { params: { [param]: page.text(path) ?? String(value) } }
      },
    }
    return withEnds(follow, config)
  },
})

function isFalsy(value: JsonValue): boolean {
  if (value === null || value === '' || value === false || value === 0 || value === 0n) return true
  return typeof value === 'object' && Object.keys(value).length === 0
}

/** A response header holds a cursor for the next request. */
export const headerCursor = definePaginator({
  type: 'header_cursor',
  aliases: [],
  shorthand: true,
  schema: strictObject(() => ({
    type: z.literal('header_cursor'),
    cursor_key: headerName().default('next').meta({ description: 'Response header with the cursor.' }),
    cursor_param: paramName.default('cursor').meta({ description: 'Query parameter for the cursor.' }),
    ...missingKeys(),
    ...endKeys(),
  }))
    .superRefine(checkEnds)
    .meta({ description: 'Sends the cursor found in a header. A missing or empty header ends the list.' }),
  create(config) {
    const { cursor_key: header, cursor_param: param } = config
    const follow: Paginator = {
      goesByHeaders: true,
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
