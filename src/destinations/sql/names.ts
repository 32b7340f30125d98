/** A map over names that an engine may not tell apart by case. */
export class NameMap<T> {
  readonly #entries = new Map<string, T>()
  readonly #caseSensitive: boolean

  constructor(caseSensitive: boolean, entries: Iterable<readonly [string, T]> = []) {
    this.#caseSensitive = caseSensitive
    for (const [name, value] of entries) this.set(name, value)
  }

  get(name: string): T | undefined {
    return this.#entries.get(this.#key(name))
  }

  has(name: string): boolean {
    return this.#entries.has(this.#key(name))
  }

  set(name: string, value: T): void {
    this.#entries.set(this.#key(name), value)
  }

  delete(name: string): void {
    this.#entries.delete(this.#key(name))
  }

  #key(name: string): string {
    return this.#caseSensitive ? name : name.toLowerCase()
  }
}

/** A name that none of the columns has, whatever its case. */
export function freeName(base: string, columns: readonly string[]): string {
  const taken = new Set(columns.map(name => name.toLowerCase()))
  let name = base
  while (taken.has(name)) name += '_'
  return name
}
