import { alternatives } from '../../../model/errors.js'
import { nearMiss } from '../../../model/texts/nearMiss.js'
import type { Problems, PropertyPath } from '../problems.js'
import type { ParentMention } from './templates.js'

export interface GraphNode {
  readonly name: string
  readonly at: PropertyPath
  readonly mentions: readonly ParentMention[]
}

/** The parent of each resource that has one. Problems are reported. */
export function parentsOf(nodes: readonly GraphNode[], problems: Problems): Map<string, string> {
  const known = new Map(nodes.map(node => [node.name, node]))
  const parents = new Map<string, string>()
  for (const node of nodes) {
    for (const { parent, at } of node.mentions) {
      if (!known.has(parent)) {
        problems.add(at, `there is no resource \`${parent}\`${suggestion(parent, [...known.keys()], node.name)}`)
        continue
      }
      const first = parents.get(node.name)
      if (first === undefined) parents.set(node.name, parent)
      else if (first !== parent) problems.add(at, `a resource has one parent: \`${first}\` and \`${parent}\` are two`)
    }
  }
  reportCycles(nodes, parents, problems)
  return parents
}

function suggestion(written: string, names: readonly string[], self: string): string {
  const others = names.filter(name => name !== self)
  const meant = nearMiss(written, others)
  if (meant !== undefined) return `; did you mean \`${meant}\`?`
  return others.length === 0 ? '' : `; there is ${alternatives(others.slice(0, 10).map(name => `\`${name}\``))}`
}

function reportCycles(nodes: readonly GraphNode[], parents: ReadonlyMap<string, string>, problems: Problems): void {
  const settled = new Set<string>()
  for (const node of nodes) {
    const chain: string[] = []
    let name: string | undefined = node.name
    while (name !== undefined && !settled.has(name) && !chain.includes(name)) {
      chain.push(name)
      name = parents.get(name)
    }
    if (name !== undefined && chain.includes(name)) {
      const cycle = chain.slice(chain.indexOf(name))
      const first = nodes.find(({ name: candidate }) => cycle.includes(candidate)) ?? node
      const start = cycle.indexOf(first.name)
      const shown = [...cycle.slice(start), ...cycle.slice(0, start), first.name].join(' → ')
      const mention = first.mentions.find(({ parent }) => parent === parents.get(first.name))
      problems.add(mention?.at ?? first.at, `resources wait for each other: ${shown}`)
    }
    for (const seen of chain) settled.add(seen)
  }
}

/** Parents before children, otherwise in the given order. With cycles it still ends, in some order. */
export function inTopologicalOrder<Node extends { readonly name: string }>(
  nodes: readonly Node[],
  parents: ReadonlyMap<string, string>,
): Node[] {
  const byName = new Map(nodes.map(node => [node.name, node]))
  const ordered = new Set<Node>()
  for (const node of nodes) {
    const chain = new Set<Node>()
    let next: Node | undefined = node
    while (next !== undefined && !chain.has(next) && !ordered.has(next)) {
      chain.add(next)
      next = byName.get(parents.get(next.name) ?? '')
    }
    for (const ancestor of [...chain].reverse()) ordered.add(ancestor)
  }
  return [...ordered]
}
