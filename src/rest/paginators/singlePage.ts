import { z } from 'zod'
import { strictObject } from '../document/declaration/strictObject.js'
import { because } from '../evidence/evidence.js'
import { checkEnds, endKeys, withEnds } from './listEnds.js'
import { definePaginator } from './paginator.js'

/** One request, whatever the answer says about more. */
export const singlePage = definePaginator({
  type: 'single_page',
  aliases: [],
  shorthand: true,
  schema: strictObject(() => ({
    type: z.literal('single_page'),
    total_path: endKeys().total_path,
    total_header: endKeys().total_header,
  }))
    .superRefine(checkEnds)
    .meta({ description: 'One request; links and cursors in the answer are ignored.' }),
  create: config => withEnds({ goesByHeaders: true, next: () => because('one_page') }, config),
})
