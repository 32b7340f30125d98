import { execFile } from 'node:child_process'
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, it, onTestFinished } from 'vitest'
import { parse } from 'yaml'
import { pages } from '../../scripts/llmsText.js'

const run = promisify(execFile)
const root = fileURLToPath(new URL('../..', import.meta.url))
const read = (path: string): Promise<string> => readFile(join(root, path), 'utf8')

interface Step {
  readonly name?: string
  readonly uses?: string
  readonly run?: string
  readonly env?: Readonly<Record<string, string>>
}

interface Action {
  readonly inputs: Readonly<Record<string, { readonly description: string }>>
  readonly runs: { readonly using: string; readonly steps: readonly Step[] }
}

interface Workflow {
  readonly jobs: Readonly<Record<string, { readonly steps: readonly Step[] }>>
}

const workflows = (await readdir(join(root, '.github/workflows'))).map(name => `.github/workflows/${name}`)

it('has every page in the site and in docs/llms.txt', async () => {
  const there = (await readdir(join(root, 'docs'))).filter(name => name.endsWith('.md') && name !== 'index.md')
  const listed = pages.flatMap(([, names]) => names.map(name => `${name}.md`))
  expect(listed.toSorted()).toEqual(there.toSorted())
})

it.each(workflows)('%s does one thing in each step', async path => {
  const { jobs } = parse(await read(path)) as Workflow
  for (const { steps } of Object.values(jobs)) {
    for (const step of steps) expect(Object.keys(step).filter(key => key === 'uses' || key === 'run')).toHaveLength(1)
  }
})

it('the action uses the inputs that it declares, and no other', async () => {
  const text = await read('action.yml')
  const { inputs, runs } = parse(text) as Action
  const used = new Set([...text.matchAll(/\$\{\{ inputs\.([\w-]+) \}\}/g)].map(([, name]) => name))
  expect([...used].toSorted()).toEqual(Object.keys(inputs).toSorted())
  expect(runs.using).toBe('composite')
  // An expression inside a script would let an input be code.
  for (const { run: script = '' } of runs.steps) expect(script).not.toContain('${{')
})

it.skipIf(process.platform === 'win32')('the action installs Sluice and gives it its arguments', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-action-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const bin = join(folder, 'sluice/node_modules/.bin')
  await mkdir(bin, { recursive: true })
  for (const place of [join(folder, 'npm'), join(bin, 'sluice')]) {
    await writeFile(place, '#!/bin/sh\nprintf "%s\\n" "$@"\n')
    await chmod(place, 0o755)
  }
  const { runs } = parse(await read('action.yml')) as Action
  const [install, load] = runs.steps.filter(step => step.run !== undefined)
  const inputs: Readonly<Record<string, string>> = {
    version: '0',
    packages: 'pg',
    command: 'run',
    file: 'my orders.yaml',
    destination: 'duckdb:a b.duckdb',
    arguments: '--select orders --verbose',
  }
  const printed = async (step: Step | undefined): Promise<readonly string[]> => {
    const given = Object.entries(step?.env ?? {}).map(([name, value]) => [
      name,
      value.replace(/\$\{\{ inputs\.([\w-]+) \}\}/, (_whole, input: string) => inputs[input] ?? ''),
    ])
    const env = {
      PATH: `${folder}${delimiter}${process.env.PATH}`,
      RUNNER_TEMP: folder,
      ...Object.fromEntries(given),
    }
    const { stdout } = await run('bash', ['--noprofile', '--norc', '-eo', 'pipefail', '-c', step?.run ?? ''], { env })
    return stdout.trim().split('\n')
  }
  expect(await printed(install)).toEqual([
    ...['install', '--prefix', `${folder}/sluice`, '--no-audit', '--no-fund'],
    ...['sluice@0', 'pg'],
  ])
  expect(await printed(load)).toEqual([
    ...['run', 'my orders.yaml', '--select', 'orders', '--verbose'],
    ...['--destination', 'duckdb:a b.duckdb'],
  ])
})

it('the Dockerfile copies what is there, and its image runs without rights', async () => {
  const text = (await read('Dockerfile')).replaceAll(/^#.*\n/gm, '').replaceAll(/\\\n\s*/g, '')
  const instructions = text
    .split('\n')
    .filter(line => line !== '')
    .map(line => /^(\w+) (.*)$/.exec(line)?.slice(1) as [string, string])
  const of = (name: string): string[] => instructions.filter(([kind]) => kind === name).map(([, rest]) => rest)
  expect(of('ADD')).toEqual([])
  for (const image of of('FROM')) expect(image).toMatch(/^node:\d+-[a-z]+-slim\b/)
  for (const copied of of('COPY')) {
    for (const source of copied.split(' ').slice(0, -1)) await stat(join(root, source))
  }
  const [user] = of('USER')
  expect(user).toBe('node')
  const after = instructions.slice(instructions.findIndex(([kind]) => kind === 'USER'))
  expect(after.map(([kind]) => kind)).toEqual(['USER', 'WORKDIR', 'ENTRYPOINT', 'CMD'])
  const entry = JSON.parse(of('ENTRYPOINT')[0] ?? '') as string[]
  expect(entry).toEqual(Object.keys((JSON.parse(await read('package.json')) as { bin: object }).bin))
})
