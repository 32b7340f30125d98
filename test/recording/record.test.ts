import { generateKeyPairSync } from 'node:crypto'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { recordPipeline } from '../../src/recording/recordPipeline.js'
import { testPipeline } from '../../src/recording/testRecording.js'
import { testRecording } from '../../src/testingDoor.js'
import { sluiceProcess } from '../cli/process.js'
import { command } from '../import/importing.js'
import { serve } from '../rest/clientServer.js'
import { asked, COOKIE, PASSWORD, pipelineFolder, SESSION, shopApi, shopDocument } from './recordedApi.js'

const env = { SHOP_PASSWORD: PASSWORD }

/** A secret as it may be written down. */
function spellings(secret: string): readonly string[] {
  const bytes = Buffer.from(secret)
  return [secret, encodeURIComponent(secret), bytes.toString('hex'), bytes.toString('base64').replace(/=+$/, '')]
}

/** What the shop answered once: all tests share it. */
let once:
  | Promise<{ readonly document: string; readonly text: string; readonly requests: readonly string[] }>
  | undefined

async function recordOnce() {
  const { origin, seen, close } = await shopApi()
  const document = shopDocument(origin)
  const { file } = await pipelineFolder(document)
  const [recorded] = await recordPipeline(file, { env })
  await close()
  return { document, text: await readFile(recorded?.path ?? '', 'utf8'), requests: asked(seen) }
}

/** The recorded shop in a folder of its own. Its API has stopped. */
async function recordedShop() {
  once ??= recordOnce()
  const { document, text, requests } = await once
  const { file, folder } = await pipelineFolder(document)
  const path = join(folder, 'shop.recording.warc')
  await writeFile(path, text)
  return { file, folder, text, path, requests }
}

describe('a recording', () => {
  test('holds a few pages and a few parents, and no secret in any spelling', async () => {
    const { text, requests } = await recordedShop()
    expect(requests.filter(line => line.includes('/orders?')).length).toBe(1)
    expect(requests.filter(line => line.includes('/items')).length).toBe(3)
    for (const secret of [PASSWORD, SESSION, COOKIE, 'ann@example.com'].flatMap(spellings))
      expect(text).not.toContain(secret)
    expect(text).not.toMatch(/x-request-id: r|authorization/i)
  })

  test('is the same each time, but for its time', async () => {
    const { origin } = await shopApi()
    const { file } = await pipelineFolder(shopDocument(origin))
    const texts: string[] = []
    for (let time = 0; time < 2; time++) {
      const [recorded] = await recordPipeline(file, { env })
      texts.push(await readFile(recorded?.path ?? '', 'utf8'))
    }
    const [first, second] = texts.map(text => text.replace(/(WARC-Date: |"recordedAt":)\S+|crc32:\S+/g, ''))
    expect(second).toBe(first)
  })

  test('is masked by paths of the command line as well, which the tests keep', async () => {
    const { origin, close } = await shopApi()
    const { file } = await pipelineFolder(shopDocument(origin))
    const [recorded] = await recordPipeline(file, { env, mask: ['buyer.city', 'name'], pages: 1, parents: 1 })
    await close()
    const text = await readFile(recorded?.path ?? '', 'utf8')
    expect(text).not.toMatch(/Bern|Nord/)
    const [tested] = await testPipeline(file, { update: true })
    expect(await readFile(tested?.snapshot ?? '', 'utf8')).toContain('"buyer__city":"***"')
    expect(await testPipeline(file)).toMatchObject([{ outcome: 'same' }])
  })

  test('is refused by tests where its mask is not that of the document any more', { timeout: 120_000 }, async () => {
    const { origin, close } = await shopApi()
    const { file } = await pipelineFolder(shopDocument(origin))
    await recordPipeline(file, { env, pages: 1, parents: 1 })
    await close()
    await testPipeline(file, { update: true })
    const document = await readFile(file, 'utf8')
    for (const [mask, said] of [
      ['mask: { buyer.email: drop }', '"buyer.email: drop"'],
      ['', 'nothing'],
    ] as const) {
      await writeFile(file, document.replace('mask: { buyer.email: redact }', mask))
      const other = `masks ${said} in orders, and the recording was made with the mask "buyer.email: redact"`
      await expect(testPipeline(file)).rejects.toThrow(other)
      await expect(testPipeline(file, { update: true })).rejects.toThrow('records it anew')
    }
  })

  test('keeps a path that is none from asking anything', async () => {
    const { origin, seen } = await shopApi()
    const { file } = await pipelineFolder(shopDocument(origin))
    await expect(recordPipeline(file, { env, mask: ['a[?b]'] })).rejects.toThrow('mask[0]: the path "a[?b]" must')
    expect(seen).toEqual([])
  })
})

