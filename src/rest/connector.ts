import type { Socket } from 'node:net'
import type { buildConnector } from 'undici'

/**
 * Opens connections on which two things are as HTTP has them, and not as undici does: a reset is an error wherever it
 * comes (undici takes it for the end of a body that has no length), and `100 Continue` before an answer is nothing
 * (undici takes it for a broken connection).
 */
export function strictConnector(connect: buildConnector.connector): buildConnector.connector {
  return (options, callback) => {
    connect(options, (...[error, socket]: Parameters<buildConnector.Callback>) => {
      if (error !== null || socket === null) {
        callback(error ?? new Error('no connection was opened'), null)
        return
      }
      watchResets(socket)
      skipContinue(socket)
      callback(null, socket)
    })
  }
}

/** Under this code undici lets an error be one, even behind a whole head. */
const RESET = 'UND_ERR_SOCKET'

function watchResets(socket: Socket): void {
  // Before undici listens itself.
  socket.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'ECONNRESET') error.code = RESET
  })
  const emit: (event: string | symbol, ...args: unknown[]) => boolean = socket.emit.bind(socket)
  socket.emit = (event: string | symbol, ...args: unknown[]) =>
    event === 'end' && wasReset(socket) ? false : emit(event, ...args)
}

/**
 * Where data and a reset come together, Node tells the end of the data and not the reset. Writing nothing fails then, and
 * the socket is destroyed with that error.
 */
function wasReset(socket: Socket): boolean {
  if (socket.destroyed || socket.writableEnded) return false
  socket.write('')
  return socket.errored !== null
}

const HEAD_END = Buffer.from('\r\n\r\n')
/** As long as heads are that undici takes. */
const LONGEST_HEAD = 16 << 10

/** Leaves `100 Continue` out of what is read from a socket. */
function skipContinue(socket: Socket): void {
  // Anything else that looks like one is part of a body.
  let isHeadNext = true
  let begun: Buffer = Buffer.alloc(0)
  const write = socket.write.bind(socket) as (...args: unknown[]) => boolean
  const read: (size?: number) => Buffer | null = socket.read.bind(socket)
  // The head of a request is written as text, its body as bytes.
  socket.write = (...args: unknown[]) => {
    if (typeof args[0] === 'string' && args[0] !== '') isHeadNext = true
    return write(...args)
  }
  socket.read = size => {
    for (;;) {
      const part = read(size)
      if (!isHeadNext || part === null) return part
      const bytes = begun.length === 0 ? part : Buffer.concat([begun, part])
      const rest = afterContinue(bytes)
      isHeadNext = rest === undefined || rest.length === 0
      begun = rest === undefined ? bytes : Buffer.alloc(0)
      if (rest !== undefined && rest.length > 0) return rest
    }
  }
}

/** What follows heads of `100 Continue` at the start of `bytes`; undefined where one may go on behind them. */
function afterContinue(bytes: Buffer): Buffer | undefined {
  let rest = bytes
  while (mayContinue(rest)) {
    const end = rest.indexOf(HEAD_END)
    if (end < 0) return rest.length > LONGEST_HEAD ? rest : undefined
    rest = rest.subarray(end + HEAD_END.length)
  }
  return rest
}

function mayContinue(bytes: Buffer): boolean {
  return /^(?:HTTP\/1\.\d 100|H|HT|HTT|HTTP|HTTP\/|HTTP\/1|HTTP\/1\.|HTTP\/1\.\d ?1?0?)$/.test(
    bytes.toString('latin1', 0, 12),
  )
}
