import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'
import type { PostgresServer } from './postgresServer.js'

/** What gets a session of its own, and which idle one that is. */
export interface Pooling {
  readonly mode: 'transaction' | 'session'
  readonly next: 'last used' | 'longest idle'
}

interface Session {
  readonly socket: Socket
  client: Socket | undefined
  /** Its client is gone. */
  leaving: boolean
}

/**
 * Address of a pooler in front of a database, as PgBouncer is one, closed when the test ends. It keeps a few sessions
 * of the server and lets everybody in.
 */
export async function pooler(server: PostgresServer, database: string, { mode, next }: Pooling): Promise<string> {
  const sessions: Session[] = []
  for (let n = 0; n < SESSIONS; n++) {
    const kept = await server.client(database)
    const { stream } = (kept as unknown as { readonly connection: { readonly stream: Socket } }).connection
    stream.removeAllListeners('data')
    stream.setNoDelay()
    sessions.push({ socket: stream, client: undefined, leaving: false })
  }
  const waiting: (() => void)[] = []
  const take = (client: Socket): Session | undefined => {
    const free = sessions.filter(session => session.client === undefined)
    const session = next === 'last used' ? free.at(-1) : free[0]
    if (session !== undefined) session.client = client
    return session
  }
  const release = (session: Session): void => {
    session.client = undefined
    session.leaving = false
    sessions.splice(sessions.indexOf(session), 1)
    sessions.push(session)
    waiting.shift()?.()
  }
  for (const session of sessions) {
    session.socket.on(
      'data',
      frames(0, (kind, frame) => {
        session.client?.write(frame)
        if (kind === READY && frame[5] === IDLE && (mode === 'transaction' || session.leaving)) release(session)
      }),
    )
  }
  const proxy = createServer({ noDelay: true }, client => {
    const queue: Buffer[] = []
    let asking = false
    const proceed = (): void => {
      asking = false
      if (queue.length === 0) return
      const session = sessions.find(one => one.client === client) ?? take(client)
      if (session !== undefined) for (const frame of queue.splice(0)) session.socket.write(frame)
      else if (!asking) {
        asking = true
        waiting.push(proceed)
      }
    }
    const read = frames(1, (kind, frame) => {
      if (kind === undefined) return client.write(GREETING())
      if (kind === TERMINATE) return client.end()
      queue.push(frame)
      return proceed()
    })
    client.on('data', read)
    client.on('error', () => client.destroy())
    client.on('close', () => {
      const session = sessions.find(one => one.client === client)
      if (session === undefined) return
      session.leaving = true
      session.socket.write(message('Q', 'ROLLBACK\0'))
      if (mode === 'session') session.socket.write(message('Q', 'DISCARD ALL\0'))
    })
  })
  proxy.listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  onTestFinished(() => {
    proxy.close()
    for (const { socket } of sessions) socket.destroy()
  })
  return `postgres://postgres:x@127.0.0.1:${(proxy.address() as AddressInfo).port}/${database}?sslmode=disable`
}

const SESSIONS = 4
const READY = 'Z'.charCodeAt(0)
const IDLE = 'I'.charCodeAt(0)
const TERMINATE = 'X'.charCodeAt(0)

/** Cuts a stream into messages. The first `untyped` ones have no kind. */
function frames(untyped: number, take: (kind: number | undefined, frame: Buffer) => unknown): (data: Buffer) => void {
  let rest = Buffer.alloc(0)
  let left = untyped
  return data => {
    rest = Buffer.concat([rest, data])
    for (;;) {
      const head = left > 0 ? 0 : 1
      if (rest.length < head + 4) return
      const length = head + rest.readInt32BE(head)
      if (rest.length < length) return
      const frame = Buffer.from(rest.subarray(0, length))
      rest = rest.subarray(length)
      if (left > 0) left--
      take(head === 0 ? undefined : frame[0], frame)
    }
  }
}

function message(kind: string, body: string | Buffer): Buffer {
  const bytes = Buffer.from(body)
  const head = Buffer.from(`${kind}....`)
  head.writeInt32BE(bytes.length + 4, 1)
  return Buffer.concat([head, bytes])
}

/** The client is let in, with a key of the pooler's own for cancelling. */
const GREETING = (): Buffer =>
  Buffer.concat([
    message('R', Buffer.alloc(4)),
    message('S', 'server_version\x0017.0\0'),
    message('S', 'client_encoding\0UTF8\0'),
    message('K', randomBytes(8)),
    message('Z', 'I'),
  ])
