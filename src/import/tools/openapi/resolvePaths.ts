import { bareName } from '../../../rest/evidence/pagingHints.js'
import { asTemplate } from '../../draft/draftYaml.js'
import type { SchemaShape, Schemas } from './openapiSchemas.js'
import type { Operation } from './operations.js'
import { fieldOf } from './recordHints.js'
import { plain } from './requestValues.js'
import { singular } from './resourceNames.js'
import { variableName } from './servers.js'

/** A list whose records may fill the paths of other lists. */
export interface OperationList {
  readonly name: string
  readonly operation: Operation
  readonly record: SchemaShape
}

/** The path of a list, with a value for every parameter. */
export interface ResolvedPath {
  readonly path: string
  readonly parent: string | undefined
  /** Fields that the parent has to include from its own parent. */
  readonly taken: readonly string[]
  readonly notes: readonly { readonly kind: 'taken' | 'assumed' | 'open'; readonly text: string }[]
}

/** Fills the parameters of all paths: from the records of a parent list, from the document, or by the user. */
export function resolvePaths(
  lists: readonly OperationList[],
  schemas: Schemas,
  prefix: string,
): ReadonlyMap<string, ResolvedPath> {
  const byPath = new Map<string, OperationList>()
  for (const list of lists) {
    const key = pattern(list.operation.path)
    const known = byPath.get(key)
    if (list.operation.method === 'GET' && known === undefined) byPath.set(key, list)
  }
  const resolver = new Resolver(byPath, [...byPath.values()], schemas, prefix)
  return new Map(lists.map(list => [list.name, resolver.of(list)]))
}

function pattern(path: string): string {
  return path.replace(/\{[^{}]*\}/g, '{}').replace(/\/+$/, '')
}

/** The same for `/project` and `/projects`. */
function inSingular(path: string): string {
  const segments = pattern(path)
    .replace(/\.json$/, '')
    .split('/')
  const last = segments.pop() ?? ''
  return [...segments, last === '{}' ? last : singular(bareName(last))].join('/')
}

function isKeyName(field: string): boolean {
  return /^(?:id|uuid|guid|gid|key|slug)$/i.test(field)
}

function isAlike(field: string, parameter: string): boolean {
  return bareName(field) === bareName(parameter)
}

/** How the value of a parameter is written into a path. */
interface Filled {
  /** The text for this list itself. */
  readonly text: string
  /** Of the parent's record: a field that children of this list may take on. */
  readonly field?: string
}

class Resolver {
  readonly #byPath: ReadonlyMap<string, OperationList>
  readonly #bySingular = new Map<string, OperationList>()
  readonly #byNoun = new Map<string, OperationList[]>()
  readonly #schemas: Schemas
  readonly #prefix: string
  readonly #known = new Map<string, ResolvedPath & { readonly filled: readonly Filled[] }>()
  /** Lists whose paths are being resolved. */
  readonly #pending = new Set<OperationList>()

