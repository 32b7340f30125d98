import { readFile, writeFile } from 'node:fs/promises'

/** One measurement against another of the same run, so that the pace of the machine does not count. */
export interface MeasuredRatio {
  /** Benchmark and what it measures, as in `small: wall time`. */
  readonly name: string
  readonly ratio: number
  /** Whether less is better. */
  readonly isLess: boolean
}

/** What one run differs from the next by on a machine that others use too. */
const TOLERANCE = 0.1

const stored = new URL('ratios.json', import.meta.url)

/** Adds the ratios to the stored ones, or takes their place. */
export async function storeRatios(ratios: readonly MeasuredRatio[]): Promise<void> {
  const next: Record<string, number> = { ...(await storedRatios()) }
  for (const { name, ratio } of ratios) next[name] = Number(ratio.toFixed(3))
  await writeFile(stored, `${JSON.stringify(next, undefined, 2)}\n`)
}

/** Each ratio beside the stored one. A ratio that is not stored is never worse. */
export async function compared(
  ratios: readonly MeasuredRatio[],
): Promise<{ readonly lines: readonly string[]; readonly isWorse: boolean }> {
  const before = await storedRatios()
  const results = ratios.map(({ name, ratio, isLess }) => {
    const known = before[name]
    if (known === undefined) return { line: `${name}: ${ratio.toFixed(2)}, not stored`, isWorse: false }
    const change = (isLess ? ratio / known : known / ratio) - 1
    const isWorse = change > TOLERANCE
    const shown = `${change > 0 ? '+' : ''}${(change * 100).toFixed(0)} %`
    return {
      line: `${name}: ${ratio.toFixed(2)}, stored ${known.toFixed(2)} (${shown}${isWorse ? ': WORSE' : ''})`,
      isWorse,
    }
  })
  return { lines: results.map(({ line }) => line), isWorse: results.some(({ isWorse }) => isWorse) }
}

async function storedRatios(): Promise<Readonly<Record<string, number>>> {
  const text = await readFile(stored, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '{}'
    throw error
  })
  return JSON.parse(text) as Record<string, number>
}
