import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'

/** Makes a kernel of the built package and prints what came of it. */
const SCRIPT = `
const { Kernel } = await import(process.argv[1])
try {
  new Kernel(() => {})
  console.log('made')
} catch (error) {
  console.log(error.code, error.message)
}
`

it.skipIf(process.platform !== 'linux')('says what to do where the process may have little address space', async () => {
  const kernel = new URL('../../dist/normalize/kernel/kernel.js', import.meta.url).href
  const command = 'ulimit -v 8000000 && exec "$0" --input-type=module --eval "$1" "$2"'
  const { stdout } = await promisify(execFile)('sh', ['-c', command, process.execPath, SCRIPT, kernel])
  // Newer versions of Node do with less.
  expect(stdout.trim()).toMatch(/^(environment WebAssembly cannot .* \(ulimit -v\)|made$)/)
})
