import { Secret } from '../../../model/secrets/secret.js'
import type { IncrementalHint, TableHints } from '../../../model/source.js'
import { isShortSalt, type MaskModel, SHORTEST_SALT } from '../../mask/maskHash.js'
import { type MaskRule, maskWays, meets, meetsAnywhere } from '../../mask/maskRules.js'
import type { EndpointModel, IncrementalModel } from '../model.js'
import { formatPath, type Problems, type PropertyPath } from '../problems.js'
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
    hints,
    incremental,
  }: {
    readonly mask: MaskModel | undefined
    readonly hints: TableHints
    readonly incremental: Pick<IncrementalModel, 'hint' | 'token'> | undefined
  },
  merged: MergedResource,
  problems: Problems,
): void {
  for (const rule of mask?.rules ?? []) {
    const at = merged.where('mask', rule.text)
    const cursor = incremental?.hint.cursorPath
    const isMet = incremental?.token === undefined ? meets : meetsAnywhere
    if (cursor !== undefined && isMet(rule, cursor)) {
      problems.add(at, `\`${cursor}\` is the cursor, which must stay as the API sends it; choose another cursor_path`)
    }
    if (rule.kind !== 'hash') {
      const key = keysOf(hints, incremental?.hint).find(name => meets(rule, name))
      if (key !== undefined) problems.add(at, `\`${key}\` is part of a key, so only \`hash\` keeps records apart`)
    }
    const column = hints.columns?.find(({ name }) => name !== undefined && meets(rule, name))
    if (column?.hard_delete === true || column?.dedup_sort != null) {
      problems.add(at, `\`${column.name}\` decides which rows stay, so it must stay as the API sends it`)
    } else if (column?.data_type !== undefined && column.data_type !== 'text' && rule.kind !== 'drop') {
      problems.add(at, `makes a text of \`${column.name}\`, which \`columns\` declares as ${column.data_type}`)
    }
  }
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
  { paginator, responseActions, reading, job }: EndpointModel,
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

/** What is wrong with taking a field of a parent whose mask changes it. Undefined if nothing is. */
export function maskedField(mask: MaskModel | undefined, field: string, isCopied = false): string | undefined {
  const rule = mask?.rules.find(one => meets(one, field) && (!isCopied || one.kind === 'drop'))
  if (rule === undefined) return undefined
  return isCopied
    ? `\`${field}\` is dropped by ${rule.path}`
    : `\`${field}\` is masked by ${rule.path}, so the API would get another value; take a field that is not`
}

/** What is wrong with telling a change of a parent by a field that its mask changes. Undefined if nothing is. */
export function maskedChange(mask: MaskModel | undefined, field: string, isOrdered: boolean): string | undefined {
  // Hashes differ where the values do, but have no order.
  const rule = mask?.rules.find(one => meets(one, field) && (isOrdered || one.kind !== 'hash'))
  return rule && `\`${field}\` is masked by ${rule.path}, which hides changes of it; take a field that is not masked`
}

function firstOf({ rules }: MaskModel, merged: MergedResource): PropertyPath {
  return merged.where('mask', rules[0]?.text ?? '')
}
