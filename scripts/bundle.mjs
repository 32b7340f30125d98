/**
 * Builds `dist`: what the doors and the command load, in few files, because Node needs longer for 400 files than for what is in
 * them. What is loaded on demand stays apart, and packages stay imports. Types are those of every module, by `tsc`.
 * Plain JavaScript: `scripts/setup.mjs` runs it in a fresh clone.
 */
import { readFileSync, rmSync } from 'node:fs'
import { build } from 'esbuild'

const { bin, engines, exports } = JSON.parse(readFileSync('package.json', 'utf8'))
const built = [...Object.values(exports).flatMap(door => door.default ?? []), ...Object.values(bin)]

rmSync('dist', { recursive: true, force: true })
await build({
  entryPoints: built.map(path => path.replace('./dist/', 'src/').replace(/\.js$/, '.ts')),
  outdir: 'dist',
  outbase: 'src',
  // One folder deep, as the rooms of `src` are: what modules find by `import.meta.url` is at the same place from both.
  chunkNames: 'parts/[name]-[hash]',
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: `node${engines.node.replace('>=', '')}`,
  packages: 'external',
  sourcemap: true,
  sourcesContent: false,
  logLevel: 'warning',
})
