import { expect, test } from 'vitest'
import { ConfigError } from '../../../src/model/errors.js'
import { parseRestConfig } from '../../../src/rest/document/parseDocument.js'
import fc from '../../properties.js'

const words = fc.constantFrom(
  'client',
  'resources',
  'resource_defaults',
  'base_url',
  'auth',
  'type',
  'bearer',
  'api_key',
  'token',
  'paginator',
  'offset',
  'cursor',
  'limit',
  'name',
  'endpoint',
  'path',
  'params',
  'json',
  'data',
  'headers',
  'incremental',
  'cursor_path',
  'columns',
  'data_type',
  'resolve',
  'resource',
  'field',
  '{resources.a.id}',
  '{a}',
  '{',
  '${secrets.x}',
  '${env.X}',
  'a',
  'https://a.org',
  'primary_key',
  'merge',
  'GET',
  '__proto__',
  'constructor',
  'response_actions',
  'action',
  'ignore',
  'status_code',
  '5xx',
  'retry',
  'x-y',
  '',
)
const anything = fc.anything({
  key: words,
  values: [words, fc.integer(), fc.double(), fc.boolean(), fc.constant(null), fc.bigInt()],
  maxDepth: 6,
  withBigInt: true,
  withNullPrototype: true,
})

/** Documents that are right but for a few places. */
const almost = fc.record(
  {
    client: fc.oneof(
      anything,
      fc.record(
        { base_url: words, auth: anything, paginator: anything, headers: anything },
        { requiredKeys: ['base_url'] },
      ),
    ),
    resources: fc.oneof(
      anything,
      fc.array(
        fc.oneof(
          words,
          fc.record(
            {
              name: words,
              endpoint: fc.oneof(anything, fc.dictionary(words, anything)),
              columns: anything,
              primary_key: anything,
            },
            { requiredKeys: ['name'] },
          ),
        ),
      ),
    ),
    resource_defaults: anything,
  },
  { requiredKeys: ['client', 'resources'] },
)

test.each([
  ['anything', anything],
  ['almost documents', almost],
])('%s is accepted or refused with a ConfigError, and not changed', (_, documents) => {
  fc.assert(
    fc.property(documents, document => {
      const before = structuredClone(document)
      try {
        parseRestConfig(document)
      } catch (error) {
        if (!(error instanceof ConfigError)) throw error
        for (const problem of error.problems) expect(problem.message).not.toBe('')
      }
      expect(document).toEqual(before)
    }),
    { numRuns: 500 },
  )
})

test('a frozen document is as good as any', () => {
  const document = Object.freeze({
    client: Object.freeze({ base_url: 'https://a.org' }),
    resources: Object.freeze(['a']),
  })
  const model = parseRestConfig(document)
  expect(Object.isFrozen(model) && Object.isFrozen(model.resources)).toBe(true)
  expect(parseRestConfig(document)).toEqual(model)
})