describe('a test', () => {
  test('needs neither the API nor a secret, and finds the same tables whatever fails', {
    timeout: 120_000,
  }, async () => {
    const { file } = await recordedShop()
    expect(await testPipeline(file, { update: true })).toMatchObject([{ outcome: 'written' }])
    const [tested] = await testPipeline(file, { faults: true })
    expect(tested).toMatchObject({ outcome: 'same', difference: [], requests: 13 })
    expect(tested?.faults).toEqual(
      ['429', '500', 'cut body', 'expired token', 'repeated page'].map(fault => ({ fault, difference: [] })),
    )
  })

  test.each<[string, (document: string) => string, RegExp]>([
    [
      'a column is typed',
      text => text.replace('    primary_key: id\n', '    primary_key: id\n    columns: { at: { data_type: text } }\n'),
      /^\+ {3}at +text[\s\S]*^- {3}at +timestamp/m,
    ],
    ['the key is gone', text => text.replace('    primary_key: id\n', ''), /^- {3}id +bigint, not null, primary key/m],
    [
      'a selector is another',
      text => text.replace('data_selector: hits', 'data_selector: "hits[*].asked"'),
      /^- {3}\{"id":"1","asked":"shoes"\}/m,
    ],
    [
      'another path is asked',
      text => text.replace('path: search', 'path: seek'),
      /^\+ failed: found: .*the recording has no answer to POST .*\/seek.*the nearest is to POST .*\/search/m,
    ],
    ['another body is sent', text => text.replace('q: shoes', 'q: boots'), /^\+ not recorded +found +POST .*boots/m],
  ])('tells what changes where %s', async (_what, change, told) => {
    const { file } = await recordedShop()
    await testPipeline(file, { update: true })
    await writeFile(file, change(await readFile(file, 'utf8')))
    const [tested] = await testPipeline(file)
    expect(tested?.outcome).toBe('different')
    expect(tested?.difference.join('\n')).toMatch(told)
  })

  test('tells of a fault that the document does not stand', async () => {
    const { file } = await recordedShop()
    const document = await readFile(file, 'utf8')
    await writeFile(file, document.replace('  base_url', '  retry: { statuses: [429] }\n  base_url'))
    await testPipeline(file, { update: true })
    const [tested] = await testPipeline(file, { faults: true })
    expect(tested?.faults.filter(({ difference }) => difference.length > 0).map(({ fault }) => fault)).toEqual(['500'])
  })

  test('says of a document that asks only once that nothing is sent again', { timeout: 120_000 }, async () => {
    const { file } = await recordedShop()
    const document = await readFile(file, 'utf8')
    await writeFile(file, document.replace('  base_url', '  retry: { attempts: 1 }\n  base_url'))
    await testPipeline(file, { update: true })
    const [tested] = await testPipeline(file, { faults: true })
    const failed = tested?.faults.filter(({ difference }) => difference.length > 0) ?? []
    expect(failed.map(({ fault }) => fault)).toEqual(['429', '500', 'cut body'])
    for (const { difference, advice } of failed) {
      expect(difference).toEqual([expect.stringMatching(/^\+ failed: /)])
      expect(advice).toContain('The request was not sent again: set `retry.attempts` to 2 or more')
    }
    await expect(testRecording(file, { faults: true })).rejects.toThrow('set `retry.attempts` to 2 or more')
    const told = await command(['test', file, '--faults'])
    expect(told).toMatchObject({ exitCode: 3 })
    expect(told.out.replace(/\s+/g, ' ')).toMatch(
      /500: no tables \+ failed: .* The request was not sent again: set `retry\.attempts` to 2 or more, and let `retry\.statuses` have 500\./,
    )
  })

  test('runs in a suite of one’s own', async () => {
    const { file } = await recordedShop()
    await testPipeline(file, { update: true })
    await testRecording(file)
    await writeFile(file, (await readFile(file, 'utf8')).replace('    primary_key: id\n', ''))
    await expect(testRecording(file)).rejects.toThrow(
      /shop does not load what .*shop\.snapshot\.txt expects:[\s\S]*^- {3}id /m,
    )
  })

  test('writes no snapshot of a run that fails', async () => {
    const { file, folder } = await recordedShop()
    await writeFile(file, (await readFile(file, 'utf8')).replace('path: search', 'path: seek'))
    await expect(testPipeline(file, { update: true })).rejects.toThrow('fails on its recording, so nothing is written')
    expect((await readdir(folder)).sort()).toEqual(['shop.recording.warc', 'shop.yaml'])
  })

  test('asks for the windows of the recording, and at the address of the environment', async () => {
    const { origin, close, seen } = await serve((_request, response) =>
      response.setHeader('content-type', 'application/json').end('[{"id":1,"at":"2026-01-01T00:00:00Z"}]'),
    )
    onTestFinished(() => close())
    const { file } = await pipelineFolder(`client: { base_url: "\${env.SHOP_URL}/v1" }
resources:
  - name: orders
    endpoint: { path: orders, params: { since: "{incremental.start_value}", until: "{incremental.end_value}" }, paginator: single_page, incremental: { cursor_path: at, initial_value: "2020-01-01T00:00:00Z", end_value: "2030-01-01T00:00:00Z" } }
`)
    await recordPipeline(file, { env: { SHOP_URL: origin } })
    await close()
    expect(asked(seen)[0]).toMatch(/^GET \/v1\/orders\?since=2020/)
    await testPipeline(file, { update: true })
    expect(await testPipeline(file)).toMatchObject([{ outcome: 'same', requests: 1 }])
  })
})

