import { pathPattern } from '../../../json/path.js'
import type { JsonObject, JsonValue } from '../../../json/value.js'
import type { ProcessingStep, TableHints } from '../../../model/source.js'
import { compileExpression, type Expression } from '../../shape/expression.js'
import { type MemberTree, type Reshaping, reshaped } from '../../shape/reshape.js'
import type { IncrementalModel, ShapeModel } from '../model.js'
import { formatPath, type Problems, type PropertyPath } from '../problems.js'
import type { MergedResource } from './mergeResource.js'

/** The shape of a resource's records: as written, and the steps that make it. */
export interface Shape {
  readonly model: ShapeModel
  /** `kept`: names that `select` need not name. */
  steps(kept: readonly string[]): readonly ProcessingStep[]
}

/** The shape that a resource declares, checked. Undefined if it has none. */
export function shapeOf(merged: MergedResource, problems: Problems): Shape | undefined {
  const { filter, add, rename, select, drop } = merged.keys
  if (filter == null && add == null && rename == null && select == null && drop == null) return undefined
  const filtering = filter == null ? undefined : decisionAt(filter, merged.where('filter'), problems)
  const adding = Object.entries(add ?? {}).flatMap(([name, text]) => {
    const expression = expressionAt(text, merged.where('add', name), problems)
    return expression === undefined ? [] : [{ name, expression }]
  })
  const renaming = new Map(Object.entries(rename ?? {}))
  checkNewNames(renaming, Object.keys(add ?? {}), merged, problems)
  const tree = (key: 'select' | 'drop'): MemberTree | undefined => treeOf(merged.keys[key], merged.where(key), problems)
  const [selecting, dropping] = [tree('select'), tree('drop')]
  return {
    model: {
      filter: filter ?? undefined,
      add: add ?? {},
      rename: rename ?? {},
      select: select ?? undefined,
      drop: drop ?? [],
    },
    steps: kept => [
      ...(filtering === undefined ? [] : [filterStep(filtering, merged.where('filter'))]),
      ...adding.map(({ name, expression }) => addStep(name, expression, merged.where('add', name))),
      ...reshapeStep({ rename: renaming, select: withNames(selecting, kept), drop: dropping }, merged),
    ],
  }
}

/** A compiled expression that is true or false. Undefined after its problem was reported. */
export function decisionAt(text: string, at: PropertyPath, problems: Problems): Expression | undefined {
  const expression = expressionAt(text, at, problems)
  if (expression !== undefined && expression.type !== 'bool' && expression.type !== 'dyn')
    problems.add(at, `gives a ${expression.type}, expected true or false`)
  return expression
}

function expressionAt(text: string, at: PropertyPath, problems: Problems): Expression | undefined {
  try {
    return compileExpression(text)
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
    problems.add(at, `is not a valid expression: ${error.message}; fields are written as \`record.name\``)
    return undefined
  }
}

function checkNewNames(
  renaming: ReadonlyMap<string, string>,
  added: readonly string[],
  merged: MergedResource,
  problems: Problems,
): void {
  const taken = new Map<string, string>(added.map(name => [name, `added by ${formatPath(merged.where('add', name))}`]))
  for (const [old, name] of renaming) {
    const before = taken.get(name)
    if (before !== undefined) problems.add(merged.where('rename', old), `\`${name}\` is ${before} already`)
    taken.set(name, `the new name of \`${old}\``)
  }
}

/** A tree of paths. Undefined if there are none. */
function treeOf(
  paths: readonly string[] | null | undefined,
  at: PropertyPath,
  problems: Problems,
): MemberTree | undefined {
  if (paths == null) return undefined
  const tree: Tree = new Map()
  for (const [index, text] of paths.entries()) {
    const names = namesOf(text)
    if (names === undefined) problems.add([...at, index], 'is not a path of names, as in `customer.address`')
    else plant(tree, names)
  }
  return tree
}

type Tree = Map<string, Tree | true>

function plant(tree: Tree, [name = '', ...rest]: readonly string[]): void {
  const known = tree.get(name)
  if (known === true) return
  if (rest.length === 0) tree.set(name, true)
  else {
    const inner: Tree = known ?? new Map()
    tree.set(name, inner)
    plant(inner, rest)
  }
}

