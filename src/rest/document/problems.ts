import { ConfigError, type ConfigPlace, type ConfigProblem } from '../../model/errors.js'

/** The place of a key: its path in the file, with line and column if known. */
export type PlaceOf = (path: PropertyPath) => ConfigPlace

/** All problems of one document. */
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

  /** A key's second problem usually follows from its first, so only the first is kept. */
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

/** The candidate that was probably meant: a few edits away, or equal except for case, `-` and `_`. */
export function nearMiss(written: string, candidates: Iterable<string>): string | undefined {
  let best: string | undefined
  let bestDistance = Math.min(3, Math.ceil(written.length / 3)) + 1
  for (const candidate of candidates) {
    const distance = likeness(written, candidate, bestDistance)
    if (distance < bestDistance) {
      best = candidate
      bestDistance = distance
    }
  }
  return best
}

function likeness(written: string, candidate: string, limit: number): number {
  const [a, b] = [bare(written), bare(candidate)]
  if (a === b) return 0
  const distance = editDistance(written, candidate, limit)
  const begins = a.length > 2 && (b.startsWith(a) || a.startsWith(b))
  return begins ? Math.min(distance, 1.5) : distance
}

function bare(name: string): string {
  return name.toLowerCase().replace(/[-_ ]/g, '')
}

/** Number of inserted, deleted, changed and swapped characters, reported up to `limit`. */
function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) >= limit) return limit
  let beforePrevious: number[] = []
  let previous = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (let row = 1; row <= a.length; row++) {
    const current = [row]
    for (let column = 1; column <= b.length; column++) {
      const changed = previous[column - 1]! + (a[row - 1] === b[column - 1] ? 0 : 1)
      let distance = Math.min(changed, previous[column]! + 1, current[column - 1]! + 1)
      const swapped = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]
      if (swapped) distance = Math.min(distance, beforePrevious[column - 2]! + 1)
      current.push(distance)
    }
    beforePrevious = previous
    previous = current
  }
  return Math.min(previous[b.length]!, limit)
}
