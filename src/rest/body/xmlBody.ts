import type { BodyFormat } from '../document/declaration/formatKeys.js'
import { BodyFormatError } from './bodyError.js'
import { MOST_UNPACKED } from './zipFiles.js'

/** What happens in an XML text, in order. Names have their prefix. */
export interface XmlEvents {
  open(name: string, attributes: Readonly<Record<string, string>>): void
  close(name: string): void
  text(text: string): void
}

/** Deeper elements are an attack, or a mistake. */
const DEEPEST = 200
/** An element with more attributes is an attack: a small archive can hold millions. */
const MOST_ATTRIBUTES = 10_000
const MOST_OF_TEXT = 2 ** 26
const CHUNK_BYTES = 1 << 20

/**
 * Reads a text that is well-formed to its end; anything else throws a BodyFormatError. A document type that defines
 * something is refused, so that no entity can grow, and nothing is ever loaded from elsewhere.
 */
export async function readXml(bytes: Uint8Array, events: XmlEvents, format = 'XML'): Promise<void> {
  const { SaxesParser } = await import('saxes')
  const parser = new SaxesParser({ xmlns: false, position: true })
  let depth = 0
  let attributesOfElement = 0
  /** Where the last part that is read whole, such as a tag or a comment, was seen. */
  let seenAt = 0
  let at = 0
  const seen = (): void => {
    seenAt = at
  }
  const refuse = (problem: string): never => {
    throw new BodyFormatError(format, problem)
  }
  parser.on('doctype', text => {
    if (text.includes('[')) refuse('its document type defines entities, which are refused')
  })
  parser.on('error', error => refuse(error.message.replace(/\.$/, '')))
  parser.on('attribute', () => {
    if (++attributesOfElement > MOST_ATTRIBUTES)
      refuse(`one of its elements has more than ${MOST_ATTRIBUTES} attributes`)
  })
  parser.on('comment', seen)
  parser.on('processinginstruction', seen)
  parser.on('opentag', ({ name, attributes }) => {
    seen()
    attributesOfElement = 0
    if (++depth > DEEPEST) refuse(`its elements are more than ${DEEPEST} deep`)
    events.open(name, attributes)
  })
  parser.on('closetag', ({ name }) => {
    seen()
    depth--
    events.close(name)
  })
  parser.on('text', text => events.text(text))
  parser.on('cdata', text => events.text(text))
  const decoder = new TextDecoder('utf-8')
  for (; at < bytes.length; at += CHUNK_BYTES) {
    // The parser keeps what it has not yet seen the end of.
    if (at - seenAt > MOST_OF_TEXT) refuse(`one of its texts, tags or comments has more than ${MOST_OF_TEXT} bytes`)
    parser.write(decoder.decode(bytes.subarray(at, at + CHUNK_BYTES), { stream: true }))
  }
  parser.close()
}

/** A small archive can hold very many, and each takes memory. */
const MOST_ELEMENTS = 2 ** 24