const { privateKey } = generateKeyPairSync('rsa', {
  modulusLength: 2048,
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  publicKeyEncoding: { type: 'spki', format: 'pem' },
})
const KEY = 'k-3f9d1c77b2aa4e01'
const TOKEN = 'tok-90be33c1d5f84a6e'
const REFRESH = 'ref-2b7f6a1e44cd4b09'

describe('no credential is recorded, and none is needed, of', () => {
  test.each<[string, string, Readonly<Record<string, string>>]>([
    ['a bearer token', '{ type: bearer, token: "${secrets.the_key}" }', {}],
    ['a key in the query', '{ type: api_key, name: appkey, location: query, api_key: "${secrets.the_key}" }', {}],
    ['a key in a cookie', '{ type: api_key, name: sid, location: cookie, api_key: "${secrets.the_key}" }', {}],
    ['a name and a password', '{ type: http_basic, username: ann, password: "${secrets.the_key}" }', {}],
    [
      'a token of OAuth',
      '{ type: oauth2_client_credentials, access_token_url: "ORIGIN/token", client_id: shop, client_secret: "${secrets.the_key}" }',
      {},
    ],
    [
      'a signed assertion',
      '{ type: oauth2_jwt, auth_endpoint: "ORIGIN/token", client_id: shop, private_key: "${secrets.private}" }',
      { PRIVATE: privateKey },
    ],
    ['OAuth 1', '{ type: oauth1, consumer_key: "${secrets.the_key}", consumer_secret: "${secrets.the_key}" }', {}],
    [
      'a login with a cookie',
      '{ type: login, path: login, json: { key: "${secrets.the_key}" }, token_cookie: sid, location: cookie }',
      {},
    ],
  ])('%s', async (_what, auth, more) => {
    const { origin, close } = await serve((request, response) => {
      response.setHeader('content-type', 'application/json').setHeader('set-cookie', `sid=${TOKEN}; HttpOnly`)
      if (request.url === '/token' || request.url === '/login')
        response.end(
          JSON.stringify({
            access_token: TOKEN,
            refresh_token: REFRESH,
            id_token: `x.${TOKEN}`,
            token_type: 'Bearer',
            expires_in: 60,
          }),
        )
      // It repeats what it was sent, as careless APIs do.
      else
        response.end(
          JSON.stringify([
            { id: 1, url: request.url, sent: request.headers.authorization ?? request.headers.cookie ?? null },
          ]),
        )
    })
    onTestFinished(() => close())
    const { file } = await pipelineFolder(`client: { base_url: "${origin}", auth: ${auth.replaceAll('ORIGIN', origin)} }
resources: [{ name: orders, endpoint: { path: orders, paginator: single_page } }]
`)
    const [recorded] = await recordPipeline(file, { env: { THE_KEY: KEY, ...more } })
    await close()
    const text = await readFile(recorded?.path ?? '', 'utf8')
    for (const secret of [KEY, TOKEN, REFRESH].flatMap(spellings)) expect(text).not.toContain(secret)
    await testPipeline(file, { update: true })
    expect(await testPipeline(file, { faults: true })).toMatchObject([{ outcome: 'same' }])
  })
})

