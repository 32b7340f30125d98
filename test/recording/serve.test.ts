import { request } from 'node:http'
import { connect } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { readRecording } from '../../src/recording/recordingFile.js'
import { recordPipeline } from '../../src/recording/recordPipeline.js'
import { type ServeOptions, serveRecording } from '../../src/recording/serveRecording.js'
import { sluiceProcess } from '../cli/process.js'
import { PASSWORD, pipelineFolder, shopApi, shopDocument } from './recordedApi.js'

async function recordedShop() {
  const { origin, close } = await shopApi()
  const { file, folder } = await pipelineFolder(shopDocument(origin))
  const [recorded] = await recordPipeline(file, { env: { SHOP_PASSWORD: PASSWORD } })
  await close()
  return { path: recorded?.path ?? '', folder }
}

async function served(options: ServeOptions = {}) {
  const { path } = await recordedShop()
  const { origin, close } = await serveRecording(await readRecording(path), options)
  onTestFinished(() => close())
  return origin
}

function statusFor(origin: string, host: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const asked = request(`${origin}/orders`, { headers: { host } }, answer => {
      answer.resume()
      resolve(answer.statusCode)
    })
    asked.once('error', reject).end()
  })
}

/** The answer to a request line that no client would send. */
function answerTo(origin: string, line: string): Promise<string> {
  const { port, host } = new URL(origin)
  return new Promise((resolve, reject) => {
    let answer = ''
    const socket = connect(Number(port), '127.0.0.1')
    socket.setEncoding('utf8')
    socket.on('data', (text: string) => {
      answer += text
    })
    socket.once('end', () => resolve(answer.split('\r\n')[0] ?? '')).once('error', reject)
    socket.write(`${line}\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)
  })
}

test('a recording is an API: logins, pages by their cursors, bodies, and a 404 that names the nearest request', async () => {
  const origin = await served()
  const login = await fetch(`${origin}/login`, { method: 'POST', body: '{"password":"any"}' })
  expect(await login.json()).toMatchObject({ token: '***' })
  const first = (await (await fetch(`${origin}/orders`)).json()) as { next: string }
  expect(first.next).toBe(`${origin}/orders?cursor=1&session=***`)
  expect(await (await fetch(first.next)).json()).toMatchObject({ orders: [{ id: 3 }, { id: 4 }] })
  const found = await fetch(`${origin}/search`, { method: 'POST', body: '{ "since": "2026-01-01", "q": "shoes" }' })
  expect(await found.json()).toEqual({ hits: [{ id: 1, asked: 'shoes' }] })
  const missing = await fetch(`${origin}/orders?page=99`)
  expect(missing.status).toBe(404)
  expect(await missing.text()).toMatch(/no answer to GET \/orders\?page=99.*the nearest is to GET/)
})

test('it may want a credential, and fail once at each request', async () => {
  const origin = await served({ needsAuth: true, faults: true })
  expect((await fetch(`${origin}/orders`)).status).toBe(401)
  const headers = { authorization: 'Bearer any' }
  const statuses = []
  for (let time = 0; time < 2; time++) statuses.push((await fetch(`${origin}/orders`, { headers })).status)
  expect(statuses).toEqual([429, 200])
})

test('it answers no page of somebody else', async () => {
  const origin = await served()
  expect(await statusFor(origin, 'evil.example.com')).toBe(403)
  expect(await statusFor(origin, new URL(origin).host)).toBe(200)
})

test('a request line that is no address is answered, and the next request too', async () => {
  const origin = await served()
  for (const line of ['GET http://[ HTTP/1.1', 'GET http://a:99999/ HTTP/1.1', 'OPTIONS * HTTP/1.1'])
    expect(await answerTo(origin, line)).toBe('HTTP/1.1 400 Bad Request')
  for (const line of ['GET // HTTP/1.1', 'GET //[ HTTP/1.1', 'GET /%zz?%zz=%ff HTTP/1.1'])
    expect(await answerTo(origin, line)).toBe('HTTP/1.1 404 Not Found')
  expect((await fetch(`${origin}/orders`)).status).toBe(200)
})

test('the command serves until Ctrl-C', async () => {
  const { path, folder } = await recordedShop()
  const ended = await sluiceProcess(['serve', path], {
    cwd: folder,
    told: (text, running) => {
      if (text.includes('http://127.0.0.1:')) running.kill('SIGINT')
    },
  })
  expect(ended).toMatchObject({ exitCode: 0 })
  expect(ended.stdout).toMatch(/^http:\/\/127\.0\.0\.1:\d+: 13 answers of shop; Ctrl-C ends it/)
  expect((await sluiceProcess(['serve', 'none.warc'], { cwd: folder })).exitCode).toBe(2)
})

test('a port that another program has is an error that names it', async () => {
  const port = Number(new URL(await served()).port)
  await expect(served({ port })).rejects.toMatchObject({
    code: 'config',
    message: expect.stringContaining(
      `--port: port ${port} of 127.0.0.1 cannot be used (EADDRINUSE); another program listens there`,
    ),
  })
})
