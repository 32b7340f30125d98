import { BodyFormatError } from './bodyError.js'

/** What happens in an XML text, in order. Names have their prefix. */
export interface XmlEvents {
  open(name: string, attributes: Readonly<Record<string, string>>): void
  close(name: string): void
  text(text: string): void
}

/** Deeper elements are an attack, or a mistake. */
const DEEPEST = 200
const CHUNK_BYTES = 1 << 20

/**
 * Reads a text that is well-formed to its end; anything else throws a BodyFormatError. A document type that defines
 * something is refused, so that no entity can grow, and nothing is ever loaded from elsewhere.
 */
export async function readXml(bytes: Uint8Array, events: XmlEvents, format = 'XML'): Promise<void> {
  const { SaxesParser } = await import('saxes')
  const parser = new SaxesParser({ xmlns: false, position: true })
  let depth = 0
  const refuse = (problem: string): never => {
    throw new BodyFormatError(format, problem)
  }
  parser.on('doctype', text => {
    if (text.includes('[')) refuse('its document type defines entities, which are refused')
  })
  parser.on('error', error => refuse(error.message.replace(/\.$/, '')))
  parser.on('opentag', ({ name, attributes }) => {
    if (++depth > DEEPEST) refuse(`its elements are more than ${DEEPEST} deep`)
    events.open(name, attributes)
  })
  parser.on('closetag', ({ name }) => {
    depth--
    events.close(name)
  })
  parser.on('text', text => events.text(text))
  parser.on('cdata', text => events.text(text))
  const decoder = new TextDecoder('utf-8')
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES) {
    parser.write(decoder.decode(bytes.subarray(at, at + CHUNK_BYTES), { stream: true }))
  }
  parser.close()
}

/** The encoding that the first line of an XML text declares. */
export function xmlEncoding(body: Uint8Array): string | undefined {
  const begins = Buffer.from(body.buffer, body.byteOffset, Math.min(body.length, 200)).toString('latin1')
  return /^\s*<\?xml[^>]*?\sencoding\s*=\s*["']([\w.:-]+)["']/.exec(begins)?.[1]
}
