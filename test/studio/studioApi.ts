import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { systemClock } from '../../src/pipeline/clock.js'
import type { PipelineFacts, PipelineList, RunFacts, RunNews } from '../../src/studio/pageContract.js'
import { type Studio, startStudio } from '../../src/studio/startStudio.js'
import { type Api, api } from '../rest/listServer.js'

export const SECRET = 'key-4711-$ecret'

/** 250 shops in pages of 100, each with two visits. */
export async function shopsApi(answered: () => Promise<void> = async () => {}): Promise<Api> {
  const shops = Array.from({ length: 250 }, (_, index) => ({
    id: index + 1,
    name: index === 3 ? '<img src=x onerror=alert(1)>' : `shop ${index + 1}`,
    city: ['Bonn', 'Graz', 'Ulm'][index % 3],
    rating: index % 10 === 0 ? null : index / 10,
    opened: new Date(Date.UTC(2024, 0, 1 + index)).toISOString(),
    visits: [{ guests: index }, { guests: index + 1 }],
  }))
  const served = await api(async url => {
    if (url.searchParams.get('api_key') !== SECRET) return { status: 401, json: { error: 'who?' } }
    if (url.pathname !== '/shops') return undefined
    await answered()
    const offset = Number(url.searchParams.get('offset'))
    return { json: { items: shops.slice(offset, offset + 100), total: shops.length } }
  })
  onTestFinished(() => served.close())
  return served
}

export function shopsDocument(origin: string): string {
  return `# The shops of the town.
client:
  base_url: ${origin}
  auth: { type: api_key, name: api_key, location: query, api_key: '\${secrets.api_key}' }
  paginator: { type: offset, limit: 100 }
resources:
  - name: shops
    primary_key: id
    write_disposition: merge
    endpoint: { path: shops, data_selector: items }
`
}

export interface OpenStudio extends Studio {
  readonly folder: string
  readonly origin: string
  readonly token: string
  /** Every text that the studio answered. */
  readonly answers: string[]
  ask(path: string, options?: { readonly method?: string; readonly body?: object }): Promise<StudioAnswer>
}

interface StudioAnswer {
  readonly status: number
  readonly json: never
  readonly text: string
}

/** A studio over the files of a new folder. */
export async function openStudio(
  files: Readonly<Record<string, string>>,
  paths: readonly string[] = ['.'],
  statementTimeoutMs?: number,
): Promise<OpenStudio> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-studio-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text)
  const studio = await startStudio({
    paths,
    from: { cwd: folder, env: { API_KEY: SECRET } },
    clock: systemClock,
    statementTimeoutMs,
  })
  onTestFinished(() => studio.close())
  const { origin, hash } = new URL(studio.address)
  const token = hash.slice(1)
  const answers: string[] = []
  return {
    ...studio,
    folder,
    origin,
    token,
    answers,
    async ask(path, { method, body } = {}) {
      const response = await fetch(new URL(path, origin), {
        method: method ?? (body === undefined ? 'GET' : 'POST'),
        headers: { authorization: `Bearer ${token}` },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      })
      const text = await response.text()
      answers.push(text)
      const isJson = /^application\/json\b(?!l)/.test(response.headers.get('content-type') ?? '')
      return { status: response.status, text, json: (isJson ? JSON.parse(text) : undefined) as never }
    },
  }
}

/** The only pipeline of the studio's folder. */
export async function onlyPipeline(studio: OpenStudio): Promise<PipelineFacts> {
  const { pipelines } = (await studio.ask('/api/pipelines')).json as PipelineList
  const found = pipelines.find((entry): entry is PipelineFacts => 'name' in entry)
  if (found === undefined) throw new Error('there is no pipeline')
  return found
}

/** Runs a pipeline to its end. Gives every event. */
export async function runToEnd(studio: OpenStudio, id: string, asked: object = {}): Promise<readonly RunNews[]> {
  const { run } = (await studio.ask(`/api/pipelines/${id}/runs`, { body: asked })).json as RunFacts
  const { text } = await studio.ask(`/api/runs/${run}/events`)
  return text
    .trim()
    .split('\n')
    .map(line => JSON.parse(line) as RunNews)
}
