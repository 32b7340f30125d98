import { type AddressInfo, connect, createServer as createTcpServer } from 'node:net'
import { freePort } from '../test/worker/restate.js'

/** One address before so many workers, each at one of `ports`: connections go to them by turns. */
export async function startBalancer(workers: number) {
  const ports = await Promise.all(Array.from({ length: workers }, freePort))
  let turn = 0
  const tcp = createTcpServer(client => {
    // A worker that is away gives its turn to the other one.
    const first = turn++
    const attempt = (tries: number): void => {
      const upstream = connect(ports[(first + tries) % ports.length] ?? 0, '127.0.0.1')
      upstream.once('connect', () => client.pipe(upstream).pipe(client))
      upstream.once('error', () => (tries < ports.length && !client.destroyed ? attempt(tries + 1) : client.destroy()))
      client.once('close', () => upstream.destroy())
      upstream.once('close', hadError => hadError || client.destroy())
    }
    client.on('error', () => {})
    attempt(0)
  })
  await new Promise<void>(resolve => tcp.listen(0, '127.0.0.1', resolve))
  const { port } = tcp.address() as AddressInfo
  return { ports, url: `http://127.0.0.1:${port}`, close: () => tcp.close() }
}
