import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { LoadList, PipelineFacts, PipelineList, RunFacts } from '../../src/studio/pageContract.js'
import { sluiceProcess } from '../cli/process.js'

const demo = fileURLToPath(new URL('../../demo/run.ts', import.meta.url))
const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href

async function folder(): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), 'sluice-demo-test-'))
  onTestFinished(() => rm(made, { recursive: true, force: true }))
  return made
}

// A browser must not open where tests run.
const env = { BROWSER: 'true' }

describe('npm run demo', { timeout: 240_000 }, () => {
  it('loads, shows, ends by itself, and says how to see a page', async () => {
    const cwd = await folder()
    const { exitCode, stdout } = await sluiceProcess([tsx, demo], { cwd, env, script: '--import' })
    expect(exitCode, stdout).toBe(0)
    expect(stdout).toContain('npm run demo -- --studio')
    expect(await readdir(cwd)).toEqual(['demo.duckdb'])
  })

  it('opens the studio with --studio, where the API still answers, and ends with a signal', async () => {
    const cwd = await folder()
    let found: (address: URL) => void
    const address = new Promise<URL>(resolve => {
      found = resolve
    })
    let end = (): void => {}
    const ended = sluiceProcess([tsx, demo, '--studio'], {
      cwd,
      env,
      script: '--import',
      started: running => {
        end = () => running.kill('SIGTERM')
      },
      told: text => {
        const [printed] = /http:\/\/127\.0\.0\.1:\d+\/#[\w-]+(?=\n)/.exec(text) ?? []
        if (printed !== undefined) found(new URL(printed))
      },
    })
    onTestFinished(async () => {
      end()
      await ended
    })
    // Where the demo ends before it, there is no studio to wait for.
    const studio = await Promise.race([address, ended.then(({ stdout, stderr }) => `${stdout}${stderr}`)])
    if (typeof studio === 'string') throw new Error(`the demo ended without a studio: ${studio}`)
    const { origin, hash } = studio
    const ask = async <Answer>(path: string, body?: object): Promise<Answer> => {
      const asked = body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }
      const authorization = `Bearer ${hash.slice(1)}`
      const response = await fetch(`${origin}/api/${path}`, { ...asked, headers: { authorization } })
      return (await response.json()) as Answer
    }
    const { pipelines } = await ask<PipelineList>('pipelines')
    const names = pipelines.map(entry => ('name' in entry ? entry.name : entry.problem))
    expect(names).toEqual(['feature_flags', 'feedback'])
    const [, feedback] = pipelines as readonly PipelineFacts[]
    const loads = async () => (await ask<LoadList>(`pipelines/${feedback?.id}/loads`)).loads
    expect(await loads()).toMatchObject([{ verdict: 'complete' }, { verdict: 'complete' }])
    const { run } = await ask<RunFacts>(`pipelines/${feedback?.id}/runs`, {})
    // The events of a run end with it.
    const headers = { authorization: `Bearer ${hash.slice(1)}` }
    await (await fetch(`${origin}/api/runs/${run}/events`, { headers })).text()
    expect(await ask('runs')).toMatchObject({ runs: [{ state: 'committed' }] })
    end()
    expect(await ended).toMatchObject({ exitCode: 0, signal: null })
    expect(await readdir(cwd)).toEqual(['demo.duckdb'])
  })

  it('refuses what it does not know', async () => {
    const cwd = await folder()
    const { exitCode, stdout } = await sluiceProcess([tsx, demo, '--stdio'], { cwd, env, script: '--import' })
    expect(stdout).toContain('The demo takes --studio')
    expect(exitCode).toBe(2)
  })
})
