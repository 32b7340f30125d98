import { ConfigError, type ConfigPlace, type ConfigProblem } from '../../model/errors.js'

/** The place of a key: its path in the file, with line and column if known. */
export type PlaceOf = (path: PropertyPath) => ConfigPlace

interface PlacedProblem {
  readonly path: PropertyPath
  readonly isSecret: boolean
  readonly problem: ConfigProblem
}

/** All problems of one document. */
export class Problems {
  readonly #placeOf: PlaceOf
  readonly #found = new Map<string, PlacedProblem>()
  #onlySecrets = true

  constructor(placeOf: PlaceOf = path => ({ path: formatPath(path) })) {
    this.#placeOf = placeOf
  }

  get count(): number {
    return this.#found.size
  }

  /** A key's second problem usually follows from its first, so only the first is kept. */
  add(path: PropertyPath, message: string): void {
    if (this.has(path)) return
    this.#onlySecrets = false
    this.#keep(path, message, false)
  }

  addMissingSecret(path: PropertyPath, message: string): void {
    this.#keep(path, message, true)
  }

  has(path: PropertyPath): boolean {
    return this.#found.has(formatPath(path))
  }

  /** The message of the first one. */
  get first(): string | undefined {
    return this.#found.values().next().value?.problem.message
  }

  /** Takes over those of others at the paths that pass. */
  addOthers(others: Problems, passes: (path: PropertyPath) => boolean): void {
    for (const { path, isSecret, problem } of others.#found.values()) {
      if (!passes(path)) continue
      if (isSecret) this.addMissingSecret(path, problem.message)
      else this.add(path, problem.message)
    }
  }

  throwIfAny(): void {
    const [first, ...others] = [...this.#found.values()].map(({ problem }) => problem)
    if (first !== undefined) throw new ConfigError([first, ...others], this.#onlySecrets ? 'secret_missing' : 'config')
  }

  #keep(path: PropertyPath, message: string, isSecret: boolean): void {
    const text = formatPath(path)
    if (!this.#found.has(text))
      this.#found.set(text, { path, isSecret, problem: { place: this.#placeOf(path), message } })
  }
}

/** Keys and list positions from the root of a document. */
export type PropertyPath = readonly (string | number)[]

/** `resources[1].endpoint.params`. Keys that are not plain names are quoted: `params["filter[status]"]`. */
export function formatPath(path: PropertyPath): string {
  let text = ''
  for (const key of path) {
    if (typeof key === 'number') text += `[${key}]`
    else if (/^[A-Za-z_$][\w$-]*$/.test(key)) text += text === '' ? key : `.${key}`
    else text += `[${JSON.stringify(key)}]`
  }
  return text
}

/** The keys of a path that `formatPath` wrote. */
export function pathKeys(path: string): PropertyPath {
  return [...path.matchAll(/\[("(?:[^"\\]|\\.)*")\]|\[(\d+)\]|([^.[\]]+)/g)].map(([, quoted, index, name]) => {
    if (quoted !== undefined) return JSON.parse(quoted) as string
    return index !== undefined ? Number(index) : (name ?? '')
  })
}
