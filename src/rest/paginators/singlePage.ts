import { z } from 'zod'
import { definePaginator, proven } from './kind.js'

/** One request, whatever the answer says about more. */
export const singlePage = definePaginator({
  type: 'single_page',
  aliases: [],
  shorthand: true,
  schema: z
    .strictObject({ type: z.literal('single_page') })
    .meta({ description: 'One request; links and cursors in the answer are ignored.' }),
  create: () => ({ next: () => proven('the list is one page') }),
})
