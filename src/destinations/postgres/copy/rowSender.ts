import type { Connection, Submittable } from 'pg'
import type { PostgresClient } from '../postgresClient.js'
import { COPY_HEADER, COPY_TRAILER, type RowEncoder } from './rowEncoder.js'

/**
 * Sends statements and encoded rows to the server, in order and without waiting: it reads and encodes rows while the
 * server takes earlier ones. If the server refuses something, the next call fails.
 */
export interface RowSender {
  /** Sends a statement before all later rows. */
  run(sql: string): void
  /** Sends the rows to a COPY statement. Resolves when they are encoded and few enough wait for the server. */
  send(statement: string, rows: RowEncoder): Promise<void>
  /** Resolves when the server has done everything. Call it before any other use of the session. */
  settle(): Promise<void>
}

/** Rows wait in buffers of this size. Larger ones come from unusual rows and are not reused. */
const BUFFER_BYTES = 1 << 20
/** Bytes of rows to send at once. Meanwhile others are collected. */
const SEND_BYTES = 4 << 20
/** Bytes of buffers that wait or are being sent. */
const MOST_WAITING_BYTES = 16 << 20

type Job = { readonly kind: 'statement'; readonly sql: string } | Piece

/** Encoded rows for a COPY statement. */
interface Piece {
  readonly kind: 'rows'
  readonly statement: string
  readonly buffer: Buffer
  length: number
}

export function rowSender(client: PostgresClient): RowSender {
  const free: Buffer[] = []
  let jobs: Job[] = []
  let waitingBytes = 0
  let failure: { readonly error: unknown } | undefined
  /** Settles, without failing, when the data sent is processed. */
  let underway: Promise<void> | undefined

  const sendSome = async (): Promise<void> => {
    const [taken, left] = firstOf(jobs, SEND_BYTES)
    jobs = left
    await submit(client, taken)
    for (const job of taken) {
      if (job.kind !== 'rows') continue
      waitingBytes -= job.buffer.length
      if (job.buffer.length === BUFFER_BYTES) free.push(job.buffer)
    }
  }
  const proceed = (): void => {
    if (underway !== undefined || failure !== undefined || jobs.length === 0) return
    underway = sendSome()
      .catch((error: unknown) => {
        failure = { error }
      })
      .finally(() => {
        underway = undefined
        proceed()
      })
  }
  const pieceFor = (statement: string, bytes: number): Piece => {
    const last = jobs.at(-1)
    if (last?.kind === 'rows' && last.statement === statement && last.length + bytes <= last.buffer.length) return last
    const buffer =
      bytes > BUFFER_BYTES ? Buffer.allocUnsafeSlow(bytes) : (free.pop() ?? Buffer.allocUnsafeSlow(BUFFER_BYTES))
    const piece: Piece = { kind: 'rows', statement, buffer, length: 0 }
    waitingBytes += buffer.length
    jobs.push(piece)
    return piece
  }
  const refuseAfterFailure = (): void => {
    if (failure !== undefined) throw failure.error
  }

  return {
    run(sql) {
      refuseAfterFailure()
      jobs.push({ kind: 'statement', sql })
      proceed()
    },
    async send(statement, rows) {
      while (!rows.done) {
        while (waitingBytes > MOST_WAITING_BYTES && underway !== undefined) await underway
        refuseAfterFailure()
        const encoded = rows.next()
        const piece = pieceFor(statement, encoded.length)
        piece.buffer.set(encoded, piece.length)
        piece.length += encoded.length
        proceed()
      }
    },
    async settle() {
      while (underway !== undefined) await underway
      refuseAfterFailure()
    },
  }
}

/** The first jobs, until their rows reach `bytes`, and the remaining jobs. */
function firstOf(jobs: readonly Job[], bytes: number): readonly [taken: readonly Job[], left: Job[]] {
  let sum = 0
  const end = jobs.findIndex(job => {
    sum += job.kind === 'rows' ? job.length : 0
    return sum >= bytes
  })
  return end < 0 ? [jobs, []] : [jobs.slice(0, end + 1), jobs.slice(end + 1)]
}

/**
 * Sends several statements and rows at once. The data of the COPY statements follows the statements, so the server goes
 * from one to the next without a round trip. If one fails, it skips the later statements and their rows.
 */
function submit(client: PostgresClient, jobs: readonly Job[]): Promise<void> {
  const copies = new Map<string, Piece[]>()
  const statements: string[] = []
  for (const job of jobs) {
    if (job.kind === 'statement') {
      statements.push(job.sql)
      continue
    }
    const pieces = copies.get(job.statement)
    if (pieces !== undefined) {
      pieces.push(job)
      continue
    }
    statements.push(job.statement)
    copies.set(job.statement, [job])
  }
  return new Promise((resolve, reject) => {
    const query: Submittable & Readonly<Record<`handle${string}`, (error: unknown) => void>> = {
      submit(connection: Connection) {
        const { stream } = connection
        stream.cork()
        connection.query(statements.join(';\n'))
        for (const pieces of copies.values()) {
          stream.write(BEGINNING)
          for (const { buffer, length } of pieces) {
            stream.write(messageHead(COPY_DATA, length))
            stream.write(buffer.subarray(0, length))
          }
          stream.write(END)
        }
        stream.uncork()
      },
      handleCopyInResponse() {},
      handleCommandComplete() {},
      handleReadyForQuery: () => resolve(),
      handleError: reject,
    }
    client.pg.query(query)
  })
}

const COPY_DATA = 0x64
const COPY_DONE = 0x63

/** Kind of a message and its length, which includes the length field itself. */
function messageHead(kind: number, length: number): Buffer {
  const head = Buffer.allocUnsafe(5)
  head[0] = kind
  head.writeInt32BE(length + 4, 1)
  return head
}

const BEGINNING = Buffer.concat([messageHead(COPY_DATA, COPY_HEADER.length), COPY_HEADER])
const END = Buffer.concat([messageHead(COPY_DATA, COPY_TRAILER.length), COPY_TRAILER, messageHead(COPY_DONE, 0)])