describe('a file that is no good recording is refused with one sentence:', () => {
  const changed = (from: string | RegExp, to: string) => (text: string) => text.replace(from, to)
  test.each<[string, (text: string) => string, RegExp]>([
    ['an empty one', () => '', /is not a recording of Sluice/],
    ['another kind of file', () => '{"log":{}}', /is not a recording of Sluice/],
    ['a torn one', text => text.slice(0, -40), /is cut off or damaged after \d+ of \d+ bytes/],
    ['a changed answer', changed('"Nord"', '"Nora"'), /is cut off or damaged/],
    [
      'one of a later version',
      changed(/sluice%20recording%201/, 'sluice%20recording%209'),
      /is cut off or damaged|another version|not a recording/,
    ],
    [
      'a length without end',
      changed(/Content-Length: \d+/g, 'Content-Length: 99999999999999'),
      /is not a recording|cut off/,
    ],
    ['a length that is none', changed(/Content-Length: \d+/g, 'Content-Length: -1'), /is not a recording|cut off/],
  ])('%s', async (_what, change, told) => {
    const { file, path, text } = await recordedShop()
    await writeFile(path, change(text))
    await expect(testPipeline(file, { update: true })).rejects.toThrow(told)
  })

  test('one that is not there', async () => {
    const { file } = await pipelineFolder('client: { base_url: "http://127.0.0.1:9" }\nresources: [a]\n')
    await expect(testPipeline(file)).rejects.toThrow(
      'recording.warc does not exist; `sluice record` makes a recording of a pipeline file',
    )
  })
})

describe('the command', () => {
  const folderEnv = (folder: string) => ({ SHOP_PASSWORD: PASSWORD, SLUICE_HOME: join(folder, 'home') })

  test('records, tests without the API, and ends with 3 where tables differ', { timeout: 120_000 }, async () => {
    const { origin, close } = await shopApi()
    const { file, folder } = await pipelineFolder(shopDocument(origin))
    const made = await sluiceProcess(['record', file], { cwd: folder, env: folderEnv(folder) })
    await close()
    expect(made).toMatchObject({ exitCode: 0, stderr: '' })
    expect(made.stdout).toMatch(/shop\.recording\.warc: 13 answers, [\d,.]+ k?B/)
    expect((await readdir(folder)).sort()).toEqual(['shop.recording.warc', 'shop.snapshot.txt', 'shop.yaml'])
    const same = await sluiceProcess(['test', file, '--faults'], { cwd: folder })
    expect(same).toMatchObject({ exitCode: 0, stderr: '' })
    expect(same.stdout).toContain('cut body: the same tables')
    await writeFile(file, (await readFile(file, 'utf8')).replace('q: shoes', 'q: boots'))
    const other = await sluiceProcess(['test', file], { cwd: folder })
    expect(other.exitCode).toBe(3)
    expect(other.stdout).toMatch(/not as .*shop\.snapshot\.txt expects/)
    expect((await sluiceProcess(['test', 'none.yaml'], { cwd: folder })).exitCode).toBe(2)
  })

  test('leaves no half file where it is killed', async () => {
    let kill = (): void => {}
    const { origin, close } = await serve((_request, response) => {
      kill()
      response.destroy()
    })
    onTestFinished(() => close())
    const { file, folder } = await pipelineFolder(shopDocument(origin))
    const killed = await sluiceProcess(['record', file], {
      cwd: folder,
      env: folderEnv(folder),
      started: running => {
        kill = () => running.kill('SIGKILL')
      },
    })
    expect(killed.signal).toBe('SIGKILL')
    expect(await readdir(dirname(file))).toEqual(['shop.yaml'])
  })
})
