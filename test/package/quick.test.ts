import { existsSync, readdirSync } from 'node:fs'
import { expect, it } from 'vitest'
import quick from '../../vitest.quick.config.js'

it('the quick tests name rooms and files that are there, and leave few out', () => {
  const { include = [], exclude = [] } = (quick as { test: { include?: string[]; exclude?: string[] } }).test
  const rooms = include.flatMap(pattern => /^test\/(\w+)\/\*\*/.exec(pattern)?.[1] ?? [])
  for (const file of [...rooms.map(room => `test/${room}`), ...exclude]) expect(existsSync(file), file).toBe(true)
  expect(include.every(pattern => pattern.includes('*') || existsSync(pattern))).toBe(true)
  const chosen = rooms.flatMap(room => readdirSync(`test/${room}`, { recursive: true }).map(String))
  expect(chosen.filter(name => name.endsWith('.test.ts')).length).toBeGreaterThan(5 * exclude.length)
})
