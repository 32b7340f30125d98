import { spawn } from 'node:child_process'
import type { Environment } from '../../config/environment.js'

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
