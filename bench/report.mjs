/**
 * Runs the work and prints its cost (`Cost` of measure.ts), and what it returns, as one line of JSON.
 * @param {() => Promise<Readonly<Record<string, unknown>>>} work
 */
export async function report(work) {
  const cpu = process.cpuUsage()
  const begun = performance.now()
  const more = await work()
  const wallMs = performance.now() - begun
  const { user, system } = process.cpuUsage(cpu)
  const peakMb = process.resourceUsage().maxRSS / 1024
  console.log(JSON.stringify({ wallMs, userMs: user / 1000, systemMs: system / 1000, peakMb, ...more }))
}
