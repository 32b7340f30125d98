import { join } from 'node:path'
import { expect, test } from 'vitest'
import { feedbackServer } from '../../examples/server.js'
import { duckdb, pipeline, restApi } from '../../src/index.js'
import { testFolder } from '../pipeline/api.js'

test('the example of a server answers with typed rows', async () => {
  const folder = await testFolder()
  const records = [1, 2, 3, 4].map(n => ({
    id: 7190000000000004000 + n * 1000,
    rating: n,
    timestamp: `2024-01-0${n}T00:00:00Z`,
  }))
  const source = restApi({ client: { base_url: '' }, resources: [{ name: 'feedback_data', records }] })
  const destination = duckdb(join(folder, 'feedback.duckdb'))
  const feedback = pipeline({ name: 'feedback', source, destination, home: join(folder, 'home') })
  await feedback.run()
  const app = feedbackServer(feedback)
  const best = await app.request('/feedback?rating=3')
  expect(await best.json()).toEqual([
    { id: '7190000000000008000', rating: 4, at: '2024-01-04T00:00:00.000Z' },
    { id: '7190000000000007000', rating: 3, at: '2024-01-03T00:00:00.000Z' },
  ])
  expect(await (await app.request('/ratings')).json()).toEqual({ 1: 1, 2: 1, 3: 1, 4: 1 })
  expect((await app.request('/feedback?rating=best')).status).toBe(400)
})
