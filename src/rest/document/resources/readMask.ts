import { Secret } from '../../../model/secrets/secret.js'
import type { IncrementalHint, TableHints } from '../../../model/source.js'
import type { AnswerCondition } from '../../api.js'
import { isShortSalt, type MaskModel, SHORTEST_SALT } from '../../mask/maskHash.js'
import { type MaskRule, maskWays, meets, meetsAnywhere } from '../../mask/maskRules.js'
import { isSameName } from '../../mask/spellings.js'
import type { EndpointModel, IncrementalModel, ShapeModel } from '../model.js'
import { formatPath, type Problems, type PropertyPath } from '../problems.js'
import { originOf, pathOf, readsIn } from './fieldOrigin.js'
import type { MergedResource } from './mergeResource.js'

/** The mask of a resource. Undefined if it has none. */
export function maskOf(merged: MergedResource, problems: Problems): MaskModel | undefined {
  const { mask, mask_salt: written } = merged.keys
  const salt = written instanceof Secret ? written : undefined
  const saltAt = merged.where('mask_salt')
  const rules = Object.entries(mask ?? {}).flatMap(([text, kind]): MaskRule[] => {
    if (kind === null) return []
    const at = merged.where('mask', text)
    try {
      return [{ text, kind, ways: maskWays(text), path: formatPath(at) }]
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error
      problems.add(at, `is not a path to values of a record: ${error.message}`)
      return []
    }
  })
  const hashed = rules.find(({ kind }) => kind === 'hash')
  if (salt === undefined && hashed !== undefined) {
    const advice = `write "\${secrets.mask_salt}", and set MASK_SALT to what \`openssl rand -hex 32\` prints`
    problems.add(saltAt, `\`hash\` needs a secret salt, else everybody can guess what was hashed; ${advice}`)
  }
  if (salt !== undefined && !problems.has(saltAt) && isShortSalt(salt))
    problems.add(
      saltAt,
      `is shorter than ${SHORTEST_SALT} characters, so it can be guessed; make one with \`openssl rand -hex 32\``,
    )
  if (rules.length === 0) return undefined
  return hashed === undefined ? { rules } : { rules, salt }
}

/** Reports masks of what the run needs as it is. */
export function checkMask(
  {
    mask,
    shape,
    hints,
    incremental,
  }: {
    readonly mask: MaskModel | undefined
    readonly shape: ShapeModel | undefined
    readonly hints: TableHints
    readonly incremental: Pick<IncrementalModel, 'hint' | 'token'> | undefined
  },
  merged: MergedResource,
  problems: Problems,
): void {
  for (const rule of mask?.rules ?? []) {
    const at = merged.where('mask', rule.text)
    const unseen = shape && madeLater(rule, shape)
    if (unseen !== undefined) problems.add(at, unseen)
    const filtered = shape?.filter === undefined ? undefined : judgedBy(rule, shape.filter)
    if (filtered !== undefined) problems.add(merged.where('filter'), filtered)
    const cursor = incremental?.hint.cursorPath
    const isCursor =
      cursor !== undefined &&
      (incremental?.token === undefined ? isMadeOf(rule, shape, cursor) : meetsAnywhere(rule, cursor))
    if (isCursor) {
      problems.add(at, `\`${cursor}\` is the cursor, which must stay as the API sends it; choose another cursor_path`)
    }
    if (rule.kind !== 'hash') {
      const key = keysOf(hints, incremental?.hint).find(name => isMadeOf(rule, shape, name, 'alone'))
      if (key !== undefined) problems.add(at, `\`${key}\` is part of a key, so only \`hash\` keeps records apart`)
    }
    for (const { name, hard_delete: deletes, dedup_sort: sorts, data_type: type } of hints.columns ?? []) {
      if (name === undefined || !isMadeOf(rule, shape, name)) continue
      if (deletes === true || sorts != null) {
        problems.add(at, `\`${name}\` decides which rows stay, so it must stay as the API sends it`)
      } else if (type !== undefined && type !== 'text' && rule.kind !== 'drop' && originOf(shape, name).isCopy) {
        problems.add(at, `makes a text of \`${name}\`, which \`columns\` declares as ${type}`)
      }
    }
  }
}

/** Whether a mask changes what a field is made of; `alone`: all that it is made of. */
function isMadeOf(
  rule: MaskRule,
  shape: ShapeModel | undefined,
  field: string,
  how: 'alone' | 'also' = 'also',
): boolean {
  const { paths } = originOf(shape, field)
  const isMet = (path: string): boolean => meets(rule, path)
  return how === 'alone' ? paths.length > 0 && paths.every(isMet) : paths.some(isMet)
}

/** What is wrong with masking a field that is made only after the mask. Undefined if nothing is. */
function madeLater({ ways }: MaskRule, { rename, add }: ShapeModel): string | undefined {
  const firsts = ways.flatMap(([step]) => (typeof step === 'object' ? step.names : []))
  const isNamed = (name: string): boolean => firsts.some(first => isSameName(first, name))
  const order = 'which is given after the mask'
  const [old, name] = Object.entries(rename).find(([, one]) => isNamed(one)) ?? []
  // Where names are exchanged, both are names of the API.
  if (old !== undefined && !Object.keys(rename).some(isNamed))
    return `\`${name}\` is the new name of \`${old}\`, ${order}; write the name of the API, \`${old}\``
  const [made, text = ''] = Object.entries(add).find(([one]) => isNamed(one)) ?? []
  const reads = readsIn(text).reads.map(({ names }) => names)
  if (made === undefined || reads.some(([first = '']) => isNamed(first))) return undefined
  const of = reads.map(names => `\`${pathOf(names)}\``).join(' and ') || 'something else'
  return `\`${made}\` is made by \`add\` after the mask; mask what it is made of, ${of}`
}

