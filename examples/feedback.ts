import { duckdb, pipeline, restApi, secret } from 'sluice'

/** The TypeScript twin of `feedback.yaml`: `sluice run examples/feedback.ts`, or import it and call `run()`. */
export default pipeline({
  name: 'feedback',
  destination: duckdb('feedback.duckdb'),
  dataset: 'feedback_dataset',
  source: restApi({
    client: {
      base_url: process.env.DEMO_API_URL ?? 'http://127.0.0.1:8787',
      auth: { type: 'api_key', name: 'api_key', api_key: secret('api_key'), location: 'query' },
      paginator: { type: 'offset', limit: 100 },
    },
    resources: [
      {
        name: 'feedback_data',
        primary_key: 'id',
        write_disposition: 'merge',
        endpoint: { path: '/v1/feedback', data_selector: 'data' },
      },
    ],
  }),
})
