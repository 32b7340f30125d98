import { spawn } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, onTestFinished, test } from 'vitest'
import { testApi } from '../rest/loading.js'
import { OIDC_SECRET, oidcServer } from '../rest/oidcServer.js'

const PROCESSES = 8
/** All processes together. At night there are more (`SLUICE_ROUNDS`). */
const rounds = Number(process.env.SLUICE_ROUNDS ?? 40)
/** A round takes a second or two on a busy machine. */
const timeout = 600_000 + rounds * 3_000

const renewer = fileURLToPath(new URL('renewer.mjs', import.meta.url))

function renewing(job: object): Promise<string> {
  const child = spawn(process.execPath, [renewer, JSON.stringify(job)], { stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
  }
  const ended = new Promise<string>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', () => resolve(output))
  })
  onTestFinished(async () => {
    child.kill('SIGKILL')
    await ended.catch(() => undefined)
  })
  return ended
}

test(`${PROCESSES} processes share a refresh token that rotates, and none is lost`, { timeout }, async () => {
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

test('a process that is killed while it renews a token leaves the old one, and the next run goes on with it', {
  timeout: 180_000,
}, async () => {
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
  const job = jobOf(server.origin, home)
  expect(await renewing(job)).toBe('1\n')
  const killed = spawn(process.execPath, [renewer, JSON.stringify(job)], { stdio: 'ignore' })
  const ended = new Promise(resolve => killed.once('close', (_code, signal) => resolve(signal)))
  await asked
  killed.kill('SIGKILL')
  expect(await ended).toBe('SIGKILL')
  expect(await renewing(job)).toBe('1\n')
  expect(sent).toEqual(['refresh-0', 'refresh-1', 'refresh-1'])
})

/** One renewal at a server whose first refresh token is `refresh-0`. */
function jobOf(url: string, home: string) {
  const auth = {
    type: 'oauth2_refresh_token',
    access_token_url: `${url}/token`,
    client_id: 'client',
    client_auth: 'none',
    refresh_token: 'refresh-0',
  }
  return { url, auth, home, rounds: 1 }
}

describe('a process that is killed between the answer and its place on the disk', { timeout: 180_000 }, () => {
  /** Takes the newest refresh token alone, or the one before it too, as servers with a time of grace do. */
  async function rotating(grace: 0 | 1) {
    const home = await mkdtemp(join(tmpdir(), 'sluice-renewing-'))
    onTestFinished(() => rm(home, { recursive: true, force: true }))
    let granted = 0
    const sent: string[] = []
    const server = await testApi(({ pathname }, { body, headers }) => {
      if (pathname !== '/token')
        return headers.authorization === `Bearer access-${granted}` ? { json: [{ id: 1 }] } : { status: 403, json: {} }
      const used = new URLSearchParams(body).get('refresh_token') ?? ''
      sent.push(used)
      if (Number(used.split('-')[1]) < granted - grace) return { status: 400, json: { error: 'invalid_grant' } }
      granted += 1
      return { json: { access_token: `access-${granted}`, refresh_token: `refresh-${granted}`, expires_in: 3600 } }
    })
    const job = jobOf(server.origin, home)
    const kept = async (): Promise<unknown> => {
      const folder = join(home, '.sluice', 'tokens')
      const [name = ''] = await readdir(folder)
      return JSON.parse(await readFile(join(folder, name, 'tokens.json'), 'utf8'))
    }
    expect(await renewing(job)).toBe('1\n')
    return { job, sent, kept, granted: () => granted }
  }

  test('before it is written: the old one is kept, and a server that takes it no more asks for a new sign-in', async () => {
    const { job, sent, kept, granted } = await rotating(0)
    expect(await renewing({ ...job, killedAt: 'answer' })).toBe('')
    expect(granted()).toBe(2)
    expect(await kept()).toMatchObject({ refresh_token: 'refresh-1', access_token: 'access-1' })
    const told = await renewing(job)
    expect(told).toContain('invalid_grant')
    expect(told).toContain('run `sluice auth` with the pipeline file, or put a new refresh token among the secrets')
    expect(sent).toEqual(['refresh-0', 'refresh-1', 'refresh-1'])
    const again = { ...job, auth: { ...job.auth, refresh_token: 'refresh-2' } }
    expect(await renewing(again)).toBe('1\n')
  })

  test('before it is written: the next run goes on where the server still takes the old one', async () => {
    const { job, sent } = await rotating(1)
    expect(await renewing({ ...job, killedAt: 'answer' })).toBe('')
    expect(await renewing(job)).toBe('1\n')
    expect(await renewing(job)).toBe('1\n')
    expect(sent).toEqual(['refresh-0', 'refresh-1', 'refresh-1', 'refresh-3'])
  })

  test('once it is written, before it has its name: the next run goes on with the new one', async () => {
    const { job, sent, kept } = await rotating(0)
    expect(await renewing({ ...job, killedAt: 'rename' })).toBe('')
    expect(await kept()).toMatchObject({ refresh_token: 'refresh-1' })
    expect(await renewing(job)).toBe('1\n')
    expect(sent).toEqual(['refresh-0', 'refresh-1', 'refresh-2'])
    expect(await kept()).toMatchObject({ refresh_token: 'refresh-3' })
  })
})
