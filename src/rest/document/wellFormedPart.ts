import type { ShapeFinding } from './checkShape.js'
import type { PropertyPath } from './problems.js'
import { isPlain } from './references.js'

/**
 * A document without what has the wrong shape, so that the rest can be checked. Undefined where something in it is missing,
 * or is an entry of a list: then nothing can be said of the rest.
 */
export function wellFormedPart(document: unknown, findings: readonly ShapeFinding[]): unknown {
  const isRemovable = findings.every(({ kind, path }) => kind !== 'missing' && typeof path.at(-1) === 'string')
  if (!isRemovable) return undefined
  return findings.reduce((part: unknown, { path }) => without(part, path), document)
}

/** Whether a problem of the rest is one of its own, and does not follow from what was left out. */
export function isOwnProblem(document: unknown, findings: readonly ShapeFinding[], path: PropertyPath): boolean {
  const isWritten = valueAtPath(document, path) !== undefined
  return !findings.some(({ kind, path: wrong }) => {
    const above = wrong.slice(0, -1)
    if (!above.every((key, index) => path[index] === key)) return false
    // What an unknown key was meant to be is not written.
    return kind !== 'unknown_key' || (path.length === wrong.length && !isWritten)
  })
}

function without(value: unknown, [key, ...rest]: PropertyPath): unknown {
  if (Array.isArray(value)) return value.map((item, index) => (index === key ? without(item, rest) : item))
  if (!isPlain(value) || key === undefined) return value
  const entries = Object.entries(value)
  if (rest.length === 0) return Object.fromEntries(entries.filter(([name]) => name !== key))
  return Object.fromEntries(entries.map(([name, item]) => [name, name === key ? without(item, rest) : item]))
}

function valueAtPath(value: unknown, path: PropertyPath): unknown {
  return path.reduce<unknown>(
    (at, key) => (typeof at === 'object' && at !== null ? (at as Record<string | number, unknown>)[key] : undefined),
    value,
  )
}
