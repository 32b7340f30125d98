import { elements, JsonDocument, valueAt } from '../../json/bytes.js'
import { isJsonObject, type JsonObject } from '../../json/value.js'
import { pagingHints } from '../../rest/evidence/pagingHints.js'
import { detectSelector, select } from '../../rest/list/answer/selector.js'
import type { DraftAnswer } from '../draft/answer.js'
import type { SourceAnswer } from './sourceRequest.js'

/** An answer of a source as a list, or why it is none. */
export function listAnswer({ status, headers, text }: SourceAnswer): DraftAnswer | { readonly why: string } {
  if (status < 200 || status > 299) return { why: `its answer has the status ${status}` }
  const body = Buffer.from(text)
  if (body.length === 0) return { why: 'its answer has no body' }
  let document: JsonDocument
  try {
    document = new JsonDocument(body)
    const { path, why, sticks } = detectSelector(document)
    if (path === undefined || !sticks) return { why: 'its answer has no list' }
    const selection = select(document, path)
    const bytes = Buffer.from(selection?.records ?? '')
    const records: JsonObject[] =
      selection === undefined
        ? []
        : elements(bytes, 0)
            .map(record => valueAt(bytes, record))
            .filter(value => isJsonObject(value))
    const count = selection?.count ?? 0
    if (count > 0 && records.length === 0) return { why: 'its list holds no objects' }
    if (path.text === '$' && document.kind(document.root) !== 'array') return { why: 'its answer has no list' }
    const hints = pagingHints(document)
    return { records, count, selector: { path: path.text, why }, hints, headers, recorded: { status, headers, body } }
  } catch {
    return { why: 'its answer is no JSON' }
  }
}
