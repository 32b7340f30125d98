/** A part of a script that a document cannot express, such as a function or a computed value. */
export interface Unknown {
  readonly unknown: string
  readonly line: number
  /** A name that the script uses and does not define. The user can supply its value. */
  readonly name?: string | undefined
}

/** A call of a name that the script does not define: `PageNumberPaginator(base_page=1)`. */
export interface Call {
  readonly call: string
  readonly positional: readonly PythonValue[]
  readonly named: ReadonlyMap<string, PythonValue>
  readonly line: number
}

export type PythonList = PythonValue[]
export type PythonMap = Map<string, PythonValue>

/** Lists and maps can be changed, and two names may stand for one, as in the script. */
export type PythonValue = string | number | boolean | null | PythonList | PythonMap | Call | Unknown

export const isMap = (value: PythonValue | undefined): value is PythonMap => value instanceof Map
export const isList = (value: PythonValue | undefined): value is PythonList => Array.isArray(value)
export const isUnknown = (value: PythonValue | undefined): value is Unknown =>
  typeof value === 'object' && value !== null && 'unknown' in value
export const isCall = (value: PythonValue | undefined): value is Call =>
  typeof value === 'object' && value !== null && 'call' in value

/** A text that refers to a secret or a variable is there, whatever it will be. */
export const isReference = (value: PythonValue | undefined): boolean =>
  typeof value === 'string' && /^\$\{(?:secrets|env)\.[^}]+\}$/.test(value)

/** Copies values, and calls `count` for each. What was one list before the copy is one list after it. */
export function copier(count: () => void): (value: PythonValue) => PythonValue {
  const copies = new Map<PythonValue, PythonValue>()
  const copied = (value: PythonValue): PythonValue => {
    count()
    const known = copies.get(value)
    if (known !== undefined) return known
    if (isList(value)) {
      const list: PythonList = []
      copies.set(value, list)
      for (const item of value) list.push(copied(item))
      return list
    }
    if (!isMap(value)) return value
    const map: PythonMap = new Map()
    copies.set(value, map)
    for (const [key, item] of value) map.set(key, copied(item))
    return map
  }
  return copied
}

/** Longest list and text that is followed. */
export const LONGEST_LIST = 20_000
export const LONGEST_TEXT = 100_000

/**
 * What two ways through a script have in common: equal values stay, maps are merged key by key, and the rest is
 * unknown. Calls `count` for each comparison.
 */
export function merged(left: PythonValue, right: PythonValue, unlike: Unknown, count: () => void): PythonValue {
  const merge = (one: PythonValue | undefined, other: PythonValue | undefined): PythonValue => {
    count()
    if (one === undefined || other === undefined) return unlike
    if (one === other) return one
    if (isMap(one) && isMap(other))
      return new Map(
        [...new Set([...one.keys(), ...other.keys()])].map(key => [key, merge(one.get(key), other.get(key))]),
      )
    if (isList(one) && isList(other) && one.length === other.length)
      return one.map((item, index) => merge(item, other[index]))
    if (isUnknown(one) && isUnknown(other) && one.unknown === other.unknown && one.line === other.line) return one
    if (isCall(one) && isCall(other) && one.call === other.call && one.line === other.line) return one
    return unlike
  }
  return merge(left, right)
}

/** What was changed in a way that nobody knows says so. */
export function spoil(value: PythonValue, why: Unknown): void {
  if (isList(value)) value.push(why)
  else if (isMap(value)) value.set('…', why)
}
