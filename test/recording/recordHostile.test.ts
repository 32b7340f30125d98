import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { readRecording } from '../../src/recording/recordingFile.js'
import { recordPipeline } from '../../src/recording/recordPipeline.js'
import { testPipeline } from '../../src/recording/testRecording.js'
import { serve } from '../rest/clientServer.js'
import { pipelineFolder } from './recordedApi.js'

const TOKEN = 'tok-93f1c0aa77d2e6b1'
const KEY = 'key-5b20c9e1f4a8d7c3'

/** Answers with what it was asked with, as some APIs do. */
async function echoApi() {
  const { origin, close } = await serve(({ url, headers, body }, response) => {
    response.writeHead(200, { 'content-type': 'application/json', 'x-echo': String(headers['x-key']) })
    const echo = { url, auth: headers.authorization, key: headers['x-key'], body }
    response.end(JSON.stringify({ items: [{ id: 1, echo }] }))
  })
  onTestFinished(() => close())
  return origin
}

test.each([
  ['auth', 'auth: { type: bearer, token: "${env.SHOP_TOKEN}" }', ''],
  ['a header', 'headers: { X-Key: "${env.SHOP_KEY}" }', ''],
  ['the query', '', 'params: { api_key: "${env.SHOP_KEY}", area: "${env.SHOP_AREA}" }'],
  ['a body', '', 'method: POST, json: { key: "${env.SHOP_KEY}", area: "${env.SHOP_AREA}" }'],
])('no credential of the environment is recorded that stands in %s', async (_where, client, endpoint) => {
  const origin = await echoApi()
  const { file } = await pipelineFolder(`client:
  base_url: "${origin}"
  ${client}
resources:
  - name: orders
    endpoint: { path: orders, data_selector: items, paginator: single_page${endpoint === '' ? '' : `, ${endpoint}`} }
`)
  const env = { SHOP_TOKEN: TOKEN, SHOP_KEY: KEY, SHOP_AREA: 'north' }
  const [recorded] = await recordPipeline(file, { env })
  const text = await readFile(recorded?.path ?? '', 'latin1')
  for (const secret of [TOKEN, KEY])
    for (const spelling of [
      secret,
      Buffer.from(secret).toString('base64').replace(/=+$/, ''),
      encodeURIComponent(secret),
    ])
      expect(text).not.toContain(spelling)
  if (endpoint !== '') expect(text).toContain('north')
  await testPipeline(file, { update: true })
  expect(await testPipeline(file)).toMatchObject([{ outcome: 'same' }])
})

test('of several that record at once each leaves a whole file, and none a part', async () => {
  const origin = await echoApi()
  const { file, folder } = await pipelineFolder(
    `client: { base_url: "${origin}" }\nresources:\n  - { name: orders, endpoint: { path: orders, data_selector: items, paginator: single_page } }\n`,
  )
  const all = await Promise.all([1, 2, 3, 4].map(() => recordPipeline(file)))
  expect(all).toHaveLength(4)
  expect((await readRecording(join(folder, 'shop.recording.warc'))).exchanges).toHaveLength(1)
  expect((await readdir(folder)).filter(name => name.includes('partial'))).toEqual([])
})

test.each([
  ['a name that is cut', (text: string) => text.replace('Sluice-Resource: orders', 'Sluice-Resource: %E0%A4%A')],
  [
    'a signed name that is none',
    (text: string) => text.replace('Sluice-Method: GET', 'Sluice-Signed: %zz\r\nSluice-Method: GET'),
  ],
  ['an address that is none', (text: string) => text.replaceAll(/WARC-Target-URI: \S+/g, 'WARC-Target-URI: nowhere')],
  ['a status that is none', (text: string) => text.replace('HTTP/1.1 200', 'HTTP/1.1 9e9')],
  [
    'a length that is none',
    (text: string) => text.replaceAll(/Content-Length: \d+/g, 'Content-Length: 99999999999999999999'),
  ],
  ['a part gone', (text: string) => text.slice(0, text.length - 40)],
  ['answers without questions', (text: string) => text.replaceAll('WARC-Type: request', 'WARC-Type: resource')],
  ['other facts', (text: string) => text.replace('"pages":2', '"pages":2e9')],
])('a recording with %s is refused, or is another recording, and never a fault of the program', async (_what, edit) => {
  const origin = await echoApi()
  const { file } = await pipelineFolder(
    `client: { base_url: "${origin}" }\nresources:\n  - { name: orders, endpoint: { path: orders, data_selector: items, paginator: single_page } }\n`,
  )
  const [recorded] = await recordPipeline(file)
  const path = recorded?.path ?? ''
  const text = await readFile(path, 'latin1')
  expect(edit(text)).not.toBe(text)
  await writeFile(path, edit(text), 'latin1')
  const outcome = await testPipeline(file, { update: true }).catch((error: Error) => error)
  if (outcome instanceof Error)
    expect(outcome).toMatchObject({ name: 'ConfigError', message: expect.stringContaining('shop.') })
  else expect(outcome).toHaveLength(1)
})