  constructor(
    byPath: ReadonlyMap<string, OperationList>,
    lists: readonly OperationList[],
    schemas: Schemas,
    prefix: string,
  ) {
    this.#byPath = byPath
    this.#schemas = schemas
    this.#prefix = prefix
    for (const list of lists) {
      const key = inSingular(list.operation.path)
      const noun = key.split('/').at(-1) ?? ''
      if (noun === '{}') continue
      if (!this.#bySingular.has(key)) this.#bySingular.set(key, list)
      this.#byNoun.set(noun, [...(this.#byNoun.get(noun) ?? []), list])
    }
  }

  of(list: OperationList): ResolvedPath & { readonly filled: readonly Filled[] } {
    const known = this.#known.get(list.name)
    if (known !== undefined) return known
    this.#pending.add(list)
    const made = this.#resolve(list)
    this.#pending.delete(list)
    this.#known.set(list.name, made)
    return made
  }

  #resolve({ operation }: OperationList): ResolvedPath & { readonly filled: readonly Filled[] } {
    const { path } = operation
    const parameters = [...path.matchAll(/\{([^{}]*)\}/g)].map(match => ({ name: match[1] ?? '', at: match.index }))
    const filled: (Filled | undefined)[] = parameters.map(({ name }) => this.#literal(operation, name))
    const notes: { kind: 'taken' | 'assumed' | 'open'; text: string }[] = []
    const taken: string[] = []
    let parent: string | undefined
    for (let index = parameters.length - 1; index >= 0 && parent === undefined; index--) {
      if (filled[index] !== undefined) continue
      const found = this.#parentOf(path, parameters, index)
      if (found === undefined) continue
      const { list, field, isSure } = found
      const above = this.of(list)
      // One record of the parent must fill every parameter.
      const inherited = parameters.slice(0, index).map((_, place) => above.filled[place])
      if (inherited.some(one => one === undefined)) continue
      parent = list.name
      filled[index] = { text: `{resources.${parent}.${field}}`, field }
      for (const [place, one] of inherited.entries()) {
        if (filled[place] !== undefined || one === undefined) continue
        if (one.field === undefined) filled[place] = one
        else {
          // The parent takes the field of its own parent into its records.
          const column = `_${above.parent}_${one.field}`
          taken.push(one.field)
          filled[place] = { text: `{resources.${parent}.${column}}`, field: column }
        }
      }
      const name = parameters[index]?.name ?? ''
      notes.push({ kind: isSure ? 'taken' : 'assumed', text: `{${name}} is ${field} of each record of ${parent}` })
    }
    const [missing, ...others] = parameters.flatMap((_, index) => (filled[index] === undefined ? [index] : []))
    if (parent === undefined && missing !== undefined && others.length === 0) {
      const { name = '' } = parameters[missing] ?? {}
      const found = this.#namedBy(name)
      if (found !== undefined) {
        parent = found.list.name
        filled[missing] = { text: `{resources.${parent}.${found.field}}`, field: found.field }
        notes.push({ kind: 'assumed', text: `{${name}} is ${found.field} of each record of ${parent}, by its name` })
      }
    }
    const parts = parameters.map(({ name, at }, index) => {
      const value = filled[index] ?? this.#asked(path, name, at)
      filled[index] = value
      return value.text
    })
    for (const [index, { name }] of parameters.entries()) {
      const [, variable] = /^\$\{env\.(\w+)\}$/.exec(parts[index] ?? '') ?? []
      if (variable !== undefined)
        notes.push({ kind: 'open', text: `set the variable ${variable} for {${name}} of the path` })
    }
    let next = 0
    const text = path
      .split(/(\{[^{}]*\})/)
      .map(part => (/^\{[^{}]*\}$/.test(part) ? (parts[next++] ?? '') : asTemplate(part)))
      .join('')
    return { path: text.replace(/^\/+/, ''), parent, taken, notes, filled: filled.map(one => one ?? { text: '' }) }
  }

  /** The list at the path in front of a parameter, with the field of its records. */
  #parentOf(path: string, parameters: readonly { readonly name: string; readonly at: number }[], index: number) {
    const parameter = parameters[index]
    if (parameter === undefined || path[parameter.at - 1] !== '/') return undefined
    const before = path.slice(0, parameter.at - 1)
    const end = path[parameter.at + parameter.name.length + 2]
    if (end !== undefined && end !== '/') return undefined
    const list =
      this.#byPath.get(pattern(before)) ??
      this.#byPath.get(`${pattern(before)}.json`) ??
      this.#bySingular.get(inSingular(before))
    if (list === undefined || pattern(list.operation.path) === pattern(path)) return undefined
    const segment =
      before
        .split('/')
        .filter(part => !part.includes('{'))
        .at(-1) ?? ''
    const found = fieldOf(parameter.name, singular(segment), list.record, this.#schemas)
    return found === undefined ? undefined : { list, ...found }
  }

  /** The one list of what a parameter names, wherever its path is: `/projects` for `/reports/{project_id}`. */
  #namedBy(name: string): { readonly list: OperationList; readonly field: string } | undefined {
    const [, noun = ''] = /^(.*[^-_])[-_]?(?:id|uuid|guid|key|slug|name|number|code)$/i.exec(name) ?? []
    const lists = (this.#byNoun.get(singular(bareName(noun))) ?? []).flatMap(list => {
      const found = fieldOf(name, noun, list.record, this.#schemas)
      const isKey = found?.isSure === true && (isKeyName(found.field) || isAlike(found.field, name))
      if (!isKey || this.#pending.has(list)) return []
      const above = this.of(list)
      return above.notes.some(({ kind }) => kind === 'open') ? [] : [{ list, field: found.field, above }]
    })
    const roots = lists.filter(({ above }) => above.parent === undefined)
    const [only, ...others] = roots.length > 0 ? roots : lists
    return others.length === 0 ? only : undefined
  }

  /** A value that the document decides. */
  #literal({ parameters }: Operation, name: string): Filled | undefined {
    const shape = parameters.find(parameter => parameter.in === 'path' && parameter.name === name)?.shape
    if (shape === undefined) return undefined
    const allowed = shape.enum.map(plain)
    const json = allowed.includes('json') ? 'json' : undefined
    const value = json ?? (allowed.length === 1 ? allowed[0] : plain(shape.default))
    return value === undefined || value === '' ? undefined : { text: encodeURIComponent(String(value)) }
  }

  #asked(path: string, name: string, at: number): Filled {
    const segment =
      path
        .slice(0, at)
        .split('/')
        .filter(part => part !== '' && !part.includes('{'))
        .at(-1) ?? ''
    const isShort = /^(?:id|key|name|slug|uuid|code|type|value)$/i.test(name)
    return { text: `\${env.${variableName(this.#prefix, isShort ? `${singular(segment)}_${name}` : name)}}` }
  }
}
