/** Lines of context around a change. */
const CONTEXT = 2
/** Longer texts are compared without looking for what moved. */
const MOST_CELLS = 4_000_000

type Line = readonly [sign: ' ' | '-' | '+', text: string]

/** What a reader needs to see of two texts: changed lines, with what is around them. Empty if they are the same. */
export function textDiff(before: string, after: string): readonly string[] {
  const lines = compared(before.split(/\r?\n/), after.split(/\r?\n/))
  const isNear = (index: number): boolean =>
    lines.slice(Math.max(0, index - CONTEXT), index + CONTEXT + 1).some(([sign]) => sign !== ' ')
  const shown: string[] = []
  let isSkipping = false
  lines.forEach(([sign, text], index) => {
    if (isNear(index)) {
      shown.push(`${sign} ${text}`.trimEnd())
      isSkipping = false
    } else if (!isSkipping) {
      shown.push('  …')
      isSkipping = true
    }
  })
  return lines.every(([sign]) => sign === ' ') ? [] : shown
}

function compared(before: readonly string[], after: readonly string[]): readonly Line[] {
  let start = 0
  while (start < before.length && start < after.length && before[start] === after[start]) start++
  let end = 0
  while (
    end < before.length - start &&
    end < after.length - start &&
    before[before.length - 1 - end] === after[after.length - 1 - end]
  )
    end++
  const same = (text: string): Line => [' ', text]
  return [
    ...before.slice(0, start).map(same),
    ...changed(before.slice(start, before.length - end), after.slice(start, after.length - end)),
    ...before.slice(before.length - end).map(same),
  ]
}

/** By the longest common subsequence of lines. */
function changed(before: readonly string[], after: readonly string[]): readonly Line[] {
  const gone = (text: string): Line => ['-', text]
  const come = (text: string): Line => ['+', text]
  const width = after.length + 1
  if (before.length * after.length > MOST_CELLS) return [...before.map(gone), ...after.map(come)]
  const common = new Uint32Array((before.length + 1) * width)
  const at = (i: number, j: number): number => common[i * width + j] ?? 0
  for (let i = before.length - 1; i >= 0; i--)
    for (let j = after.length - 1; j >= 0; j--)
      common[i * width + j] = before[i] === after[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1))
  const lines: Line[] = []
  let [i, j] = [0, 0]
  while (i < before.length || j < after.length) {
    const [old, fresh] = [before[i], after[j]]
    if (old !== undefined && old === fresh) {
      lines.push([' ', old])
      i++
      j++
    } else if (fresh === undefined || (old !== undefined && at(i + 1, j) >= at(i, j + 1))) {
      lines.push(gone(old ?? ''))
      i++
    } else {
      lines.push(come(fresh))
      j++
    }
  }
  return lines
}
