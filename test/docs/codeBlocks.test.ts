import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { parse as parseToml } from 'smol-toml'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { parseAllDocuments, parse as parseYaml, stringify } from 'yaml'
import { sluice } from '../../src/cli/program.js'
import { loadPipelineFile } from '../../src/index.js'
import { compilePath } from '../../src/json/path.js'
import { type Block, blocksOf, root, userDocuments } from './blocks.js'

const documents = await userDocuments()
const blocks = (await Promise.all(documents.map(blocksOf))).flat()
const of = (...languages: readonly string[]): readonly Block[] =>
  blocks.filter(({ language }) => languages.includes(language))

/** Languages whose blocks are checked here or in examples, recipes and the tutorial, and those that nobody checks. */
const checked = ['ts', 'js', 'yaml', 'toml', 'json', 'sh', 'sql', 'text']
const others = ['ini', 'python', 'dockerfile']

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-blocks-'))
})
afterAll(async () => {
  vi.unstubAllEnvs()
  await rm(folder, { recursive: true, force: true })
})

test('every block has a language that is known', () => {
  expect(
    blocks.filter(({ language }) => ![...checked, ...others].includes(language)).map(({ place }) => place),
  ).toEqual([])
})

test.each(of('yaml').map(block => [block.place, block] as const))('%s is valid', async (_place, block) => {
  for (const document of parseAllDocuments(block.text)) expect(document.errors).toEqual([])
  const value: unknown = parseYaml(block.text)
  const isWhole = block.words[0] !== 'fragment' && /^(?:client|source):/m.test(block.text)
  if (!isWhole) await checkFragment(value)
  else await checkPipeline(block.text)
})

/** Where the keys of a fragment stand in a pipeline file. */
const places: Readonly<Record<string, 'client' | 'resource' | 'endpoint' | 'root'>> = {
  client: 'root',
  destination: 'root',
  auth: 'client',
  paginator: 'endpoint',
  incremental: 'endpoint',
  write_disposition: 'resource',
  schema_contract: 'resource',
}

async function checkFragment(value: unknown): Promise<void> {
  if (typeof value !== 'object' || value === null) return
  const [key = ''] = Object.keys(value)
  const place = places[key]
  if (place === undefined) return
  const resource = { name: 'orders', primary_key: 'id' }
  const document = {
    client: { base_url: 'https://api.example.com', ...(place === 'client' && value) },
    resources: [
      place === 'endpoint' ? { ...resource, endpoint: value } : { ...resource, ...(place === 'resource' && value) },
    ],
    ...(place === 'root' && value),
  }
  await checkPipeline(stringify(document))
}

/** Checks a pipeline file whole, as the first step of a run does. Its secrets are there. */
async function checkPipeline(text: string): Promise<void> {
  for (const [, name = ''] of text.matchAll(/\$\{secrets\.(\w+)\}/g)) vi.stubEnv(name.toUpperCase(), 'docs-secret-4711')
  for (const [, name = ''] of text.matchAll(/\$\{env\.(\w+)\}/g)) vi.stubEnv(name, 'https://api.example.com')
  const file = join(folder, 'checked.yaml')
  await writeFile(file, text)
  const { pipelines } = await loadPipelineFile(file, { cwd: folder })
  expect(pipelines).toHaveLength(1)
}

test.each(of('toml', 'json').map(block => [block.place, block] as const))('%s can be read', (_place, block) => {
  expect(block.language === 'toml' ? parseToml(block.text) : JSON.parse(block.text)).toBeTypeOf('object')
})

const commandLines = [
  ...of('sh').flatMap(({ text, place }) => text.split('\n').map(line => [line, place] as const)),
  ...(await indentedLines()),
].flatMap(([line, place]) => {
  const [, command] =
    /^(?:\$ )?(?:[A-Z_]+=\S+ )*(?:npx |npm run --silent sluice -- )?(?:sluice )?(.*)$/.exec(line) ?? []
  const isSluice = /(?:^|\s|npx )sluice (?!--version)(?=[a-z-])/.test(line) && !line.startsWith('npm install')
  return isSluice && command !== undefined && !line.startsWith('docker') ? [[line, command, place] as const] : []
})

test('there are command lines', () => {
  expect(commandLines.length).toBeGreaterThan(20)
})

test.each(commandLines)('%s is a command', async (line, command) => {
  const args = words(command.replace(/^.*?\bsluice /, '').replace(/ [<>]{1,2} .*$/, ''))
  const printed: string[] = []
  const output = {
    isTerminal: false,
    columns: () => 80,
    rows: () => 24,
    write: (text: string) => void printed.push(text),
    line: (text = '') => void printed.push(text),
    styled: (_style: string, text: string) => text,
  }
  const before = process.cwd()
  process.chdir(folder)
  try {
    // There is no such file, and nobody answers: whatever comes after the command line is understood is an error.
    const url = args.map(argument => (/^https?:/.test(argument) ? 'http://127.0.0.1:1/' : argument))
    const terminal = { out: output, err: output }
    await sluice(url, { terminal, signal: AbortSignal.abort(), now: () => 0, version: '0.0.0' })
  } finally {
    process.chdir(before)
  }
  expect(printed.join('\n'), line).not.toMatch(
    /unknown (?:option|command)|missing required|too many arguments|is invalid/,
  )
})

/** Splits a line as a shell does. */
function words(line: string): string[] {
  return [...line.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)].map(
    ([, single, double, plain]) => single ?? double ?? plain ?? '',
  )
}

/** Commands that stand indented in the guide to the command. */
async function indentedLines(): Promise<(readonly [string, string])[]> {
  const text = await readFile(join(root, 'docs/cli.md'), 'utf8')
  return [...text.matchAll(/^ {4}(sluice .*)$/gm)].map(([, line = '']) => [line, 'docs/cli.md'] as const)
}

test('the page on nested data lists JSONPath as it is', async () => {
  const text = await readFile(join(root, 'docs/nested-data.md'), 'utf8')
  const table = text.slice(text.indexOf('## JSONPath'), text.indexOf('## Braces'))
  const cells = [...table.matchAll(/^\| (`.*?) \|/gm)].map(([, cell = '']) => cell.replaceAll('\\|', '|'))
  const paths = cells.flatMap(cell =>
    [...cell.matchAll(/`` (.+?) ``|(?<!`)`([^`]+)`(?!`)/g)].map(([, a, b]) => a ?? b ?? ''),
  )
  expect(paths.length).toBeGreaterThan(20)
  for (const path of paths) expect(() => compilePath(path), path).not.toThrow()
  for (const path of ['a || b', '[?(@.a + 1 > 2)]', 'max(a)', '[(@.length - 1)]']) {
    expect(() => compilePath(path), path).toThrow(SyntaxError)
  }
})

test.each(documents)('%s: every link within the documents leads to a heading', async document => {
  const text = await readFile(join(root, document), 'utf8')
  const broken: string[] = []
  for (const [, target = '', anchor = ''] of text.matchAll(/\]\((?!https?:)([^)#]*)#([^)]+)\)/g)) {
    const page = target === '' ? text : await readFile(join(root, dirname(document), target), 'utf8')
    const headings = [...page.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => anchorOf(heading))
    if (!headings.includes(anchor)) broken.push(`${target}#${anchor}`)
  }
  expect(broken).toEqual([])
})

/** As GitHub makes it of a heading. */
function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-')
}
