import type { ChildProcess } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** The line by which a simulated API tells that it answers, or undefined if it ended before, with what it wrote of errors. */
export function firstLine(
  child: ChildProcess,
): Promise<{ readonly line: string | undefined; readonly errors: string }> {
  return new Promise(resolve => {
    let [line, errors] = ['', '']
    child.stderr?.on('data', (chunk: Buffer) => {
      errors = `${errors}${chunk.toString()}`.slice(-4000)
    })
    child.stdout?.on('data', (chunk: Buffer) => {
      line += chunk.toString()
      const found = line.split('\n').find(one => one.startsWith('{"environment"'))
      if (found !== undefined && line.endsWith('\n')) resolve({ line: found, errors })
    })
    child.on('close', () => resolve({ line: undefined, errors }))
  })
}

/** Ends the simulation. Resolves to what it found odd while Sluice read. */
export async function ended(api: ChildProcess, folder: string): Promise<readonly string[]> {
  if (api.exitCode !== null || api.signalCode !== null)
    return ['the simulation ended early; it may have taken too long']
  const closed = new Promise(resolve => api.on('close', resolve))
  api.stdin?.end()
  await closed
  return JSON.parse(readFileSync(join(folder, 'odd.json'), 'utf8')) as readonly string[]
}
