import { compileExpression, type FieldRead } from '../../shape/expression.js'
import type { ShapeModel } from '../model.js'
import { namesOf } from './readShape.js'

/** What a field of a record in its new shape is made of. */
export interface FieldOrigin {
  /** Paths in the record as the API sends it. */
  readonly paths: readonly string[]
  /** Whether its value is the one at its one path. */
  readonly isCopy: boolean
}

/** Where the value of a field comes from, by its name in the new shape: `rename` and `add` are followed back. */
export function originOf(shape: ShapeModel | undefined, field: string): FieldOrigin {
  const names = shape === undefined ? undefined : namesOf(field)
  if (shape === undefined || names === undefined) return { paths: [field], isCopy: true }
  const [first = '', ...rest] = names
  const [old = first] = Object.entries(shape.rename).find(([, name]) => name === first) ?? []
  const text = Object.hasOwn(shape.add, old) ? shape.add[old] : undefined
  if (text === undefined) return { paths: [old === first ? field : pathOf([old, ...rest])], isCopy: true }
  const { reads, isCopy } = readsIn(text)
  return { paths: reads.map(({ names: read }) => pathOf(isCopy ? [...read, ...rest] : read)), isCopy }
}

/** The fields that an expression reads; none if it is not valid, which is reported where it stands. */
export function readsIn(text: string): { readonly reads: readonly FieldRead[]; readonly isCopy: boolean } {
  try {
    return compileExpression(text)
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
    return { reads: [], isCopy: false }
  }
}

/** A path as documents write it. */
export function pathOf(names: readonly string[]): string {
  const parts = names.map((name, index) => {
    if (/^[A-Za-z_]\w*$/.test(name)) return index === 0 ? name : `.${name}`
    return `['${name.replace(/[\\']/g, '\\$&')}']`
  })
  return parts.join('')
}
