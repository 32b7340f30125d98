import { spawn } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { testApi } from '../rest/loading.js'
import { OIDC_SECRET, oidcServer } from '../rest/oidcServer.js'

const PROCESSES = 8
/** All processes together. At night there are more (`SLUICE_ROUNDS`). */
const rounds = Number(process.env.SLUICE_ROUNDS ?? 40)

const renewer = fileURLToPath(new URL('renewer.mjs', import.meta.url))

function renewing(job: object): Promise<string> {
  const child = spawn(process.execPath, [renewer, JSON.stringify(job)], { stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
  }
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', () => resolve(output))
  })
}

test(`${PROCESSES} processes share a refresh token that rotates, and none is lost`, { timeout: 600_000 }, async () => {
  const home = await mkdtemp(join(tmpdir(), 'sluice-renewing-'))
  onTestFinished(() => rm(home, { recursive: true, force: true }))
  const server = await oidcServer()
  const seen = new Set<string>()
  const api = await testApi(async (_, { headers }) => {
    const token = headers.authorization?.replace(/^Bearer /, '')
    if (!(await server.isValid(token))) return { status: 403, json: {} }
    seen.add(token ?? '')
    return { json: [{ id: 1 }] }
  })
  const auth = {
    type: 'oauth2_refresh_token',
    access_token_url: `${server.issuer}/token`,
    client_id: 'body',
    client_secret: OIDC_SECRET,
    refresh_token: await server.refreshToken(),
  }
  const each = Math.ceil(rounds / PROCESSES)
  const jobs = Array.from({ length: PROCESSES }, () => renewing({ url: api.origin, auth, home, rounds: each }))
  expect(await Promise.all(jobs)).toEqual(jobs.map(() => `${each}\n`))
  expect(server.counts).toEqual({ rotated: each * PROCESSES, revoked: 0 })
  expect(seen.size).toBe(each * PROCESSES)

  const [name = ''] = await readdir(join(home, '.sluice', 'tokens'))
  const folder = join(home, '.sluice', 'tokens', name)
  expect(await readdir(folder)).toEqual(['tokens.json'])
  expect((await stat(join(folder, 'tokens.json'))).mode & 0o777).toBe(0o600)
  expect((await stat(folder)).mode & 0o777).toBe(0o700)
  expect(await readFile(join(folder, 'tokens.json'), 'utf8')).not.toContain(auth.refresh_token)
})

test('a process that is killed while it renews a token leaves the old one, and the next run goes on with it', async () => {
  const home = await mkdtemp(join(tmpdir(), 'sluice-renewing-'))
  onTestFinished(() => rm(home, { recursive: true, force: true }))
  let [granted, isAsked] = [0, () => {}]
  const asked = new Promise<void>(resolve => {
    isAsked = resolve
  })
  const sent: string[] = []
  const server = await testApi(async ({ pathname }, { body, headers }) => {
    if (pathname !== '/token')
      return headers.authorization === `Bearer access-${granted}` ? { json: [{ id: 1 }] } : { status: 403, json: {} }
    sent.push(new URLSearchParams(body).get('refresh_token') ?? '')
    // The second answer never comes: the process that asks for it is killed meanwhile.
    if (sent.length === 2) {
      isAsked()
      await new Promise(() => {})
    }
    granted += 1
    return { json: { access_token: `access-${granted}`, refresh_token: `refresh-${granted}`, expires_in: 3600 } }
  })
  const auth = {
    type: 'oauth2_refresh_token',
    access_token_url: `${server.origin}/token`,
    client_id: 'client',
    client_auth: 'none',
    refresh_token: 'refresh-0',
  }
  const job = { url: server.origin, auth, home, rounds: 1 }
  expect(await renewing(job)).toBe('1\n')
  const killed = spawn(process.execPath, [renewer, JSON.stringify(job)], { stdio: 'ignore' })
  const ended = new Promise(resolve => killed.once('close', (_code, signal) => resolve(signal)))
  await asked
  killed.kill('SIGKILL')
  expect(await ended).toBe('SIGKILL')
  expect(await renewing(job)).toBe('1\n')
  expect(sent).toEqual(['refresh-0', 'refresh-1', 'refresh-1'])
})
