/**
 * Builds `dist`: what the doors and the command load, in few files, because Node needs longer for 400 files than for what is in
 * them. What is loaded on demand stays apart, and packages stay imports, but for those of `BUILT_IN`. Types are those of
 * every module, by `tsc`. Plain JavaScript: `scripts/setup.mjs` runs it in a fresh clone.
 */
import { copyFileSync, readFileSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { build, transform } from 'esbuild'
import { rolldown } from 'rolldown'

/** What serves the page of the studio, and nothing else. */
const SERVER = ['hono', '@hono/node-server']

/** Packages that the library needs at once. Of zod's files, 64 are messages in other languages, which nothing uses. */
const BUILT_IN = ['zod', 'smol-toml', 'ipaddr.js', ...SERVER]

const { bin, engines, exports } = JSON.parse(readFileSync('package.json', 'utf8'))
const target = `node${engines.node.replace('>=', '')}`
const doors = [...Object.values(exports).flatMap(door => door.default ?? []), ...Object.values(bin)]
const input = Object.fromEntries(
  doors.map(path => path.replace('./dist/', '').replace(/\.js$/, '')).map(name => [name, resolve('src', `${name}.ts`)]),
)
const isOf = (name, id) => id === name || id.startsWith(`${name}/`)

/** Types go, and what the oldest Node does not know is written in older words. */
const typescript = {
  name: 'typescript',
  async transform(source, sourcefile) {
    // Packages have no map: their sources are not in ours.
    if (!sourcefile.endsWith('.ts')) return { code: source, map: { mappings: '' } }
    const { code, map } = await transform(source, { loader: 'ts', target, sourcefile, sourcemap: true })
    return { code, map, moduleType: 'js' }
  },
}

/** Text that is ASCII throughout is read in half the time: Node need not decode it, nor keep two bytes for each character. */
const ascii = {
  name: 'ascii',
  renderChunk: (code, { fileName }) =>
    transform(code, { charset: 'ascii', target, sourcefile: fileName, sourcemap: true, legalComments: 'inline' }),
}

/** Every module that is loaded with a door, each set found once. */
const closures = new Map()
function closureOf(door, modules) {
  const known = closures.get(door)
  if (known !== undefined) return known
  const reached = new Set()
  const reach = id => {
    if (reached.has(id)) return
    reached.add(id)
    for (const imported of modules.getModuleInfo(id)?.importedIds ?? []) reach(imported)
  }
  reach(input[door])
  closures.set(door, reached)
  return reached
}

/**
 * What the command needs at every start is not loaded with the whole library. The doors stay apart: the command waits at its
 * top level, and what it loads meanwhile must not wait for it.
 */
function partOf(id, modules) {
  if (Object.values(input).includes(id)) return null
  if (SERVER.some(name => id.includes(`/node_modules/${name}/`))) return 'server'
  if (id.includes('/node_modules/')) return 'packages'
  if (closureOf('cli/main', modules).has(id)) return 'command'
  return closureOf('index', modules).has(id) ? 'library' : null
}

const licencesOf = names =>
  names
    .map(name => {
      const text = readFileSync(join('node_modules', name, 'LICENSE'), 'utf8').trim()
      return `/*!\n${name}\n\n${text.replaceAll('*/', '* /')}\n*/`
    })
    .join('\n')
const inLibrary = BUILT_IN.filter(name => !SERVER.includes(name))

rmSync('dist', { recursive: true, force: true })
const bundle = await rolldown({
  input,
  platform: 'node',
  preserveEntrySignatures: 'allow-extension',
  external: id => /^[^./]/.test(id) && !BUILT_IN.some(name => isOf(name, id)),
  treeshake: { moduleSideEffects: false },
  plugins: [typescript, ascii],
  // A module that is also loaded on demand may be part of what is loaded at once.
  checks: { ineffectiveDynamicImport: false },
})
await bundle.write({
  dir: 'dist',
  format: 'esm',
  sourcemap: true,
  // What minifies prints anew, with other characters.
  minify: false,
  // One folder deep, as the rooms of `src` are: what modules find by `import.meta.url` is at the same place from both.
  chunkFileNames: 'parts/[name]-[hash].js',
  banner: ({ name }) => (name === 'packages' ? licencesOf(inLibrary) : name === 'server' ? licencesOf(SERVER) : ''),
  codeSplitting: {
    includeDependenciesRecursively: false,
    groups: [{ name: partOf, debugName: 'parts' }],
  },
})
await bundle.close()

// The page of the studio, for browsers. The editor is a part of its own, loaded with the first document.
const page = join('src', 'studio', 'page')
await build({
  entryPoints: [join(page, 'main.tsx'), join(page, 'page.css')],
  outdir: 'dist/page',
  bundle: true,
  splitting: true,
  minify: true,
  format: 'esm',
  target: 'es2022',
  jsx: 'automatic',
  jsxImportSource: 'preact',
  chunkNames: 'part-[hash]',
  legalComments: 'none',
  banner: { js: licencesOf(['preact', 'uplot']) },
  // Paths in a map would be those of this machine.
  sourcemap: false,
})
for (const name of ['index.html', 'icon.svg']) copyFileSync(join(page, name), join('dist', 'page', name))
