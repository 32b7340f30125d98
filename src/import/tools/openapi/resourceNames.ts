import { nameFrom } from '../../document/pipelineName.js'
import type { Operation } from './operations.js'

const LONGEST = 60

/** Names for resources, each unique, short and the same in every import. Short paths choose first. */
export function resourceNames(operations: readonly Operation[]): ReadonlyMap<Operation, string> {
  const order = operations
    .map((operation, index) => ({ operation, index, length: operation.path.split('/').length }))
    .sort((a, b) => a.length - b.length || a.index - b.index)
  const names = new Map<Operation, string>()
  const used = new Set<string>()
  for (const { operation } of order) {
    const wanted = candidates(operation)
    let name = wanted.find(one => !used.has(one))
    for (let number = 2; name === undefined; number++) {
      const next = `${wanted[0] ?? 'list'}_${number}`
      if (!used.has(next)) name = next
    }
    used.add(name)
    names.set(operation, name)
  }
  return names
}

function candidates({ path, id }: Operation): string[] {
  const words = path.split('/').flatMap(segment => {
    // The format behind the name, as in `posts.{format}`, is no part of it.
    const named = segment.replace(/\.\{[^{}]*\}$/, '')
    const name = named.includes('{') ? undefined : nameFrom(named)
    return name === undefined || /^(?:v\d+(?:_\d+)*(?:(?:alpha|beta)\d*)?|api|rest|latest|json|odata)$/.test(name)
      ? []
      : [name]
  })
  const last = words.at(-1)
  const byId = nameFrom((id ?? '').replace(/^.*\//, ''))?.replace(
    /^(?:get|list|fetch|find|retrieve|search|query)(?:_all)?_|_(?:list|get|index)$/g,
    '',
  )
  const isGeneric = last !== undefined && GENERIC.test(last)
  const own = last?.replace(/^(?:list|get|find|fetch|search|query)_|_(?:list|search|query|index|all)$/g, '')
  const before = words.at(-2)
  const joined = words.slice(-2).join('_')
  const found = [
    isGeneric ? (before ?? byId) : own,
    before === undefined || isGeneric ? joined : `${singular(before)}_${own}`,
    ...(words.length > 2 ? [`${words.slice(-3, -1).map(singular).join('_')}_${own}`] : []),
    byId,
    words.join('_'),
  ]
  const usable = found.flatMap(name => (name === undefined || name === '' ? [] : [name.slice(0, LONGEST)]))
  const safe = usable.map(name => (/^\d/.test(name) ? `n${name}` : name))
  return [...new Set(safe.length > 0 ? safe : ['list'])]
}

const GENERIC = /^(?:list|search|all|query|index|find|get|items|filter)$/

/** The word for one of them. */
export function singular(word: string): string {
  if (/(?:ss|us|is)$/.test(word)) return word
  if (/ies$/.test(word)) return word.replace(/ies$/, 'y')
  if (/(?:x|ch|sh|ss|z)es$/.test(word)) return word.replace(/es$/, '')
  return word.replace(/s$/, '')
}
