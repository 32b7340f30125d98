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

/** ` (did you mean X?)`, or nothing if no candidate is near. */
export function didYouMean(written: string, candidates: Iterable<string>): string {
  const near = nearMiss(written, candidates)
  return near === undefined ? '' : ` (did you mean ${near}?)`
}
