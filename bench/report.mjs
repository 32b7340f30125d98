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

/**
 * Runs a pipeline and reports what it cost, its rows by table, and how long its commit took.
 * @param {import('sluice').Pipeline} load
 * @param {import('sluice').RunOptions} [options]
 */
export async function reportRun(load, options) {
  let committing = 0
  let commitMs = 0
  await report(async () => {
    const { rows } = await load.run({
      ...options,
      onEvent: event => {
        if (event.type === 'committing') committing = performance.now()
        if (event.type === 'committed') commitMs = performance.now() - committing
      },
    })
    return { rows, commitMs }
  })
}
