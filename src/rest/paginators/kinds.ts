import { cursor } from './cursor.js'
import { headerCursor } from './headerCursor.js'
import { headerLink } from './headerLink.js'
import { jsonLink } from './jsonLink.js'
import { offset } from './offset.js'
import { pageNumber } from './pageNumber.js'
import { singlePage } from './singlePage.js'

/** Every `paginator.type` but `auto`. A new paginator is one file and its line here. */
export const paginatorKinds = [singlePage, jsonLink, headerLink, cursor, headerCursor, pageNumber, offset] as const
