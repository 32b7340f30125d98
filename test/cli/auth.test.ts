import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { stringify } from 'yaml'
import { sluice } from '../../src/cli/program.js'
import { systemClock } from '../../src/pipeline/clock.js'
import { testApi } from '../rest/loading.js'
import { person } from '../rest/oidcPerson.js'
import { OIDC_SECRET, oidcServer } from '../rest/oidcServer.js'

afterEach(() => vi.unstubAllEnvs())

/** A pipeline of an API that takes tokens of a real server, whose document has no refresh token. */
async function signedOut(more: (issuer: string) => object = () => ({})) {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-auth-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const server = await oidcServer()
  const api = await testApi(async (_, { headers }) => {
    const isValid = await server.isValid(headers.authorization?.replace(/^Bearer /, ''))
    return isValid ? { json: [{ id: 1 }] } : { status: 401, json: {} }
  })
  const auth = {
    type: 'oauth2_refresh_token',
    access_token_url: `${server.issuer}/token`,
    authorization_url: `${server.issuer}/auth`,
    device_authorization_url: `${server.issuer}/device/auth`,
    client_id: 'body',
    client_secret: '${secrets.client_secret}',
    scope: 'openid offline_access',
    ...more(server.issuer),
  }
  vi.stubEnv('CLIENT_SECRET', OIDC_SECRET)
  const file = join(folder, 'things.yaml')
  await writeFile(file, stringify({ client: { base_url: api.origin, auth }, resources: ['things'] }))
  return { folder, file, server, api }
}

interface Shown {
  readonly code: number
  readonly printed: string
}

/** The command, and what happens when it prints a line. */
async function command(
  args: readonly string[],
  seen: (line: string) => void = () => {},
  { signal = new AbortController().signal, sleep = systemClock.sleep } = {},
): Promise<Shown> {
  const printed: string[] = []
  const output = {
    isTerminal: false,
    columns: () => 80,
    rows: () => 24,
    write: (text: string) => void printed.push(text),
    line: (text = '') => {
      printed.push(text)
      seen(text)
    },
    styled: (_style: string, text: string) => text,
  }
  const code = await sluice(args, {
    terminal: { out: output, err: output },
    signal,
    now: () => 0,
    clock: { ...systemClock, sleep },
    version: '0.0.0',
    typedAs: 'sluice',
  })
  return { code, printed: printed.join('\n') }
}

const isAddress = (line: string): boolean => line.startsWith('http')

