import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, it, onTestFinished } from 'vitest'

/** Loads one record with the built package and prints what came of it. */
const SCRIPT = `
const { files, pipeline, restApi } = await import(process.argv[1])
const source = restApi({ client: { base_url: '' }, resources: [{ name: 'things', records: [{ id: 1 }] }] })
const options = { name: 'things', source, destination: files(process.argv[2]), home: process.argv[2] }
try {
  await pipeline(options).run()
  console.log('made')
} catch (error) {
  console.log(error.code, error.message)
}
`

it.skipIf(process.platform !== 'linux')('says what to do where the process may have little address space', async () => {
  const door = new URL('../../dist/index.js', import.meta.url).href
  const folder = await mkdtemp(join(tmpdir(), 'sluice-environment-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const command = 'ulimit -v 8000000 && exec "$0" --input-type=module --eval "$1" "$2" "$3"'
  const { stdout } = await promisify(execFile)('sh', ['-c', command, process.execPath, SCRIPT, door, folder])
  // Newer versions of Node do with less.
  expect(stdout.trim()).toMatch(/^(environment WebAssembly cannot .* \(ulimit -v\)|made$)/)
})