/** The encoding that the first line of an XML text declares. */
export function xmlEncoding(body: Uint8Array): string | undefined {
  const begins = Buffer.from(body.buffer, body.byteOffset, Math.min(body.length, 200)).toString('latin1')
  return /^\s*<\?xml[^>]*?\sencoding\s*=\s*["']([\w.:-]+)["']/.exec(begins)?.[1]
}

export type XmlFormat = Extract<BodyFormat, { type: 'xml' }>

/** An element that is not closed yet. Values are JSON. */
interface Element {
  readonly name: string
  readonly path: string
  readonly attributes: ReadonlyMap<string, string>
  readonly children: Map<string, string[]>
  readonly isNull: boolean
  text: string
}

/**
 * An XML text as JSON: `{"root": {…}}`. Attributes and elements are members, values are texts. Elements that repeat are a
 * list, those of `list_elements` always. An element without anything in it is null.
 */
export async function xmlBody(bytes: Uint8Array, format: XmlFormat): Promise<Uint8Array> {
  const prefix = format.attribute_prefix ?? ''
  const textKey = format.text_key ?? 'text'
  const lists = (format.list_elements ?? []).map(listElement)
  const open: Element[] = []
  let whole = ''
  let elements = 0
  let jsonBytes = 0
  const refuse = (problem: string): never => {
    throw new BodyFormatError('XML', `${problem}; ask for fewer records at once`)
  }
  await readXml(bytes, {
    open(name, written) {
      if (++elements > MOST_ELEMENTS) refuse(`it has more than ${MOST_ELEMENTS} elements`)
      const entries = Object.entries(written).filter(([key]) => !/^xmlns(?::|$)/.test(key))
      const isNull = entries.some(([key, value]) => key === 'xsi:nil' && /^(?:true|1)$/.test(value))
      const attributes = new Map(
        entries.filter(([key]) => key !== 'xsi:nil').map(([key, text]) => [prefix + key, text]),
      )
      const path = `${open.at(-1)?.path ?? ''}.${name}`
      open.push({ name, path, attributes, children: new Map(), isNull, text: '' })
    },
    text(text) {
      const element = open.at(-1)
      if (element === undefined) return
      element.text += text
      if (element.text.length > MOST_OF_TEXT) refuse(`one of its texts has more than ${MOST_OF_TEXT} characters`)
    },
    close() {
      const element = open.pop() as Element
      for (const { last, within } of lists) {
        if (within !== '' && element.path.endsWith(within) && !element.children.has(last))
          element.children.set(last, [])
      }
      const json = elementJson(element, textKey, name => isList(lists, element.path, name))
      // What is in an element is counted once more with it.
      jsonBytes = element.children.size === 0 ? jsonBytes + json.length : Math.max(jsonBytes, json.length)
      if (jsonBytes > MOST_UNPACKED) refuse(`it is more than ${MOST_UNPACKED} bytes of JSON`)
      const parent = open.at(-1)
      if (parent === undefined) whole = `{${JSON.stringify(element.name)}:${json}}`
      else {
        const siblings = parent.children.get(element.name)
        if (siblings === undefined) parent.children.set(element.name, [json])
        else siblings.push(json)
      }
    },
  })
  return Buffer.from(whole)
}

/** The end of a path whose last element is a list: `item`, or `channel.item`. */
interface ListElement {
  readonly last: string
  /** `.channel`, or nothing. */
  readonly within: string
}

function listElement(text: string): ListElement {
  const dot = text.lastIndexOf('.')
  return { last: text.slice(dot + 1), within: dot < 0 ? '' : `.${text.slice(0, dot)}` }
}

function isList(lists: readonly ListElement[], path: string, name: string): boolean {
  return lists.some(({ last, within }) => last === name && path.endsWith(within))
}

function elementJson(element: Element, textKey: string, isListed: (name: string) => boolean): string {
  const { name, attributes, children, text, isNull } = element
  const isEmpty = attributes.size === 0 && children.size === 0
  if (isEmpty) return isNull || text === '' ? 'null' : JSON.stringify(text)
  const members: string[] = []
  const seen = new Set<string>()
  const add = (key: string, json: string): void => {
    if (seen.has(key)) throw twice(name, key)
    seen.add(key)
    members.push(`${JSON.stringify(key)}:${json}`)
  }
  for (const [key, value] of attributes) add(key, JSON.stringify(value))
  for (const [key, values] of children) {
    const [only] = values
    add(key, values.length === 1 && !isListed(key) ? (only as string) : `[${values.join(',')}]`)
  }
  // Between elements, white space is layout.
  if (text.trim() !== '') add(textKey, JSON.stringify(text))
  return `{${members.join(',')}}`
}

function twice(element: string, key: string): BodyFormatError {
  const problem = `the element <${element}> has ${JSON.stringify(key)} as attribute, as element or as its text at the same time`
  return new BodyFormatError(
    'XML that can be told apart',
    `${problem}; set \`attribute_prefix\` or \`text_key\` of \`format\``,
  )
}
