import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { fileError } from '../config/file/documentFile.js'
import { type Environment, proxySettings } from '../config/lookup/environment.js'
import { RequestError } from '../model/errors.js'
import { redactUrl } from '../rest/http/redact.js'
import { httpTransport } from '../rest/http/transport.js'
import type { ImportText } from './imported.js'

/** The most that is read of a source. Recordings of browsers are large. */
const MOST_SOURCE_BYTES = 64 * 2 ** 20

/** Reads a file, `-` (the standard input) or an address. Throws a ConfigError or a RequestError. */
export async function sourceText(
  source: string,
  input: AsyncIterable<Uint8Array | string> | undefined,
  { env, signal }: { readonly env: Environment; readonly signal: AbortSignal },
): Promise<ImportText> {
  if (/^https?:\/\//i.test(source)) return { file: redactUrl(source), text: await fetched(source, env, signal) }
  if (source === '-') {
    if (input === undefined) throw fileError('-', 'there is no standard input')
    return { file: source, text: textOf(await gathered(input, 'the standard input')) }
  }
  return { file: source, text: textOf(await readBounded(source)) }
}

async function readBounded(file: string): Promise<Uint8Array> {
  try {
    if ((await stat(file)).isDirectory()) throw fileError(file, 'is a folder, not a file')
    return await gathered(createReadStream(file, { highWaterMark: 2 ** 20 }), file)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENAMETOOLONG') throw fileError(file, 'does not exist')
    if (code === 'EACCES') throw fileError(file, 'may not be read by this user')
    throw error
  }
}

async function gathered(chunks: AsyncIterable<Uint8Array | string>, shown: string): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  let size = 0
  for await (const chunk of chunks) {
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk
    size += bytes.length
    if (size > MOST_SOURCE_BYTES) {
      throw fileError(shown, `is larger than ${MOST_SOURCE_BYTES / 2 ** 20} MiB; import a part of it`)
    }
    parts.push(bytes)
  }
  return Buffer.concat(parts)
}

/** Windows writes UTF-16 into files that a shell redirects to. */
function textOf(bytes: Uint8Array): string {
  const isWide = bytes[0] === 0xff && bytes[1] === 0xfe
  return new TextDecoder(isWide ? 'utf-16le' : 'utf-8').decode(bytes)
}

const MOST_REDIRECTS = 5
const TIMEOUT_MS = 60_000

/** Asks for the address alone, without credentials. */
async function fetched(address: string, env: Environment, stopped: AbortSignal): Promise<string> {
  const transport = httpTransport({ proxies: proxySettings(env) })
  const signal = AbortSignal.any([stopped, AbortSignal.timeout(TIMEOUT_MS)])
  const refuse = (url: string, why: string) =>
    new RequestError('http_status', `GET ${redactUrl(url)}: ${why}`, { method: 'GET', url: redactUrl(url) })
  try {
    for (let url = address, left = MOST_REDIRECTS; ; left--) {
      const { status, headers, body } = await transport
        .send({
          method: 'GET',
          url,
          headers: { accept: '*/*', 'accept-encoding': 'identity', 'user-agent': 'sluice' },
          signal,
          timeoutMs: { headers: TIMEOUT_MS, body: TIMEOUT_MS },
          publicOnly: url !== address,
        })
        .catch((error: Error) => {
          throw refuse(url, stopped.aborted ? 'stopped' : `no answer came (${error.message})`)
        })
      const next = headers.location === undefined ? undefined : new URL(headers.location, url)
      if (status >= 300 && status < 400 && next !== undefined && left > 0) {
        if (!/^https?:$/.test(next.protocol)) throw refuse(url, `leads to ${next.protocol}`)
        if (url.startsWith('https:') && next.protocol === 'http:') throw refuse(url, 'leads from https to http')
        url = next.href
        continue
      }
      if (status !== 200) throw refuse(url, `status ${status}`)
      return textOf(await gathered(body, redactUrl(url)))
    }
  } finally {
    await transport.close()
  }
}
