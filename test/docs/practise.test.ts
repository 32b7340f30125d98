import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, onTestFinished, test } from 'vitest'
import { blocksOf, root } from './blocks.js'

test('the first commands of docs/install.md do what it says, in an empty folder', { timeout: 120_000 }, async () => {
  const blocks = await blocksOf('docs/install.md')
  const at = blocks.findIndex(({ words }) => words[0] === 'api.mjs')
  const [api, commands, shown] = blocks.slice(at).map(({ text }) => text)
  const folder = await mkdtemp(join(tmpdir(), 'sluice-practise-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const listening = "listen(0, '127.0.0.1', function () { console.log(this.address().port) })"
  await writeFile(join(folder, 'api.mjs'), api!.replace("listen(8787, '127.0.0.1')", listening))
  const server = spawn(process.execPath, ['api.mjs'], { cwd: folder })
  onTestFinished(() => ended(server))
  const [port] = (await once(server.stdout.setEncoding('utf8'), 'data')) as [string]
  let output = ''
  for (const line of commands!.trim().split('\n')) {
    const args = [...line.replace('npx sluice ', '').matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) =>
      (quoted ?? plain ?? '').replace('8787', port.trim()),
    )
    const ran = await promisify(execFile)(process.execPath, [join(root, 'dist/cli/main.js'), ...args], { cwd: folder })
    output = ran.stdout
    if (args[0] === 'run') expect(output).toMatch(/orders +(?:✓ )?complete .* 250 /)
  }
  expect(output).toBe(shown)
})

async function ended(child: ChildProcess): Promise<void> {
  child.kill()
  await once(child, 'close')
}
