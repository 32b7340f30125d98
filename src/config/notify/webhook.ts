import { nodeCrypto } from '../../model/runtime/nodeCrypto.js'
import { reveal, type Secret } from '../../model/secrets/secret.js'
import type { Clock } from '../../model/source.js'
import type { Proxies } from '../../rest/http/proxies.js'
import { httpTransport } from '../../rest/http/transport.js'
import type { Notice } from './notice.js'

export interface Webhook {
  readonly url: string | Secret
  readonly secret: Secret | undefined
  readonly proxies: Proxies | undefined
}

/** Waits before the second and the third attempt. */
const WAITS_MS = [300, 1_200]
/** Answers after which it is worth asking again. */
const PASSING = new Set([408, 425, 429, 500, 502, 503, 504])

/**
 * Posts a notice, signed as Standard Webhooks say, up to three times until the signal ends it. Rejects with an Error that
 * names nothing of the address but its origin: the rest is a credential at most receivers.
 */
export async function sendWebhook(
  { url, secret, proxies }: Webhook,
  notice: Notice,
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<void> {
  const address = typeof url === 'string' ? url : reveal(url)
  const where = `the webhook at ${originOf(address)}`
  const body = JSON.stringify(notice)
  const transport = httpTransport({ proxies })
  const ask = async (): Promise<number> => {
    const headers = {
      'content-type': 'application/json',
      'user-agent': 'sluice',
      ...signed(notice.id, body, secret, clock.now()),
    }
    const timeoutMs = { headers: LONGEST_WAIT_MS, body: LONGEST_WAIT_MS }
    return (await transport.send({ method: 'POST', url: address, headers, body, signal, timeoutMs })).status
  }
  try {
    for (let attempt = 1; ; attempt++) {
      const found = await ask().catch((error: unknown) => error)
      if (typeof found === 'number' && found >= 200 && found < 300) return
      const wait = WAITS_MS[attempt - 1]
      const said = typeof found === 'number' ? `answered ${found}` : `could not be reached (${reasonOf(found)})`
      const told = new Error(`${where} ${said}${attempt === 1 ? '' : ` ${attempt} times`}`)
      if (signal.aborted) throw new Error(`${where} did not answer in time`)
      if (wait === undefined || (typeof found === 'number' && !PASSING.has(found))) throw told
      await clock.sleep(wait, signal).catch(() => {
        throw told
      })
    }
  } finally {
    await transport.close()
  }
}

/** The signal ends a request earlier. */
const LONGEST_WAIT_MS = 300_000

/**
 * The headers of Standard Webhooks. What is signed holds the time, so that a notice cannot be sent again later. A key that
 * begins with `whsec_` is base64, as there; another one is taken as it is.
 */
function signed(id: string, body: string, secret: Secret | undefined, nowMs: number): Readonly<Record<string, string>> {
  const timestamp = String(Math.floor(nowMs / 1000))
  const ids = { 'webhook-id': id, 'webhook-timestamp': timestamp }
  if (secret === undefined) return ids
  const text = reveal(secret)
  const key = text.startsWith('whsec_') ? Buffer.from(text.slice('whsec_'.length), 'base64') : Buffer.from(text)
  const signature = nodeCrypto().createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')
  return { ...ids, 'webhook-signature': `v1,${signature}` }
}

function originOf(address: string): string {
  return URL.canParse(address) ? new URL(address).origin : 'an address that is no URL'
}

function reasonOf(error: unknown): string {
  const { code } = (error ?? {}) as { readonly code?: unknown }
  return typeof code === 'string' ? code : 'no connection'
}
