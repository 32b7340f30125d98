// Compiles the AssemblyScript kernels into base64 modules that are committed beside them.
// `node scripts/build-wasm.mjs` writes them, `--check` fails where a committed one is stale.
import { readFile, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import asc from 'assemblyscript/asc'

const kernels = ['src/json/kernel/skip', 'src/normalize/kernel/walk', 'src/destinations/postgres/copy/rows']
const root = fileURLToPath(new URL('..', import.meta.url))

/** Source text of the module for one kernel. */
export async function compile(kernel) {
  const source = `${kernel}.as.ts`
  const outputs = new Map()
  const flags = ['--optimizeLevel', '3', '--runtime', 'stub', '--noAssert', '--enable', 'simd', '--outFile', 'out.wasm']
  const { error, stderr } = await asc.main([source, ...flags], {
    readFile: (name, base) => readFile(`${base}/${name}`, 'utf8').catch(() => null),
    writeFile: (name, contents) => outputs.set(name, contents),
    listFiles: () => [],
  })
  if (error) throw new Error(`${source}: ${error.message}\n${stderr.toString()}`)
  const base64 = Buffer.from(outputs.get('out.wasm')).toString('base64')
  return `/** ${source.split('/').at(-1)}, compiled by scripts/build-wasm.mjs. */\nexport default '${base64}'\n`
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  process.chdir(root)
  for (const kernel of kernels) {
    const built = await compile(kernel)
    const target = `${kernel}.wasm.ts`
    if (!process.argv.includes('--check')) await writeFile(target, built)
    else if ((await readFile(target, 'utf8')) !== built)
      throw new Error(`${target} is stale: run scripts/build-wasm.mjs`)
  }
}
