import type { Socket } from 'node:net'
import type { buildConnector } from 'undici'

/**
 * Opens connections on which a reset is an error wherever it comes. For undici, a body without a length that is cut by a
 * reset has ended, as if its server had closed the connection in order.
 */
export function strictConnector(connect: buildConnector.connector): buildConnector.connector {
  return (options, callback) => {
    connect(options, (...[error, socket]: Parameters<buildConnector.Callback>) => {
      if (error !== null || socket === null) {
        callback(error ?? new Error('no connection was opened'), null)
        return
      }
      watchResets(socket)
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
