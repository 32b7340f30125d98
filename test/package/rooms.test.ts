import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { basename, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { sourceModules } from './sources.js'

const root = fileURLToPath(new URL('../..', import.meta.url))
const src = join(root, 'src')
const modules = sourceModules()
const rooms = readdirSync(src, { withFileTypes: true }).filter(entry => entry.isDirectory())

/** Kernels and what is made of them are parts of the module beside them. */
const isKernel = (name: string): boolean => /\.(?:as|wasm)\.ts$/.test(name)

/** With the page that opens a room. */
const MOST_ENTRIES = 19

describe('rooms', () => {
  it('have no two files of one name', () => {
    const names = modules.map(({ path }) => basename(path))
    expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([])
  })

  it.each(rooms.map(({ name }) => name))('%s opens with a page that names what is in it', name => {
    const text = readFileSync(join(src, name, 'README.md'), 'utf8')
    const told = [...text.matchAll(/^- `([^`]+)`: \S/gm)].map(([, entry]) => entry)
    const there = readdirSync(join(src, name), { withFileTypes: true })
      .filter(entry => entry.name !== 'README.md' && !isKernel(entry.name))
      .map(entry => (entry.isDirectory() ? `${entry.name}/` : entry.name))
    expect(told.sort()).toEqual(there.sort())
  })

  it('have so few entries on each level that they are read at a glance', () => {
    const levels = readdirSync(src, { recursive: true, withFileTypes: true })
      .filter(entry => entry.isDirectory())
      .map(entry => join(entry.parentPath, entry.name))
    const entries = (level: string): number => readdirSync(level).filter(name => !isKernel(name)).length
    expect(levels.length).toBeGreaterThan(20)
    expect(levels.filter(level => entries(level) > MOST_ENTRIES).map(level => relative(src, level))).toEqual([])
  })
})

describe('the documents about the house', () => {
  const documents = ['ARCHITECTURE.md', 'CONTRIBUTING.md', 'bench/README.md']

  it.each(documents)('%s names files that are there', document => {
    const named = [...read(document).matchAll(/`((?:src|test|scripts|bench|examples)\/[\w./-]+)`/g)].map(
      ([, path]) => path as string,
    )
    expect(named.length).toBeGreaterThan(0)
    expect(named.filter(path => !existsSync(join(root, path)))).toEqual([])
  })

  it('the way of a record follows imports', () => {
    const [way = ''] = /^## Follow one record\n[\s\S]*?(?=^## )/m.exec(read('ARCHITECTURE.md')) ?? []
    const steps = [...way.matchAll(/(?=`src\/([\w./-]+)`\s+→\s+`src\/([\w./-]+)`)/g)]
    expect(steps.length).toBeGreaterThan(5)
    const wrong = steps.filter(([, from, to]) => !importsOf(from).includes(to as string))
    expect(wrong.map(([, from, to]) => `${from} → ${to}`)).toEqual([])
  })
})

function read(document: string): string {
  return readFileSync(join(root, document), 'utf8')
}

function importsOf(path: string | undefined): readonly string[] {
  return modules.find(module => module.path === path)?.imports.map(({ target }) => target) ?? []
}
