import { Hono } from 'hono'
import type { Pipeline } from 'sluice'

/** Rows of `feedback_data`, of what `sluice types examples/feedback.yaml` writes. */
interface Tables {
  readonly feedback_data: {
    readonly id: bigint
    readonly rating: bigint | null
    readonly timestamp: Date | null
  }
}

/**
 * A server that answers from what a pipeline has loaded: `GET /feedback?rating=4` lists the newest feedback with at least that
 * rating, `GET /ratings` counts. Serve it with `serve` of `@hono/node-server`, or hand `app.fetch` to any other host.
 */
export function feedbackServer(feedback: Pipeline): Hono {
  const app = new Hono()
  const dataset = feedback.dataset<Tables>()

  app.get('/feedback', async context => {
    const least = /^\d+$/.exec(context.req.query('rating') ?? '0')
    if (least === null) return context.json({ error: 'rating must be a whole number' }, 400)
    const rows = await dataset
      .table('feedback_data')
      .where('rating', '>=', BigInt(least[0]))
      .select('id', 'rating', 'timestamp')
      .orderBy('timestamp', 'descending')
      .limit(20)
      .rows()
    // JSON has no bigint: ids go out as texts, so that none loses a digit.
    return context.json(rows.map(row => ({ id: String(row.id), rating: Number(row.rating), at: row.timestamp })))
  })

  app.get('/ratings', async context => {
    const rows = await dataset.query<{ rating: bigint; n: bigint }>(
      'SELECT rating, count(*) AS n FROM feedback_data GROUP BY rating ORDER BY rating',
    )
    return context.json(Object.fromEntries(rows.map(({ rating, n }) => [String(rating), Number(n)])))
  })

  return app
}
