import { isWritable, type Level, type Plan, type Run } from './plan.js'

/** The simplest world that is still `wrong`, found by leaving out one thing after another. */
export async function simplest(plan: Plan, wrong: (plan: Plan) => Promise<boolean>): Promise<Plan> {
  for (const simpler of simplerThan(plan))
    if (isWritable(simpler) && (await wrong(simpler))) return simplest(simpler, wrong)
  return plan
}

/** Worlds with one thing less, the greatest things first. */
function* simplerThan(plan: Plan): Generator<Plan> {
  const { runs, levels, sizes } = plan
  for (const at of runs.keys()) if (runs.length > 1) yield { ...plan, runs: runs.toSpliced(at, 1) }
  if (levels.length > 1) yield { ...plan, levels: levels.slice(0, -1), sizes: sizes.slice(0, -1) }
  for (const [at, run] of runs.entries()) {
    for (const simpler of simplerRuns(run)) yield { ...plan, runs: runs.with(at, simpler) }
  }
  for (const [at, level] of levels.entries()) {
    for (const simpler of simplerLevels(level)) yield { ...plan, levels: levels.with(at, simpler) }
  }
  for (const [at, size] of sizes.entries()) {
    for (const smaller of [Math.floor(size / 2), size - 1])
      if (smaller >= 0 && smaller < size) yield { ...plan, sizes: sizes.with(at, smaller) }
  }
  if (plan.isShared) yield { ...plan, isShared: false }
  if (plan.concurrency > 1) yield { ...plan, concurrency: 1 }
}

function* simplerRuns(run: Run): Generator<Run> {
  for (const at of run.lies.keys()) yield { ...run, lies: run.lies.toSpliced(at, 1) }
  for (const at of run.motions.keys()) yield { ...run, motions: run.motions.toSpliced(at, 1) }
  for (const [at, lie] of run.lies.entries()) {
    if (lie.page === 'last') yield { ...run, lies: run.lies.with(at, { ...lie, page: 'every' }) }
    if (lie.value > 0) yield { ...run, lies: run.lies.with(at, { ...lie, value: Math.floor(lie.value / 2) }) }
  }
  if (run.maxPages !== undefined) yield { ...run, maxPages: undefined }
  if (run.stopsAfter !== undefined) yield { ...run, stopsAfter: undefined }
  if (run.isSelective) yield { ...run, isSelective: false }
  if (run.allowIncomplete) yield { ...run, allowIncomplete: false }
}

const plainLevel: Partial<Level> = {
  auto: false,
  slip: undefined,
  bound: undefined,
  incremental: false,
  ignores404: false,
  selector: true,
  selected: true,
  stopAfterEmpty: true,
  stopsMissing: false,
  perParent: false,
  reads: 'neither',
  deletes: undefined,
  disposition: 'merge',
}

const plainStyle: Partial<Level['style']> = {
  asks: 'query',
  noErrors: undefined,
  numbers: false,
  bare: false,
  link: undefined,
  more: undefined,
  pages: undefined,
  total: undefined,
  base: 0,
  end: 'null',
  key: 'id',
  isInclusive: false,
  isDescending: false,
  header: 'Link',
  syncs: false,
}

function* simplerLevels(level: Level): Generator<Level> {
  for (const [key, plain] of Object.entries(plainLevel)) {
    if (key === 'disposition' && level.deletes !== undefined) continue
    if (level[key as keyof Level] !== plain) yield { ...level, [key]: plain }
  }
  if (level.deletes === 'with_parent') yield { ...level, deletes: 'hard' }
  const { style } = level
  for (const [key, plain] of Object.entries(plainStyle)) {
    if (style[key as keyof Level['style']] !== plain) yield { ...level, style: { ...style, [key]: plain } }
  }
  if (style.total !== undefined && style.total !== 'total') yield { ...level, style: { ...style, total: 'total' } }
  if (style.pages !== undefined && style.pages !== 'pages') yield { ...level, style: { ...style, pages: 'pages' } }
}
