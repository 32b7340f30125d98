import { ConfigError, type ConfigPlace, type ConfigProblem } from '../../core/errors.js'
import { formatPath, type PropertyPath } from './propertyPath.js'

/** The place of a key: its path in the file, with line and column where they are known. */
export type PlaceOf = (path: PropertyPath) => ConfigPlace

/** Everything found wrong with one document. */
export class Problems {
  readonly #placeOf: PlaceOf
  readonly #found = new Map<string, ConfigProblem>()
  #onlySecrets = true

  constructor(placeOf: PlaceOf = path => ({ path: formatPath(path) })) {
    this.#placeOf = placeOf
  }

  get count(): number {
    return this.#found.size
  }

  /** A key's second problem is mostly a consequence of its first, so only the first is kept. */
  add(path: PropertyPath, message: string): void {
    this.#onlySecrets = false
    this.#keep(path, message)
  }

  addMissingSecret(path: PropertyPath, message: string): void {
    this.#keep(path, message)
  }

  has(path: PropertyPath): boolean {
    return this.#found.has(formatPath(path))
  }

  throwIfAny(): void {
    const [first, ...others] = this.#found.values()
    if (first !== undefined) throw new ConfigError([first, ...others], this.#onlySecrets ? 'secret_missing' : 'config')
  }

  #keep(path: PropertyPath, message: string): void {
    const text = formatPath(path)
    if (!this.#found.has(text)) this.#found.set(text, { place: this.#placeOf(path), message })
  }
}
