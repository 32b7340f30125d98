import { defineConfig } from 'vitest/config'

/** Rooms whose tests start no engine and no process. A new file in one of them takes part. */
const ROOMS = ['json', 'model', 'schema', 'normalize', 'config', 'journal', 'rest']

/** Files of those rooms that take longest. Each must be there: `test/package/quick.test.ts`. */
const LONG = [
  'config/defineConfig',
  'model/scrubber',
  'rest/beyond',
  'rest/combinations',
  'rest/completeNested',
  'rest/config/hovers',
  'rest/cursors',
  'rest/formats',
  'rest/mask',
  'rest/parentChanges',
  'rest/secondLook',
  'rest/syncTokens',
  'rest/userFunctions',
  'rest/waits',
]

/** What can be tested in two minutes on two cores. `npm test` runs everything. */
export default defineConfig({
  test: {
    include: [...ROOMS.map(room => `test/${room}/**/*.test.ts`), 'test/pipeline/run.test.ts'],
    exclude: LONG.map(name => `test/${name}.test.ts`),
    testTimeout: 60_000,
    hookTimeout: 60_000,
    maxWorkers: 2,
  },
})
