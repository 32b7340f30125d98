import { naming } from '../../schema/naming.js'

const snakeCase = naming('snake_case')

const known = new Map<string, readonly string[]>()
const MOST_KNOWN = 10_000
const LONGEST_KNOWN = 200

/**
 * What names are compared by in a mask: two names are the same if they share one. Names that become the same column do
 * so, under every naming convention, and more: only letters and digits count, not their case. Of `x:email` the part
 * after the prefix counts too.
 */
export function spellings(name: string): readonly string[] {
  const found = known.get(name)
  if (found !== undefined) return found
  const made = [...new Set([name, ...spelled(name), ...spelled(name.slice(name.lastIndexOf(':') + 1))])]
  if (name.length > LONGEST_KNOWN) return made
  if (known.size >= MOST_KNOWN) known.clear()
  known.set(name, made)
  return made
}

/** Letters and digits of any script, those of ASCII, and those of the column: `+`, `@` and others become letters there. */
function spelled(name: string): string[] {
  if (name.trim() === '') return []
  const column = snakeCase.identifier(name).replaceAll('_', '')
  const lower = name.toLowerCase()
  return [lower.replace(/[^\p{L}\p{N}]/gu, ''), lower.replace(/[^a-z\d]/g, ''), column].filter(text => text !== '')
}

export function isSameName(one: string, other: string): boolean {
  const others = spellings(other)
  return spellings(one).some(text => others.includes(text))
}
