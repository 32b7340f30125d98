import { spawnSync } from 'node:child_process'
import { expect, test } from 'vitest'
import { root } from './blocks.js'

test('every type that the public door uses is exported, and every link in a docstring leads somewhere', {
  timeout: 600_000,
}, () => {
  const made = spawnSync(process.execPath, ['node_modules/typedoc/bin/typedoc', '--emit', 'none'], {
    cwd: root,
    encoding: 'utf8',
  })
  expect(made.stdout + made.stderr).not.toMatch(/\[(?:warning|error)\]/)
  expect(made.status).toBe(0)
})
