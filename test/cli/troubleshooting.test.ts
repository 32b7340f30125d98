import { readFile } from 'node:fs/promises'
import { expect, it } from 'vitest'

async function text(path: string): Promise<string> {
  return await readFile(new URL(`../../${path}`, import.meta.url), 'utf8')
}

/** Members of a union of texts, as the source declares them. */
function membersOf(source: string, type: string): string[] {
  const declaration = new RegExp(`export type ${type} =((?:\\s*\\| '[a-z_]+')+)`).exec(source)?.[1] ?? ''
  return [...declaration.matchAll(/'([a-z_]+)'/g)].map(([, member]) => member ?? '')
}

it('explains every code of an error, once, and no other', async () => {
  const codes = membersOf(await text('src/model/errors.ts'), 'ErrorCode')
  const explained = [...(await text('docs/troubleshooting.md')).matchAll(/^### `([a-z_]+)`\n\n\S/gm)].map(
    ([, code]) => code,
  )
  expect(codes.length).toBeGreaterThan(20)
  expect(explained.sort()).toEqual(codes.sort())
})

it('explains every code of a warning, once, and no other', async () => {
  const codes = membersOf(await text('src/model/events.ts'), 'WarningCode')
  const explained = [...(await text('docs/troubleshooting.md')).matchAll(/^\| `([a-z_]+)` \| \S/gm)].map(
    ([, code]) => code,
  )
  expect(codes.length).toBeGreaterThan(5)
  expect(explained.sort()).toEqual(codes.sort())
})

it('describes every command and every option in docs/cli.md', async () => {
  const program = await text('src/cli/program.ts')
  const guide = await text('docs/cli.md')
  const commands = [...program.matchAll(/command\(program, '([a-z]+)'\)/g)].map(([, name]) => name ?? '')
  expect(commands).toContain('run')
  for (const name of commands) {
    const start = guide.indexOf(`\n## sluice ${name}\n`)
    expect(start, `docs/cli.md has no section on ${name}`).toBeGreaterThan(0)
    const end = guide.indexOf('\n## ', start + 1)
    const section = guide.slice(start, end < 0 ? undefined : end)
    const declared = program.slice(program.indexOf(`command(program, '${name}')`)).split('.action(')[0] ?? ''
    const options = [...declared.matchAll(/[Oo]ption\(\s*'(?:-\w, )?(--[a-z-]+)/g)].map(([, option]) => option ?? '')
    for (const option of options) expect(section, `sluice ${name} ${option}`).toContain(option)
  }
})
