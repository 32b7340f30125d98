#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import { sluice } from './program.js'
import { promptOn } from './terminal/prompt.js'
import { outputTo } from './terminal/terminal.js'

/** The process around the command: signals, pipes and the only `process.exit` of the package. */
const terminal = { out: outputTo(process.stdout), err: outputTo(process.stderr) }
const abort = new AbortController()
const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    if (abort.signal.aborted) process.exit(signal === 'SIGINT' ? 130 : 143)
    terminal.err.line('stopping; press Ctrl-C again to stop at once')
    abort.abort(new DOMException(`stopped by ${signal}`, 'AbortError'))
  })
}

// The reader of a pipe ended (`sluice show … | head`): there is nobody left to tell.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0)
  throw error
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

// Normally nothing is open now and the process ends by itself. This is for a connection that was left open.
setTimeout(() => process.exit(), 2_000).unref()