describe('sluice auth', () => {
  test('signs in by the browser with PKCE, and runs work from then on', async () => {
    const { folder, file, server } = await signedOut()
    const before = await command(['run', file])
    expect(before).toMatchObject({ code: 1, printed: expect.stringContaining('run `sluice auth`') })
    const pages: Promise<string>[] = []
    const { code, printed } = await command(['auth', file, '--no-open'], line => {
      if (isAddress(line)) pages.push(person(line))
    })
    expect(printed).toMatch(/client\.auth: signed in; the tokens are kept in .*tokens/)
    expect(code).toBe(0)
    expect(await Promise.all(pages)).toEqual(['Sluice has the answer. You can close this page.\n'])
    const [name = ''] = await readdir(join(folder, '.sluice', 'tokens'))
    const kept = await readFile(join(folder, '.sluice', 'tokens', name, 'tokens.json'), 'utf8')
    const { refresh_token: refreshToken, access_token: accessToken } = JSON.parse(kept) as Record<string, string>
    for (const secret of [refreshToken, accessToken, OIDC_SECRET]) expect(printed).not.toContain(secret)
    expect((await command(['run', file])).code).toBe(0)
    expect(server.counts.revoked).toBe(0)
  })

  test('opens the browser', async () => {
    const { folder, file } = await signedOut()
    const browser = join(folder, 'browser')
    await writeFile(browser, `#!/bin/sh\necho "$1" > ${folder}/opened\n`)
    await chmod(browser, 0o755)
    vi.stubEnv('BROWSER', browser)
    let address = ''
    const { code } = await command(['auth', file], line => {
      if (!isAddress(line)) return
      address = line
      void opened(join(folder, 'opened')).then(person)
    })
    expect(code).toBe(0)
    expect(address).toMatch(/code_challenge=[\w-]{43}&code_challenge_method=S256/)
  })

  test('signs in by a code on another device', async () => {
    const { file, server } = await signedOut()
    let page = ''
    let sleeps = 0
    const { code, printed } = await command(
      ['auth', file, '--device'],
      line => {
        page = /open (\S+) on any device, and enter the code [A-Z-]+/.exec(line)?.[1] ?? page
      },
      {
        // Nobody has entered the code when it is asked for the first time.
        sleep: async () => {
          if (++sleeps === 2) await person(page)
        },
      },
    )
    expect(printed).toContain('client.auth: signed in')
    expect(code).toBe(0)
    expect(sleeps).toBe(2)
    expect((await command(['run', file])).code).toBe(0)
    expect(server.counts.revoked).toBe(0)
  })

  test('waits past calls that are no answer to it, and shows a refusal', async () => {
    const { file } = await signedOut()
    const calls: Promise<number[]>[] = []
    const { code, printed } = await command(['auth', file, '--no-open'], line => {
      if (!isAddress(line)) return
      const asked = new URL(line).searchParams
      const back = asked.get('redirect_uri') ?? ''
      const state = asked.get('state') ?? ''
      const call = async (path: string, init?: RequestInit): Promise<number> =>
        (await fetch(new URL(path, back), init)).status
      calls.push(
        (async () => [
          await call('/'),
          await call('/callback?code=evil&state=guessed'),
          await call(`/callback?state=${state}`),
          await call(`/callback?code=evil&state=${state}`, { method: 'POST' }),
          await call(`/callback?error=access_denied&error_description=no%1b%5b31m&state=${state}`),
        ])(),
      )
    })
    expect(await Promise.all(calls)).toEqual([[404, 404, 404, 404, 200]])
    expect(code).toBe(1)
    expect(printed).toContain('client.auth: the server refused to sign in: access_denied: no')
    expect(printed).not.toContain('\u001b')
  })

  test('can be stopped', async () => {
    const { file } = await signedOut()
    const controller = new AbortController()
    const { code } = await command(
      ['auth', file, '--no-open'],
      line => void (isAddress(line) && controller.abort()),
      controller,
    )
    expect(code).not.toBe(0)
  })

  test.each<[string, (issuer: string) => object, readonly string[], string]>([
    ['page', () => ({ authorization_url: null, device_authorization_url: null }), [], 'client.auth.authorization_url'],
    ['codes', () => ({ device_authorization_url: null }), ['--device'], 'client.auth.device_authorization_url'],
    [
      'codes there',
      issuer => ({ device_authorization_url: `${issuer}/nowhere` }),
      ['--device'],
      'gave no code for a device, it answered 404',
    ],
  ])('says what is missing: %s', async (_, more, options, text) => {
    const { file } = await signedOut(more)
    const { code, printed } = await command(['auth', file, '--no-open', ...options])
    expect(code).not.toBe(0)
    expect(printed).toContain(text)
  })

  test('says that there is nothing to sign in to', async () => {
    const { file } = await signedOut()
    await writeFile(file, stringify({ client: { base_url: 'https://a.example' }, resources: ['a'] }))
    expect(await command(['auth', file])).toMatchObject({
      code: 2,
      printed: expect.stringContaining('nothing to sign in to'),
    })
  })
})

/** What the browser of the test was given. */
async function opened(path: string): Promise<string> {
  for (;;) {
    const text = await readFile(path, 'utf8').catch(() => '')
    if (text.endsWith('\n')) return text.trim()
    await new Promise(resolve => setImmediate(resolve))
  }
}
