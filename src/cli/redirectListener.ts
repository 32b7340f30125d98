import { spawn } from 'node:child_process'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Environment } from '../config/lookup/environment.js'
import { portError } from '../model/errors.js'

/** Waits on this machine for a browser that a server sends back. Nobody else on the network can reach it. */
export interface RedirectListener {
  /** The address that the browser is to be sent to. */
  readonly uri: string
  /** The parameters of the first call that is an answer. Others are told so, and waited past. */
  answer(isAnswer: (params: URLSearchParams) => boolean): Promise<URLSearchParams>
  close(): Promise<void>
}

const PATH = '/callback'

/** Listens on 127.0.0.1. Throws a ConfigError if the port is taken. */
export async function listenForRedirect(port: number | undefined, signal: AbortSignal): Promise<RedirectListener> {
  const server = createServer()
  await new Promise<void>((resolve, reject) => {
    server.once('error', error => reject(portError(error, { port: port ?? 0, path: 'redirect_port' })))
    server.listen(port ?? 0, '127.0.0.1', resolve)
  })
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    uri: `http://${host}${PATH}`,
    answer: isAnswer =>
      new Promise((resolve, reject) => {
        const stop = (): void => reject(signal.reason)
        signal.addEventListener('abort', stop, { once: true })
        if (signal.aborted) stop()
        server.on('request', (request, response) => {
          const asked = new URL(request.url ?? '/', `http://${host}`)
          // A name that stands for this machine belongs to a page of somebody else.
          const isOurs = request.method === 'GET' && request.headers.host === host && asked.pathname === PATH
          const isWanted = isOurs && isAnswer(asked.searchParams)
          response.writeHead(isWanted ? 200 : 404, {
            'content-type': 'text/plain; charset=utf-8',
            'cache-control': 'no-store',
            'referrer-policy': 'no-referrer',
            connection: 'close',
          })
          response.end(isWanted ? 'Sluice has the answer. You can close this page.\n' : 'Not found.\n')
          if (!isWanted) return
          signal.removeEventListener('abort', stop)
          response.once('close', () => resolve(asked.searchParams))
        })
      }),
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

/** Asks this machine's browser for a page, as well as it can. Whoever calls it prints the address too. */
export function openBrowser(url: string, env: Environment): void {
  const [program = '', ...args] = browserOf(process.platform, env)
  const child = spawn(program, [...args, url], { stdio: 'ignore', detached: true })
  // Machines without a browser are usual: servers, containers.
  child.once('error', () => {})
  child.unref()
}

/** No shell reads the address. */
function browserOf(platform: NodeJS.Platform, { BROWSER: chosen }: Environment): readonly string[] {
  if (chosen !== undefined && chosen !== '') return [chosen]
  if (platform === 'darwin') return ['open']
  return platform === 'win32' ? ['rundll32', 'url.dll,FileProtocolHandler'] : ['xdg-open']
}
