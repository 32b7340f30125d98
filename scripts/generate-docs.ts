/** `npx tsx scripts/generate-docs.ts`: writes what is generated from the declaration of the configuration. */
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { generatedFiles } from './configSchema.js'

for (const [path, text] of generatedFiles()) {
  const file = fileURLToPath(new URL(`../${path}`, import.meta.url))
  await mkdir(dirname(file), { recursive: true })
  await writeFile(file, text)
  console.log(path)
}
