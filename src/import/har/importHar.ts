import { fileError } from '../../config/documentFile.js'
import type { Imported, ImportInput, LeftOut } from '../imported.js'
import { requestsImported } from '../requests/requestDocument.js'
import {
  type Pair,
  pairsOf,
  type SourceAnswer,
  type SourceBody,
  type SourceRequest,
} from '../requests/sourceRequest.js'
import { sourceData } from '../sourceData.js'

/**
 * Makes pipelines of a recording of a browser (HAR 1.1 and 1.2): one for each origin, with a resource for each list that
 * was answered. Cookies are left out. Sends nothing.
 */
export function importHar({ text, file, name }: ImportInput): Imported {
  const shown = file ?? 'har'
  const entries = member(member(sourceData(text, shown).value, 'log'), 'entries')
  if (!Array.isArray(entries)) throw fileError(shown, 'is no HAR file: it has no list at log.entries')
  const requests: SourceRequest[] = []
  const others = new Map<string, number>()
  for (const [index, entry] of entries.entries()) {
    const request = requestOf(entry, index)
    if (request === undefined) continue
    const kind = otherKind(request.answers[0])
    if (kind === undefined) requests.push(request)
    else others.set(kind, (others.get(kind) ?? 0) + 1)
  }
  const imported = requestsImported(requests, { name, source: 'recording', findsIds: true, keepsCookies: false })
  return { ...imported, leftOut: [...imported.leftOut, ...[...others].map(leftOutOf)] }
}

function leftOutOf([kind, count]: readonly [string, number]): LeftOut {
  return { what: `${count} ${count === 1 ? 'request' : 'requests'}`, why: `answered with ${kind}, not with JSON` }
}

/** A request that was answered. Undefined for what is none. */
function requestOf(entry: unknown, index: number): SourceRequest | undefined {
  const asked = member(entry, 'request')
  const answered = member(entry, 'response')
  const [method, url] = [textAt(asked, 'method'), textAt(asked, 'url')]
  if (method === undefined || url === undefined || !/^https?:/i.test(url)) return undefined
  const content = member(answered, 'content')
  const headers = Object.fromEntries(pairsAt(answered, 'headers').map(([name, value]) => [name.toLowerCase(), value]))
  const mimeType = textAt(content, 'mimeType')
  return {
    method: method.toUpperCase(),
    url,
    headers: pairsAt(asked, 'headers'),
    body: bodyOf(member(asked, 'postData')),
    place: { path: `log.entries[${index}]` },
    answers: [
      {
        status: Number(member(answered, 'status')) || 0,
        headers: { ...(mimeType !== undefined && { 'content-type': mimeType }), ...headers },
        text: contentText(content),
      },
    ],
  }
}

/** What an answer is that is no data: an image, a page, a script. Undefined if it may be JSON. */
function otherKind({ headers, text }: SourceAnswer = { status: 0, headers: {}, text: '' }): string | undefined {
  const type = (headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase() ?? ''
  if (type === '' || /json|^text\/plain$|^application\/(?:octet-stream|x-unknown)$/.test(type)) return undefined
  return /^\s*[[{]/.test(text) && !/javascript|html|css|xml/.test(type) ? undefined : type
}

function bodyOf(posted: unknown): SourceBody | undefined {
  const text = textAt(posted, 'text')
  const type = textAt(posted, 'mimeType') ?? ''
  const params = pairsAt(posted, 'params')
  if (/x-www-form-urlencoded/i.test(type) && (params.length > 0 || text !== undefined))
    return { kind: 'form', pairs: params.length > 0 ? params : pairsOf(text ?? '') }
  if (text === undefined || text === '') return undefined
  try {
    return { kind: 'json', value: JSON.parse(text) }
  } catch {
    return { kind: 'text', text }
  }
}

function contentText(content: unknown): string {
  const text = textAt(content, 'text') ?? ''
  return textAt(content, 'encoding') === 'base64' ? Buffer.from(text, 'base64').toString('utf8') : text
}

function pairsAt(value: unknown, key: string): Pair[] {
  const list = member(value, key)
  if (!Array.isArray(list)) return []
  return list.flatMap(pair => {
    const [name, text] = [textAt(pair, 'name'), textAt(pair, 'value')]
    return name === undefined ? [] : [[name, text ?? ''] as const]
  })
}

function member(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, key)
    ? (value as Readonly<Record<string, unknown>>)[key]
    : undefined
}

function textAt(value: unknown, key: string): string | undefined {
  const found = member(value, key)
  return typeof found === 'string' ? found : undefined
}
