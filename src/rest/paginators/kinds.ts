import { cursor, headerCursor } from './cursor.js'
import { keyset } from './keyset.js'
import { headerLink, jsonLink } from './nextLink.js'
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