/** Names from the record to a value, through lists. Undefined for anything but names. */
export function namesOf(text: string): readonly string[] | undefined {
  try {
    const names = pathPattern(text)?.map(step =>
      typeof step === 'object' && step.names.length === 1 ? step.names[0] : undefined,
    )
    return names === undefined || names.length === 0 || names.includes(undefined) ? undefined : (names as string[])
  } catch {
    return /[[\]$*.|`@?()'"\\]/.test(text) ? undefined : [text]
  }
}

function withNames(tree: MemberTree | undefined, names: readonly string[]): MemberTree | undefined {
  return tree === undefined ? undefined : new Map([...tree, ...names.map(name => [name, true] as const)])
}

function filterStep(expression: Expression, at: PropertyPath): ProcessingStep {
  return { filter: record => expression.decides(record), path: formatPath(at) }
}

function addStep(name: string, expression: Expression, at: PropertyPath): ProcessingStep {
  const map = (record: JsonObject): JsonObject => {
    const copy: Record<string, JsonValue> = { ...record }
    expression.assign(record, copy, name)
    return copy
  }
  return { map, path: formatPath(at) }
}

function reshapeStep(reshaping: Reshaping, merged: MergedResource): readonly ProcessingStep[] {
  const { rename, select, drop } = reshaping
  if (rename.size === 0 && select === undefined && drop === undefined) return []
  const key = rename.size > 0 ? 'rename' : select !== undefined ? 'select' : 'drop'
  return [{ reshape: records => reshaped(records, reshaping), path: formatPath(merged.where(key)) }]
}

/** Reports keys and cursors that the shape takes away. Functions of the document may make them again. */
export function checkShapedKeys(
  {
    shape,
    hints,
    incremental,
  }: {
    readonly shape: ShapeModel | undefined
    readonly hints: TableHints
    readonly incremental: Pick<IncrementalModel, 'hint' | 'token'> | undefined
  },
  merged: MergedResource,
  problems: Problems,
): void {
  if (shape === undefined || merged.keys.processing_steps != null) return
  const needed = [
    // A token is not in the records.
    ...(incremental === undefined || incremental.token !== undefined
      ? []
      : [['the cursor', incremental.hint.cursorPath] as const]),
    ...[hints.primaryKey, hints.mergeKey, incremental?.hint.primaryKey]
      .flat()
      .flatMap(name => (name === undefined ? [] : [['part of a key', name] as const])),
  ]
  for (const [what, field] of needed) {
    const lacks = lackOf(shape, field)
    if (lacks !== undefined) problems.add(merged.where(lacks.key), `\`${field}\` is ${what}, and ${lacks.why}`)
  }
}

/** What is wrong with a field of a parent that its shape takes away. Undefined if nothing is. */
export function missingField(shape: ShapeModel | undefined, field: string): string | undefined {
  const lacks = shape === undefined || field.startsWith('_') ? undefined : lackOf(shape, field)
  return lacks === undefined ? undefined : `the records of the parent have no \`${field}\`: ${lacks.why}`
}

function lackOf(
  shape: ShapeModel,
  field: string,
): { readonly key: 'rename' | 'select' | 'drop'; readonly why: string } | undefined {
  const names = namesOf(field)
  if (names === undefined) return undefined
  const [first = ''] = names
  const isMade = Object.hasOwn(shape.add, first) || Object.values(shape.rename).includes(first)
  if (!isMade && Object.hasOwn(shape.rename, first))
    return { key: 'rename', why: `\`rename\` calls it \`${shape.rename[first]}\`` }
  if (leaf(shape.drop, names) === 'in') return { key: 'drop', why: '`drop` leaves it out' }
  if (shape.select !== undefined && leaf(shape.select, names) === 'out')
    return { key: 'select', why: '`select` does not name it' }
  return undefined
}

/** Whether the paths hold a value: the whole of it, a part of it, or nothing. */
function leaf(paths: readonly string[], names: readonly string[]): 'in' | 'part' | 'out' {
  let met: 'part' | 'out' = 'out'
  for (const path of paths) {
    const steps = namesOf(path) ?? []
    const shared = steps.findIndex((step, index) => step !== names[index])
    if (shared < 0) return 'in'
    if (shared === names.length) met = 'part'
  }
  return met
}
