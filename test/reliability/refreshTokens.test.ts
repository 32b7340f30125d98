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
