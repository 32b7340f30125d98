import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { ordinaryFaults, startDemoApi } from '../../demo/server.js'
import { blocksOf, root } from './blocks.js'

/**
 * The tutorial is followed to the letter: files are saved, commands given in order, and what it shows of their output is
 * what comes.
 */
test('the tutorial does what it says', { timeout: 120_000 }, async () => {
  const { api, folder } = await place()

  let commands = 0
  let output = ''
  for (const { language, words, text, place } of await blocksOf('docs/tutorial.md')) {
    const [file] = words
    if (file !== undefined) await writeFile(join(folder, file), text)
    else if (language === 'sh') {
      for (const line of text.trim().split('\n')) {
        const given = processOf(line)
        if (given === undefined) continue
        const { args, input } = given
        const options = { cwd: folder, env: { DEMO_API_URL: api.url, API_KEY: 'demo-key' } }
        output = await run(args, { ...options, input: input === undefined ? '' : await readFile(join(folder, input)) })
        commands++
      }
    } else if (language === 'text') expect(steady(output), place).toBe(steady(text))
    else throw new Error(`${place}: a block that is neither a file, nor a command, nor an output`)
  }
  expect(commands).toBe(5)
})

test('the README shows what really comes', { timeout: 60_000 }, async () => {
  const { api, folder } = await place()
  const blocks = await blocksOf('README.md')
  const [document, shown] = ['yaml', 'text'].map(
    language => blocks.find(block => block.language === language)?.text ?? '',
  )
  await writeFile(join(folder, 'feedback.yaml'), document!.replace('https://api.example.com', api.url))
  const output = await run([main, 'run', 'feedback.yaml'], { cwd: folder, env: { API_KEY: 'demo-key' } })
  const [command, started, ...rest] = shown!.split('\n')
  expect(command).toBe('$ API_KEY=… sluice run feedback.yaml')
  expect(started).toBe('feedback → duckdb:feedback.duckdb, dataset feedback_dataset')
  expect(steady(output)).toBe(steady(rest.join('\n')))
})

/** The demo API and an empty folder, for one test. */
async function place() {
  const api = await startDemoApi({ apiKey: 'demo-key', faults: ordinaryFaults })
  onTestFinished(() => api.close())
  const folder = await mkdtemp(join(tmpdir(), 'sluice-tutorial-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return { api, folder }
}

const main = join(root, 'dist/cli/main.js')

/** What Node is to run for a line of the tutorial; undefined: it is done already. */
function processOf(line: string): { readonly args: readonly string[]; readonly input: string | undefined } | undefined {
  if (line === 'npm run demo:api' || line.startsWith('export ')) return undefined
  const [, args, input] = /^npm run --silent sluice -- ([^<]*?)(?: < (\S+))?$/.exec(line) ?? []
  if (args !== undefined) return { args: [main, ...args.split(' ')], input }
  throw new Error(`the tutorial has a command that this test does not know: ${line}`)
}

function run(
  args: readonly string[],
  options: { readonly cwd: string; readonly env: Record<string, string>; readonly input?: string | Buffer },
): Promise<string> {
  return new Promise((resolve, reject) => {
    const { PATH = '' } = process.env
    const child = spawn(process.execPath, args, { cwd: options.cwd, env: { PATH, ...options.env } })
    let stdout = ''
    let stderr = ''
    child.stdout.setEncoding('utf8').on('data', (part: string) => {
      stdout += part
    })
    child.stderr.setEncoding('utf8').on('data', (part: string) => {
      stderr += part
    })
    child.once('error', reject)
    child.stdin.end(options.input ?? '')
    child.once('close', exitCode => {
      if (exitCode === 0) resolve(stdout)
      else reject(new Error(`${args.at(-2)} ${args.at(-1)} ended with ${exitCode}: ${stderr}`))
    })
  })
}

/** Without what differs from run to run: durations, rates and load ids. */
function steady(text: string): string {
  return text
    .trim()
    .replace(/Load \d+\.\d+/g, 'Load …')
    .replace(/ +[\d.]+ m?s\b/g, ' …')
    .replace(/\([\d.]+ m?s\)/g, '(…)')
}
