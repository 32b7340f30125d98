import { type JsonDocument, textAt } from '../../json/bytes.js'
import { compiledPath, type JsonPath } from '../../json/path.js'
import type { JsonValue } from '../../json/value.js'
import type { ApiPage, ApiRequest, ApiResponse } from '../api.js'
import { isKeyOf, pathOfKeys } from './selector.js'

/** An answer with its selected records counted; `document` is undefined where there is no body to look into. */
export function answerPage(
  request: ApiRequest,
  response: ApiResponse,
  records: number,
  document: JsonDocument | undefined,
  excerpt: () => string,
): ApiPage {
  return {
    request,
    status: response.status,
    headers: response.headers,
    records,
    excerpt,
    first: path => document?.first(pathIn(document, path)),
    text: path => (document === undefined ? undefined : scalarText(document, pathIn(document, path))),
  }
}

/** A path that leads nowhere may be the name of one key of the body, dots and all, as `@odata.nextLink`. */
function pathIn(document: JsonDocument, text: string): JsonPath {
  const path = compiledPath(text)
  return isKeyOf(document, path) ? compiledPath(pathOfKeys([text])) : path
}

function scalarText(document: JsonDocument, path: JsonPath): string | undefined {
  const span = document.locate(path)?.[0]
  if (span === undefined) return textOf(document.first(path))
  return document.kind(span) === 'number' ? textAt(document.bytes, span) : textOf(document.value(span))
}

function textOf(value: JsonValue | undefined): string | undefined {
  return value === undefined || value === null || typeof value === 'object' ? undefined : String(value)
}
