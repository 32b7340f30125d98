import type { RunEvent } from '../../model/events.js'
import { printable } from './printable.js'
import type { ProgressView } from './progress.js'
import type { Output } from './terminal.js'

/**
 * Every event of a run as one line: milliseconds since the start, type, and details. Events leave a pipeline redacted,
 * so the log holds no known secret.
 */
export function eventLog(output: Output, now: () => number): ProgressView {
  const startedMs = now()
  return {
    show(event) {
      const passed = String(Math.round(now() - startedMs)).padStart(7)
      output.line(printable(`${passed} ms  ${event.type.padEnd(17)} ${details(event)}`.trimEnd()))
    },
    close() {},
    clear() {},
  }
}

/** The non-empty members, as in `status=200 url="https://api.example.com/v1"`. */
function details({ type, ...members }: RunEvent): string {
  return Object.entries(members)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}=${typeof value === 'number' ? value : JSON.stringify(value)}`)
    .join(' ')
}
