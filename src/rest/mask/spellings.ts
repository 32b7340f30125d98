import { remembered } from '../../model/runtime/remembered.js'
import { naming } from '../../schema/naming.js'

const snakeCase = naming('snake_case')

/**
 * What names are compared by in a mask: two names are the same if they share one. Names that become the same column do
 * so, under every naming convention, and more: only letters and digits count, not their case. Of `x:email` the part
 * after the prefix counts too.
 */
export const spellings: (name: string) => readonly string[] = remembered(name => [
  ...new Set([name, ...spelled(name), ...spelled(name.slice(name.lastIndexOf(':') + 1))]),
])

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
