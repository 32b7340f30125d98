import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { duckdb, pipeline, restApi } from '../../src/index.js'

const loader = fileURLToPath(new URL('loader.mjs', import.meta.url))

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-lock-'))
})
afterEach(async () => {
  await rm(folder, { recursive: true, force: true })
})

/** An API whose first question is held back until it is told to answer; `asked` resolves when that came. */
async function patientApi() {
  let release = (): void => {}
  let wasAsked = (): void => {}
  const asked = new Promise<void>(resolve => {
    wasAsked = resolve
  })
  const released = new Promise<void>(resolve => {
    release = resolve
  })
  const server = createServer((_request, response) => {
    wasAsked()
    void released.then(() => {
      response.setHeader('content-type', 'application/json')
      response.end('{"orders":[{"id":1}],"shops":[],"pages":1}')
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    asked,
    release,
    close: () =>
      new Promise<void>(resolve => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function started(job: object) {
  const child = spawn(process.execPath, [loader, JSON.stringify(job)], { stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
  }
  const ended = new Promise<{ exitCode: number | null; output: string }>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', exitCode => resolve({ exitCode, output }))
  })
  return { child, ended }
}

describe('two processes that run one pipeline', () => {
  it.each([
    ['the working folder', (at: string) => ({ home: join(at, 'home') }), /is being run by process (\d+) since \d{4}-/],
    [
      'only the destination',
      (at: string, n: number) => ({ home: join(at, `home${n}`) }),
      /another process|in use|locked/i,
    ],
  ])('share %s: the second is refused and says why, the first is not disturbed', async (_what, more, message) => {
    const api = await patientApi()
    const job = { url: api.url, destination: `duckdb:${join(folder, 'shop.duckdb')}`, disposition: 'merge' }
    const first = started({ ...job, ...more(folder, 1) })
    try {
      await api.asked
      const second = await started({ ...job, ...more(folder, 2) }).ended
      expect(second.exitCode).toBe(1)
      expect(second.output).toMatch(message)
      expect(second.output).toContain(String(first.child.pid))
      expect(second.output).toContain('destination_locked')
      api.release()
      expect((await first.ended).exitCode).toBe(0)
    } finally {
      first.child.kill('SIGKILL')
      await first.ended
      await api.close()
    }
  })

  it('one after a kill of the other: the lock of a dead process does not count', async () => {
    const api = await patientApi()
    const job = {
      url: api.url,
      destination: `duckdb:${join(folder, 'shop.duckdb')}`,
      disposition: 'merge',
      home: join(folder, 'home'),
    }
    const first = started(job)
    await api.asked
    first.child.kill('SIGKILL')
    await first.ended
    api.release()
    expect(await started(job).ended).toMatchObject({ exitCode: 0 })
    await api.close()
  })
})

it('two runs of one program: the second says that it is this program', async () => {
  const api = await patientApi()
  const orders = pipeline({
    name: 'orders',
    source: restApi({
      client: { base_url: api.url },
      resources: [{ name: 'orders', endpoint: { data_selector: 'orders', paginator: 'single_page' } }],
    }),
    destination: duckdb(join(folder, 'orders.duckdb')),
    home: join(folder, 'home'),
  })
  const first = orders.run()
  await api.asked
  await expect(orders.run()).rejects.toMatchObject({
    code: 'destination_locked',
    message: expect.stringMatching(/is being run by this program since \d{4}-.*; await the run before this one$/),
  })
  api.release()
  expect((await first).rows).toEqual({ orders: 1 })
  await api.close()
})
