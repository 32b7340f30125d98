import { readFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { forPlan, forReplay, forRun } from '../../src/pipeline/pipelineOptions.js'

const text = async (path: string): Promise<string> => readFile(new URL(`../../${path}`, import.meta.url), 'utf8')

/** The flags that `program.ts` declares for a command: those of its own chain, as commander gets them. */
async function flagsOf(name: string): Promise<string[]> {
  const program = await text('src/cli/program.ts')
  const start = program.indexOf(`(program, '${name}')`)
  const chain = program.slice(start, program.indexOf('.action(', start))
  return [...chain.matchAll(/\.option\('(?:-\w, )?(--[\w-]+)/g)].map(([, flag = '']) => flag).sort()
}

interface Row {
  readonly option: string
  readonly flag: string
}

async function rows(): Promise<Row[]> {
  const page = await text('docs/cli.md')
  const [, section = ''] = page.split('## One vocabulary')
  const cells = (section.split('\n## ')[0] ?? '').split('\n').filter(line => line.startsWith('|'))
  return cells.slice(2).map(line => {
    const [, option = '', flag = ''] = line.split('|').map(cell => cell.trim())
    return { option, flag }
  })
}

const names = (cell: string, pattern: RegExp): string[] => [...cell.matchAll(pattern)].map(([, name = '']) => name)

describe('the table of options, flags and keys', () => {
  it('has every flag of `sluice run`', async () => {
    const shown = (await rows()).flatMap(({ flag }) => names(flag, /`(--[\w-]+)/g))
    const declared = [...(await flagsOf('run')), '--debug', '--profile']
    expect(declared.filter(flag => !shown.includes(flag))).toEqual([])
    expect(shown.filter(flag => !declared.includes(flag))).toEqual([])
  })

  it('has every option of run(), and none that there is not', async () => {
    const own = (await rows()).filter(({ option }) => /^`[^`]+`$/.test(option))
    const shown = own.flatMap(({ option }) => names(option, /`(\w+)/g))
    const accepted = (name: string): boolean =>
      [forRun, forReplay, forPlan].some(
        kind => !kind({ [name]: null }, '').some(({ message }) => message.startsWith('unknown')),
      )
    for (const name of shown) {
      expect([name, accepted(name)]).toEqual([name, true])
    }
    const [problem] = forRun({ nothingLikeIt: 1 }, '')
    const known = (/known here: (.*)/.exec(problem?.message ?? '')?.[1] ?? '').split(', ')
    expect(known.length).toBeGreaterThan(5)
    expect(known.filter(name => !shown.includes(name))).toEqual([])
  })
})
