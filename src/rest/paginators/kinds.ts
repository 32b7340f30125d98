import { cursor } from './cursor.js'
import { headerCursor } from './headerCursor.js'
import { headerLink } from './headerLink.js'
import { jsonLink } from './jsonLink.js'
import { keyset } from './keyset.js'
import { offset } from './offset.js'
import { pageNumber } from './pageNumber.js'
import { singlePage } from './singlePage.js'

/** Every `paginator.type` except `auto`. To add a paginator, add a file and its name here. */
export const paginatorKinds = [
  singlePage,
  jsonLink,
  headerLink,
  cursor,
  headerCursor,
  keyset,
  pageNumber,
  offset,
] as const
