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

/**
 * The name of a key that was probably meant: a near miss, or the only one with a word of what was written, as `statuses` is
 * for `status_codes`.
 */
export function nearKey(written: string, candidates: Iterable<string>): string | undefined {
  const known = [...candidates]
  const near = nearMiss(written, known)
  if (near !== undefined) return near
  const words = wordsOf(written)
  const sharing = known.filter(candidate => wordsOf(candidate).some(word => words.some(other => isAlike(word, other))))
  return sharing.length === 1 ? sharing[0] : undefined
}

/** Shorter words say little: `of`, `key`, `max`. */
const SHORTEST_WORD = 4

function wordsOf(name: string): readonly string[] {
  const words = name
    .replace(/([a-z])([A-Z])/g, '$1_$2')
    .toLowerCase()
    .split(/[-_ .]/)
  return words.filter(word => word.length >= SHORTEST_WORD)
}

function isAlike(a: string, b: string): boolean {
  return a.startsWith(b) || b.startsWith(a)
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

/** ` (did you mean X?)`, or nothing if no candidate is near. */
export function didYouMean(written: string, candidates: Iterable<string>): string {
  const near = nearMiss(written, candidates)
  return near === undefined ? '' : ` (did you mean ${near}?)`
}
