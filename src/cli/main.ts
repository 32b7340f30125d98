#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import { sluice } from './program.js'
import { promptOn } from './terminal/prompt.js'
import { interject, outputTo } from './terminal/terminal.js'

/** The process around the command: signals, pipes and the only `process.exit` of the package. */
const terminal = { out: outputTo(process.stdout), err: outputTo(process.stderr) }
const abort = new AbortController()
const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string
}

/** Nothing is open any more, and the command has not ended. */
const STANDSTILL = `error: the command waits for something that can no longer come, and ends here.
  What it did not report as committed is not. If the pipeline has functions of
  your own, look for a promise in them that never settles. Otherwise it is a
  fault of Sluice: please report it with the last lines of --verbose
`

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    if (abort.signal.aborted) process.exit(signal === 'SIGINT' ? 130 : 143)
    interject(terminal.err, 'stopping; press Ctrl-C again to stop at once')
    abort.abort(new DOMException(`stopped by ${signal}`, 'AbortError'))
  })
}

// The reader of a pipe ended (`sluice show … | head`): there is nobody left to tell.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0)
  throw error
})

// Node would end with code 13 and without a word.
let isOver = false
process.on('beforeExit', () => {
  if (isOver) return
  terminal.err.write(STANDSTILL)
  process.exit(1)
})

process.exitCode = await sluice(process.argv.slice(2), {
  terminal,
  prompt: promptOn(process.stdin, process.stderr, abort.signal),
  input: process.stdin,
  version,
  signal: abort.signal,
  now: () => performance.now(),
  typedAs: /[\\/]node_modules[\\/]\.bin[\\/]/.test(process.argv[1] ?? '') ? 'npx sluice' : 'sluice',
})

isOver = true
// Normally nothing is open now and the process ends by itself. This is for a connection that was left open.
setTimeout(() => process.exit(), 2_000).unref()
