import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'

const root = new URL('../../', import.meta.url)
const lines = readFileSync(new URL('docs/guarantees.md', root), 'utf8').split('\n')
const promises = lines.flatMap(line => {
  const [, promise, file, test] = /^\| (.+?) \| `(test\/.+?)` \| (.+?) \|$/.exec(line) ?? []
  return promise === undefined || file === undefined || test === undefined ? [] : [{ promise, file, test }]
})

describe('docs/guarantees.md', () => {
  it('has a test for every row', () => {
    const rows = lines.filter(line => line.startsWith('| ') && !line.startsWith('| promise'))
    expect(promises.length).toBe(rows.length)
    expect(promises.length).toBeGreaterThan(20)
  })

  it.each(promises)('$promise', ({ file, test }) => {
    const source = readFileSync(new URL(file, root), 'utf8')
    expect(source.includes(test), `${file} has no test "${test}"`).toBe(true)
  })
})
