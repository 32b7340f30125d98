/** What a piece of work cost the process that did it. */
export interface Cost {
  readonly wallMs: number
  readonly userMs: number
  readonly systemMs: number
  /** Greatest resident set of the process. */
  readonly peakMb: number
  readonly [more: string]: unknown
}

/** Runs the work and prints its cost, and what it returns, as one line of JSON. */
export async function report(work: () => Promise<Readonly<Record<string, unknown>>>): Promise<void> {
  const cpu = process.cpuUsage()
  const begun = performance.now()
  const more = await work()
  const wallMs = performance.now() - begun
  const { user, system } = process.cpuUsage(cpu)
  const peakMb = process.resourceUsage().maxRSS / 1024
  const cost: Cost = { wallMs, userMs: user / 1000, systemMs: system / 1000, peakMb, ...more }
  console.log(JSON.stringify(cost))
}
