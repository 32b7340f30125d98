import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { onTestFinished } from 'vitest'
import type { RestApiConfig } from '../../src/index.js'
import { type Seen, serve } from '../rest/clientServer.js'

/** Memory of whole processes: the API is in this one, each load in its own. */
export interface Peak {
  readonly rows?: Readonly<Record<string, number>>
  readonly code?: string
  readonly message?: string
  readonly peakMb: number
}

const script = fileURLToPath(new URL('peak.mjs', import.meta.url))

export type Kind = 'duckdb' | 'files'

/** What becomes of a load, in a process of its own. */
export async function peakOf(
  document: RestApiConfig,
  flags: readonly string[] = [],
  kind: Kind = 'duckdb',
): Promise<Peak> {
  return await peakIn(await newHome(), document, flags, kind)
}

/** An empty folder that is removed after the test. */
export async function newHome(): Promise<string> {
  const home = await mkdtemp(join(tmpdir(), 'sluice-peak-'))
  onTestFinished(() => rm(home, { recursive: true, force: true }))
  return home
}

/** The same in a folder that may have what an earlier load left. */
export async function peakIn(
  home: string,
  document: RestApiConfig,
  flags: readonly string[] = [],
  kind: Kind = 'duckdb',
): Promise<Peak> {
  const args = [...flags, script, JSON.stringify(document), home, kind]
  const { stdout } = await promisify(execFile)(process.execPath, args)
  return JSON.parse(stdout) as Peak
}

export type Parts = Iterable<Uint8Array | string>

interface PartsAnswer {
  readonly status?: number
  readonly headers?: Record<string, string>
  readonly parts: Parts
}

/** An API that sends each body in parts, as fast as they are taken. */
export async function partsApi(answer: (request: Seen) => PartsAnswer): Promise<string> {
  const server = await serve(async (request, response) => {
    const { status = 200, headers = {}, parts } = answer(request)
    response.writeHead(status, { 'content-type': 'application/json', ...headers })
    for (const part of parts) {
      if (response.destroyed) return
      if (response.write(part)) continue
      const going = new AbortController()
      const { signal } = going
      await Promise.race([once(response, 'drain', { signal }), once(response, 'close', { signal })])
      going.abort()
    }
    response.end()
  })
  onTestFinished(() => server.close())
  return server.origin
}

export function* times(count: number, part: Uint8Array | string): Parts {
  for (let number = 0; number < count; number++) yield part
}
