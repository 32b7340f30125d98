import { fileError } from '../../../config/file/documentFile.js'
import type { Imported, ImportInput, LeftOut } from '../../imported.js'
import { requestsImported } from '../../requests/requestDocument.js'
import {
  jsonOrText,
  type Pair,
  pairsOf,
  type SourceAnswer,
  type SourceBody,
  type SourceRequest,
} from '../../requests/sourceRequest.js'
import { listOf, type Members, membersOf, sourceData, textAt } from '../../sourceData.js'

/**
 * Makes pipelines from a browser recording (HAR 1.1 and 1.2): one for each origin, with a resource for each list in the
 * answers. Cookies are left out. No request is sent.
 */
export function importHar({ text, file, name }: ImportInput): Imported {
  const shown = file ?? 'har'
  const { entries } = membersOf(membersOf(sourceData(text, shown).value).log)
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

/** The request of an entry. Undefined if it has no answer. */
function requestOf(entry: unknown, index: number): SourceRequest | undefined {
  const asked = membersOf(membersOf(entry).request)
  const answered = membersOf(membersOf(entry).response)
  const [method, url] = [textAt(asked, 'method'), textAt(asked, 'url')]
  if (method === undefined || url === undefined || !/^https?:/i.test(url)) return undefined
  const content = membersOf(answered.content)
  const headers = Object.fromEntries(pairsIn(answered.headers).map(([name, value]) => [name.toLowerCase(), value]))
  const mimeType = textAt(content, 'mimeType')
  return {
    method: method.toUpperCase(),
    url,
    headers: pairsIn(asked.headers),
    body: bodyOf(membersOf(asked.postData)),
    place: { path: `log.entries[${index}]` },
    answers: [
      {
        status: Number(answered.status) || 0,
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

function bodyOf(posted: Members): SourceBody | undefined {
  const text = textAt(posted, 'text')
  const type = textAt(posted, 'mimeType') ?? ''
  const params = pairsIn(posted.params)
  if (/^multipart\//i.test(type)) return { kind: 'parts' }
  if (/x-www-form-urlencoded/i.test(type) && (params.length > 0 || text !== undefined))
    return { kind: 'form', pairs: params.length > 0 ? params : pairsOf(text ?? '') }
  return text === undefined || text === '' ? undefined : jsonOrText(text)
}

function contentText(content: Members): string {
  const text = textAt(content, 'text') ?? ''
  return textAt(content, 'encoding') === 'base64' ? Buffer.from(text, 'base64').toString('utf8') : text
}

function pairsIn(list: unknown): Pair[] {
  return listOf(list).flatMap(pair => {
    const [name, text] = [textAt(pair, 'name'), textAt(pair, 'value')]
    return name === undefined ? [] : [[name, text ?? ''] as const]
  })
}
