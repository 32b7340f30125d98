import { once } from 'node:events'
import type { Address } from './address.js'
import { driver, type PostgresClient } from './client.js'
import { COPY_HEADER, COPY_TRAILER, type RowEncoder } from './encoder.js'

/** Sends encoded rows to the server: while one buffer is sent, the next is filled. */
export interface RowSender {
  /**
   * Sends the rows to a COPY statement. Resolves when they are encoded; the server may still be taking them, and must
   * have taken them ({@link settle}) before anything else is asked of the session.
   */
  send(statement: string, rows: RowEncoder): Promise<void>
  /** Resolves when the server has all rows that were sent; rejects where it refused them. */
  settle(): Promise<void>
}

const BUFFER_BYTES = 8 << 20
/** Larger ones come from unusual rows and are not kept. */
const LARGEST_KEPT = 32 << 20

export function rowSender(client: PostgresClient, address: Address): RowSender {
  const free: Buffer[] = []
  let tail: Promise<void> = Promise.resolve()
  const take = (): Buffer => free.pop() ?? Buffer.allocUnsafeSlow(BUFFER_BYTES)
  const giveBack = (buffer: Buffer): void => {
    if (buffer.length <= LARGEST_KEPT) free.push(buffer)
  }

  return {
    async send(statement, rows) {
      await tail
      const { from } = await driver('pg-copy-streams', () => import('pg-copy-streams'), address)
      const stream = client.pg.query(from(statement))
      const finished = once(stream, 'finish').then(() => {})
      finished.catch(() => {})
      let last: Promise<void> = Promise.resolve()
      let buffer = take()
      buffer.set(COPY_HEADER)
      let length = COPY_HEADER.length
      const flush = async (): Promise<void> => {
        const sent = buffer
        const piece = sent.subarray(0, length)
        await last
        const written = new Promise<void>((resolve, reject) =>
          stream.write(piece, error => (error ? reject(error) : resolve())),
        )
        // A refusal of the server ends the stream, and not every write with it.
        last = Promise.race([written, finished]).then(() => giveBack(sent))
        last.catch(() => {})
        buffer = take()
        length = 0
      }
      try {
        while (!rows.done) {
          const size = rows.measure()
          if (length > 0 && length + size > buffer.length) await flush()
          if (size > buffer.length) buffer = Buffer.allocUnsafeSlow(size)
          rows.write(buffer, length)
          length += size
        }
        if (length + COPY_TRAILER.length > buffer.length) await flush()
        buffer.set(COPY_TRAILER, length)
        length += COPY_TRAILER.length
      } catch (error) {
        stream.destroy(error as Error)
        await finished.catch(() => {})
        throw error
      }
      const piece = buffer.subarray(0, length)
      tail = last
        .then(() => {
          stream.end(piece)
          return finished
        })
        .then(() => giveBack(buffer))
      tail.catch(() => {})
    },
    async settle() {
      await tail
    },
  }
}
