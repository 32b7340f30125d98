import type { Socket } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import type { Transport } from '../../src/rest/api.js'
import { createClient } from '../../src/rest/http/client.js'
import { fetchTransport } from '../../src/rest/http/fetchTransport.js'
import { get, memoryJournal, quickPolicy, sending, serveRaw, type TestServer } from './clientServer.js'

const opened: { close(): Promise<unknown> }[] = []
afterEach(async () => {
  for (const one of opened.splice(0)) await one.close()
})

async function server(talk: (socket: Socket, number: number) => void): Promise<TestServer> {
  const made = await serveRaw(talk)
  opened.push(made)
  return made
}

function client(transport?: Transport) {
  const made = createClient({ retry: quickPolicy, transport })
  opened.push(made)
  return made
}

const transports: [string, Transport | undefined][] = [
  ['the built-in transport', undefined],
  ['a transport of fetch', fetchTransport(fetch)],
]

describe.each(transports)('%s', (_, transport) => {
  it.each([
    ['a length', 'HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n[1]', undefined],
    ['chunks', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\n[1]\r\n0\r\n\r\n', undefined],
    [
      'chunks, closed',
      'HTTP/1.1 200 OK\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n3\r\n[1]\r\n0\r\n\r\n',
      undefined,
    ],
    ['neither', 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n[1]', 'ended with its connection'],
    ['neither, by HTTP/1.0', 'HTTP/1.0 200 OK\r\n\r\n[1]', 'ended with its connection'],
    ['a part of it', 'HTTP/1.1 206 Partial Content\r\ncontent-length: 3\r\n\r\n[1]', '206 Partial Content'],
    ['an error without a length', 'HTTP/1.1 404 Not Found\r\n\r\n[1]', undefined],
  ])('says whether an answer with %s is whole', async (_, text, doubt) => {
    const api = await server(socket => socket.end(text))
    const answer = await client(transport).send(get(api.origin), sending(api.origin))
    expect(Buffer.from(answer.body).toString()).toBe('[1]')
    expect(answer.doubt).toEqual(doubt === undefined ? undefined : expect.stringContaining(doubt))
  })

  it('keeps the doubt in the journal', async () => {
    const api = await server(socket => socket.end('HTTP/1.1 200 OK\r\n\r\n[1]'))
    const options = sending(api.origin, { journal: memoryJournal() })
    const first = await client(transport).send(get(api.origin), options)
    const second = await client(transport).send(get(api.origin), options)
    expect(second).toMatchObject({ fromJournal: true, doubt: first.doubt })
    expect(second.doubt).toBeDefined()
  })
})

it.each([
  ['after a whole document', '[1,2]'],
  ['inside one', '[1,2'],
  ['between two lines', '{"id":1}\n'],
])('a connection that is reset %s is asked again, although no length was told', async (_, cut) => {
  const api = await server((socket, number) => {
    if (number > 1) socket.end('HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n[1,2,3]')
    else socket.write(`HTTP/1.1 200 OK\r\n\r\n${cut}`, () => socket.resetAndDestroy())
  })
  const options = sending(api.origin)
  const answer = await client().send(get(api.origin), options)
  expect(Buffer.from(answer.body).toString()).toBe('[1,2,3]')
  expect(answer.doubt).toBeUndefined()
  expect(options.events).toMatchObject([
    { type: 'request', status: 0 },
    { type: 'retry', reason: expect.stringContaining('closed the connection') },
    { type: 'request', status: 200 },
  ])
})
