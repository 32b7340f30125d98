import type { DispositionHint } from './source.js'

/** Why `deletes` cannot work with this write disposition. Undefined if it can, given a primary key. */
export function deletesRefusal({ disposition, strategy }: DispositionHint): string | undefined {
  const remedy = 'write `write_disposition: merge` and a `primary_key`, or leave `deletes` out'
  if (disposition === 'merge' && strategy === 'cdc') {
    return 'cannot work with the strategy cdc, which deletes rows that are gone by itself; use another strategy, or leave `deletes` out'
  }
  if (disposition === 'merge' && strategy !== 'scd2') return undefined
  if (disposition === 'merge') {
    return `cannot work with the strategy scd2, which ends the version of a row that is gone by itself; use another strategy, or leave \`deletes\` out`
  }
  if (disposition === 'replace') {
    return `cannot work with \`write_disposition: replace\`, which keeps no row that is gone; ${remedy}`
  }
  return `cannot work with \`write_disposition: ${disposition}\`, which only adds rows; ${remedy}`
}
