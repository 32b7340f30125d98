import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { extname } from 'node:path'
import { createAdaptorServer } from '@hono/node-server'
import { Hono } from 'hono'
import type { PipelineFileOptions } from '../config/pipelineFile.js'
import { EnvironmentError, portError } from '../model/errors.js'
import type { Clock } from '../model/source.js'
import { guard } from './guard.js'
import { LoadRuns } from './loadRuns.js'
import { OpenPipelines } from './openPipelines.js'
import { routes } from './routes.js'

export interface StudioOptions {
  /** Pipeline files, or folders of them. */
  readonly paths: readonly string[]
  readonly from: PipelineFileOptions
  /** Default 0: a free one. */
  readonly port?: number | undefined
  readonly clock: Clock
  /** For each statement of the page, but for downloads. Default: 30 s. */
  readonly statementTimeoutMs?: number | undefined
}

export interface Studio {
  /** Of the page, with the token behind `#`, which browsers send to nobody. */
  readonly address: string
  /** Stops what runs. */
  close(): Promise<void>
}

/** The built page: from `dist` and from `src` it is at the same place. */
const PAGE = new URL('../../dist/page/', import.meta.url)

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
}

/**
 * Serves a page on 127.0.0.1 that shows pipelines and what they loaded. Throws a ConfigError if the port is taken, a file is not
 * there, or a folder holds no pipeline.
 */
export async function startStudio({
  paths,
  from,
  port = 0,
  clock,
  statementTimeoutMs = 30_000,
}: StudioOptions): Promise<Studio> {
  const pipelines = new OpenPipelines(paths, from)
  await pipelines.begin()
  const runs = new LoadRuns(clock)
  const token = randomBytes(24).toString('base64url')
  let hosts: ReadonlySet<string> = new Set()
  const app = new Hono()
  app.use(guard({ hosts: () => hosts, token }))
  app.get('/', async context => {
    context.header('Cache-Control', 'no-cache')
    return context.html(await asset('index.html'))
  })
  app.get('/assets/:name{[\\w.-]+\\.(?:js|css|svg)}', async context => {
    const name = context.req.param('name')
    const text = await asset(name).catch(() => undefined)
    if (text === undefined) return context.notFound()
    context.header('Content-Type', TYPES[extname(name)] ?? '')
    return context.body(text)
  })
  app.route('/', routes(pipelines, runs, { clock, statementTimeoutMs }))
  const server = createAdaptorServer({ fetch: app.fetch })
  await new Promise<void>((resolve, reject) => {
    server.once('error', error => reject(portError(error, { port })))
    server.listen(port, '127.0.0.1', resolve)
  })
  const { port: taken } = server.address() as AddressInfo
  hosts = new Set([`127.0.0.1:${taken}`, `localhost:${taken}`])
  return {
    address: `http://127.0.0.1:${taken}/#${token}`,
    async close() {
      await runs.close()
      await new Promise<void>(resolve => {
        server.close(() => resolve())
        if ('closeAllConnections' in server) server.closeAllConnections()
      })
    },
  }
}

async function asset(name: string): Promise<string> {
  try {
    return await readFile(new URL(name, PAGE), 'utf8')
  } catch (error) {
    if (name !== 'index.html') throw error
    throw new EnvironmentError('the page of the studio is not there: the package was not built whole')
  }
}
