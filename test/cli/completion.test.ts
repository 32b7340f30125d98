import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { sluiceProcess } from './process.js'

const script = async (shell: string) => {
  const { exitCode, stdout, stderr } = await sluiceProcess(['completion', shell], { cwd: tmpdir() })
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' })
  return stdout
}

describe.runIf(existsSync('/bin/bash'))('bash', () => {
  let completion: string
  beforeAll(async () => {
    completion = await script('bash')
  })

  /** What bash itself offers for the last word, in a folder with these files. */
  async function offered(words: readonly string[], files: readonly string[] = []): Promise<string[]> {
    const folder = await mkdtemp(join(tmpdir(), 'sluice-completion-'))
    onTestFinished(() => rm(folder, { recursive: true, force: true }))
    for (const file of files) await writeFile(join(folder, file), '')
    const ask = 'COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _sluice; printf "%s\\n" "${COMPREPLY[@]}"'
    const program = `set -eu\n${completion}\n${ask}`
    const args = ['--norc', '--noprofile', '-c', program, 'bash', 'sluice', ...words]
    const shown = execFileSync('/bin/bash', args, { cwd: folder, encoding: 'utf8' })
    return shown.split('\n').filter(word => word !== '')
  }

  it.each<[string[], string[]]>([
    [['sc'], ['schema']],
    [['h'], ['history', 'help']],
    [['--v'], ['--version']],
    [['run', '--full'], ['--full-refresh']],
    [['run', 'm.yaml', '--no'], ['--no-resume']],
    [['schema', 'm.yaml', '--format', 'd'], ['dbml']],
    [
      ['init', '--auth', ''],
      ['none', 'bearer', 'api_key', 'http_basic'],
    ],
    [['completion', 'z'], ['zsh']],
    [['help', 'exp'], ['explain']],
    [
      ['run', 'a'],
      ['a b.yaml', 'a.yaml'],
    ],
    [['run', 'a.yaml', '--dataset', 'a'], []],
    [['schema', 'a.yaml', '--out', 'a.'], ['a.yaml']],
  ])('%j', async (words, expected) => {
    const files = expected.some(word => word.endsWith('.yaml')) ? ['a.yaml', 'a b.yaml'] : []
    expect((await offered(words, files)).sort()).toEqual([...expected].sort())
  })

  it('knows every command and every option that the help names', async () => {
    const { stdout } = await sluiceProcess(['--help'], { cwd: tmpdir() })
    const commands = [...stdout.matchAll(/^ {2}([a-z]+) (?=[[<])/gm)].map(([, name = '']) => name)
    expect(commands.length).toBeGreaterThan(10)
    expect(await offered([''])).toEqual(expect.arrayContaining(commands))
  })
})

it.each(['zsh', 'fish'])('%s gets every command with its options', async shell => {
  const text = await script(shell)
  for (const word of ['init', 'run', 'doctor', 'full-refresh', 'dbml', 'http_basic']) expect(text).toContain(word)
  expect((text.match(/'/g) ?? []).length % 2).toBe(0)
})

it('refuses another shell', async () => {
  const { exitCode, stderr } = await sluiceProcess(['completion', 'tcsh'], { cwd: tmpdir() })
  expect(exitCode).toBe(2)
  expect(stderr).toContain('bash, zsh, fish')
})
