import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'

// The compiler is a large program, and is started anew for each check.
vi.setConfig({ testTimeout: 120_000 })

const root = fileURLToPath(new URL('../..', import.meta.url))
const KERNELS = ['src/json/kernel/skip', 'src/normalize/kernel/walk', 'src/destinations/postgres/copy/rows']

/** `npm run build:wasm -- --check KERNEL` in a folder; what it complains about, or nothing. */
async function complaint(folder: string, kernel: string): Promise<string> {
  const script = join(folder, 'scripts/build-wasm.mjs')
  const parameters = [script, '--check', basename(kernel)]
  const ended = promisify(execFile)(process.execPath, parameters, { cwd: folder })
  return await ended.then(
    () => '',
    (error: { readonly stderr: string }) => error.stderr,
  )
}

it.each(KERNELS)('%s.wasm.ts is what its sources compile to', async kernel => {
  expect(await complaint(root, kernel)).toBe('')
})

it.each(KERNELS)('%s.wasm.ts names its compiler, the one that package.json pins, and its checksum', async kernel => {
  const text = await readFile(join(root, `${kernel}.wasm.ts`), 'utf8')
  const { devDependencies } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))
  const [, compiler] = /^\/\/ Compiler: assemblyscript (\S+)$/m.exec(text) ?? []
  expect(devDependencies.assemblyscript).toBe(compiler)
  const [, size, sha256] = /^\/\/ SHA-256 of the module \((\d+) bytes\): (\w+)$/m.exec(text) ?? []
  const module = Buffer.from(/^ {2}'(\S+)'$/m.exec(text)?.[1] ?? '', 'base64')
  expect(module).toHaveLength(Number(size))
  expect(createHash('sha256').update(module).digest('hex')).toBe(sha256)
})

describe('the check of the kernels', () => {
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sluice-kernels-'))
    await cp(join(root, 'src'), join(folder, 'src'), { recursive: true })
    await cp(join(root, 'scripts'), join(folder, 'scripts'), { recursive: true })
    await symlink(join(root, 'node_modules'), join(folder, 'node_modules'), 'junction')
  })
  afterAll(async () => await rm(folder, { recursive: true, force: true }))

  /** What the check says while `path` has another text. */
  async function complaintAfter(kernel: string, path: string, change: (text: string) => string): Promise<string> {
    const file = join(folder, path)
    const text = await readFile(file, 'utf8')
    await writeFile(file, change(text))
    const said = await complaint(folder, kernel)
    await writeFile(file, text)
    return said
  }

  it.each([
    ['a constant of an imported part', 'walk', 'keccak.as.ts', 'ID_LENGTH: i32 = 14', 'ID_LENGTH: i32 = 15'],
    ['a signature', 'walk', 'memory.as.ts', 'release(block: usize,', 'release(place: usize,'],
    ['a comment of a source', 'walk', 'numbers.as.ts', '//', '// More.\n//'],
    ['a generated constant', 'skip', 'skip.wasm.ts', 'BLOCK = 64', 'BLOCK = 32'],
    ['the compiled code', 'skip', 'skip.wasm.ts', "  'AGFzbQ", "  'AGFzbR"],
  ])('refuses a change of %s', async (_, name, file, before, after) => {
    const kernel = KERNELS.find(path => path.endsWith(`/${name}`)) ?? ''
    const said = await complaintAfter(name, join(dirname(kernel), file), text => text.replace(before, after))
    expect(said).toContain(`Not what the sources compile to: ${kernel}.wasm.ts. Run \`npm run build:wasm\``)
  })

  it('takes line ends as Git writes them on Windows', async () => {
    for (const file of ['skip.as.ts', 'skip.wasm.ts']) {
      const path = join(folder, 'src/json/kernel', file)
      await writeFile(path, (await readFile(path, 'utf8')).replaceAll('\n', '\r\n'))
    }
    expect(await complaint(folder, 'skip')).toBe('')
  })
})