/** What is wrong with a filter that goes by the value of a masked field. Undefined if nothing is. */
function judgedBy(rule: MaskRule, filter: string): string | undefined {
  const read = readsIn(filter).reads.find(
    ({ names, isValue }) => (isValue || rule.kind === 'drop') && meets(rule, pathOf(names)),
  )
  if (read === undefined) return undefined
  const cure = 'let the API filter by a parameter, or go by another field'
  return `goes by \`${pathOf(read.names)}\`, which is masked by ${rule.path} before; ${cure}`
}

function keysOf(
  { primaryKey, mergeKey, columns, nestedHints }: TableHints,
  incremental?: IncrementalHint,
): readonly string[] {
  const marked = (columns ?? []).filter(column => column.primary_key === true || column.merge_key === true)
  const nested = Object.entries(nestedHints ?? {}).flatMap(([path, hints]) =>
    keysOf(hints).map(key => `${path.replaceAll('__', '.')}.${key}`),
  )
  return [
    ...(primaryKey ?? []),
    ...(mergeKey ?? []),
    ...[incremental?.primaryKey ?? []].flat(),
    ...marked.map(({ name }) => name ?? ''),
    ...nested,
  ]
}

/** Reports an endpoint that would not work with masked answers, or would get around the mask. */
export function checkMaskedEndpoint(
  mask: MaskModel | undefined,
  { paginator, responseActions, adapt, reading, job }: EndpointModel,
  merged: MergedResource,
  problems: Problems,
): void {
  if (mask === undefined) return
  const goesBy =
    paginator.kind === 'declared'
      ? Object.entries(paginator.config).filter(([key]) => key.endsWith('_path') || key === 'field')
      : []
  for (const [key, path] of goesBy) {
    const rule = mask.rules.find(one => typeof path === 'string' && meetsAnywhere(one, path))
    if (rule !== undefined)
      problems.add(
        merged.where('mask', rule.text),
        `the paginator goes by \`${String(path)}\` (\`${key}\`), which this would change`,
      )
  }
  const ofJob = {
    handle_path: job?.handlePath,
    status_path: job?.statusPath,
    url_path: job?.urlPath,
    total_path: job?.totalPath,
  }
  for (const [key, path] of Object.entries(ofJob)) {
    const rule = mask.rules.find(one => path !== undefined && meetsAnywhere(one, path))
    if (rule !== undefined)
      problems.add(
        merged.where('mask', rule.text),
        `the export job goes by \`${path}\` (\`${key}\`), which this would change`,
      )
  }
  // Whether to ask again is decided before an answer is masked.
  const conditions = [...responseActions, ...(adapt?.when.map(one => ({ ...one, path: 'adapt_page_size.when' })) ?? [])]
  for (const { path, value } of conditions) {
    const rule = mask.rules.find(one => value !== undefined && blinds(one, value))
    if (rule !== undefined)
      problems.add(merged.where('mask', rule.text), `${path} goes by \`${value?.path}\`, which this would change`)
  }
  if (reading.columnsFrom !== undefined)
    problems.add(
      firstOf(mask, merged),
      'cannot be combined with `columns_from`: values in lists have no names to mask by',
    )
  const { keyColumn } = reading
  const named = mask.rules.find(rule => keyColumn !== undefined && (meets(rule, keyColumn) || meets(rule, 'value')))
  if (named !== undefined) {
    const problem = 'cannot mask what `key_column` makes: the names of members, and values that are no objects'
    problems.add(merged.where('mask', named.text), problem)
  }
  const own = responseActions.find(({ action }) => typeof action !== 'string')
  if (own !== undefined)
    problems.add(
      firstOf(mask, merged),
      `${own.path} is a function, which may give values that no mask sees; leave one out`,
    )
}

/** Whether a mask hides what a condition looks for. That a value is there stays visible unless it is dropped. */
function blinds(rule: MaskRule, value: NonNullable<AnswerCondition['value']>): boolean {
  const isVisible = 'exists' in value || value.in.every(one => one === null)
  return (rule.kind === 'drop' || !isVisible) && meetsAnywhere(rule, value.path)
}

/** What is wrong with taking a field of a parent whose mask changes it. Undefined if nothing is. */
export function maskedField(
  mask: MaskModel | undefined,
  shape: ShapeModel | undefined,
  field: string,
  isCopied = false,
): string | undefined {
  const rule = mask?.rules.find(one => isMadeOf(one, shape, field) && (!isCopied || one.kind === 'drop'))
  if (rule === undefined) return undefined
  return isCopied
    ? `\`${field}\` is dropped by ${rule.path}`
    : `\`${field}\` is masked by ${rule.path}, so the API would get another value; take a field that is not`
}

/** What is wrong with telling a change of a parent by a field that its mask changes. Undefined if nothing is. */
export function maskedChange(
  mask: MaskModel | undefined,
  shape: ShapeModel | undefined,
  field: string,
  isOrdered: boolean,
): string | undefined {
  // Hashes differ where the values do, but have no order.
  const rule = mask?.rules.find(one => isMadeOf(one, shape, field) && (isOrdered || one.kind !== 'hash'))
  return rule && `\`${field}\` is masked by ${rule.path}, which hides changes of it; take a field that is not masked`
}

function firstOf({ rules }: MaskModel, merged: MergedResource): PropertyPath {
  return merged.where('mask', rules[0]?.text ?? '')
}
