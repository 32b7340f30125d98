import { execFile } from 'node:child_process'
import { access, mkdir, mkdtemp, readdir, readFile, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, posix } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const run = promisify(execFile)
const root = fileURLToPath(new URL('../..', import.meta.url))

const documents = [
  ...['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', 'AGENTS.md', 'CODE_OF_CONDUCT.md', '.changeset/README.md'],
  '.github/PULL_REQUEST_TEMPLATE.md',
  ...(await readdir(join(root, 'docs'))).filter(file => file.endsWith('.md')).map(file => `docs/${file}`),
]

/** That `import 'sluice'` loads, of all that are built. */
const MOST_FILES = 5
/** In them. What only some programs need is loaded with its first use. */
const MOST_BYTES = 1_060_000
/** A tool that reads every type of the package with TypeScript takes half a minute on a busy machine. */
const SLOW_TOOL_MS = 180_000

interface Manifest {
  readonly scripts: Readonly<Record<string, string>>
  readonly dependencies: Readonly<Record<string, string>>
}

interface LockedPackage {
  readonly integrity?: string
  readonly dev?: boolean
  readonly optional?: boolean
  readonly hasInstallScript?: boolean
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

let folder: string
let tarball: string
let files: readonly string[]
let manifest: Manifest

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-package-'))
  const args = ['pack', '--json', '--ignore-scripts', '--pack-destination', folder]
  const { stdout } = await run('npm', args, { cwd: root })
  const [packed] = JSON.parse(stdout) as [{ filename: string; files: { path: string }[] }]
  tarball = join(folder, packed.filename)
  files = packed.files.map(file => file.path)
  manifest = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as Manifest
})
afterAll(() => rm(folder, { recursive: true, force: true }))

describe('the package', () => {
  it('holds what users need and nothing else', () => {
    for (const needed of [
      'package.json',
      'README.md',
      'LICENSE',
      'CHANGELOG.md',
      'dist/index.js',
      'dist/index.d.ts',
      'dist/cli/main.js',
    ]) {
      expect(files).toContain(needed)
    }
    expect(
      files.filter(file => !/^(dist|docs|schema|src)\/|^[A-Z]+\.md$|^LICENSE$|^package\.json$/.test(file)),
    ).toEqual([])
  })

  it('leads from everything that is built to its source', async () => {
    expect(files.filter(file => /^src\/.*\.as\.ts$/.test(file))).toEqual([])
    const maps = files.filter(file => file.endsWith('.map'))
    // The page of the studio is bundled for browsers, without its packages' paths; the bundler's own few lines have no source.
    const built = files.filter(file => /^dist\/(?!page\/|parts\/rolldown-runtime-).*\.(js|d\.ts)$/.test(file))
    const unmapped = built.filter(file => !maps.includes(`${file}.map`))
    const withCode: string[] = []
    for (const file of unmapped) {
      const text = await readFile(join(root, file), 'utf8')
      if (text.replace(/^(?:#!.*|(?:import|export) [^;]*;)$/gm, '').trim() !== '') withCode.push(file)
    }
    expect(withCode).toEqual([])
    const missing: string[] = []
    for (const map of maps) {
      const { sources } = JSON.parse(await readFile(join(root, map), 'utf8')) as { readonly sources: readonly string[] }
      missing.push(...sources.map(source => posix.join(dirname(map), source)).filter(path => !files.includes(path)))
    }
    expect(missing).toEqual([])
  })

  it('is loaded from few files and packages', async () => {
    const loaded = new Map<string, number>()
    const packages = new Set<string>()
    const follow = async (file: string): Promise<void> => {
      if (loaded.has(file)) return
      const text = await readFile(join(root, file), 'utf8')
      loaded.set(file, text.length)
      for (const [, target = ''] of text.matchAll(/^(?:import|export)\b[^;]*?"([^"]+)";$/gm)) {
        if (target.startsWith('.')) await follow(posix.join(posix.dirname(file), target))
        else if (!target.startsWith('node:')) packages.add(target)
      }
    }
    await follow('dist/index.js')
    expect(loaded.size).toBeGreaterThan(1)
    expect(loaded.size).toBeLessThan(MOST_FILES)
    expect([...loaded.values()].reduce((sum, bytes) => sum + bytes, 0)).toBeLessThan(MOST_BYTES)
    // What is not ASCII takes twice the time to read.
    for (const file of loaded.keys())
      expect(await readFile(join(root, file), 'latin1'), file).not.toMatch(/[\u0080-\u00ff]/)
    expect([...packages]).toEqual([])
  })

  it('finds its own files from modules that lie as deep as what is built of them', async () => {
    const sources = files.filter(
      file => file.startsWith('src/') && file.endsWith('.ts') && file.split('/').length !== 3,
    )
    for (const file of sources) {
      expect(await readFile(join(root, file), 'utf8'), file).not.toMatch(/new URL\([^)]*import\.meta\.url/)
    }
    const help = await run(process.execPath, [join(root, 'dist/cli/main.js'), 'explain', 'config'])
    expect(help.stdout).toContain('config.md lists every key')
  })

  it('keeps the names of its errors', async () => {
    const door = (await import(new URL('../../dist/index.js', import.meta.url).href)) as Readonly<
      Record<string, unknown>
    >
    const errors = Object.entries(door).filter(([name]) => name.endsWith('Error'))
    expect(errors.length).toBeGreaterThan(7)
    for (const [name, value] of errors) expect((value as { readonly name: string }).name).toBe(name)
  })

  it('runs no script when it is installed', () => {
    const hooks = ['preinstall', 'install', 'postinstall', 'prepare', 'preprepare', 'postprepare']
    expect(Object.keys(manifest.scripts).filter(script => hooks.includes(script))).toEqual([])
  })

  it('installs nothing that runs a script', async () => {
    const { packages } = JSON.parse(await readFile(join(root, 'package-lock.json'), 'utf8')) as {
      packages: Readonly<Record<string, LockedPackage>>
    }
    const running = Object.entries(packages).filter(([, { dev, hasInstallScript }]) => !dev && hasInstallScript)
    expect(running.map(([path]) => path)).toEqual([])
  })

  it('installs as many packages as the documents say', async () => {
    const { packages } = JSON.parse(await readFile(join(root, 'package-lock.json'), 'utf8')) as {
      packages: Readonly<Record<string, LockedPackage>>
    }
    const everywhere = Object.entries(packages).filter(([path, { dev, optional }]) => path !== '' && !dev && !optional)
    // With DuckDB for one platform, the one optional package that is installed.
    expect(await readFile(join(root, 'docs/install.md'), 'utf8')).toContain(
      `Sluice and ${everywhere.length + 1} packages.`,
    )
  })

  it('locks the packages of every platform, each with its checksum, without which `npm ci` refuses to install', async () => {
    const text = await readFile(join(root, 'package-lock.json'), 'utf8')
    const { packages } = JSON.parse(text) as {
      packages: Readonly<Record<string, LockedPackage>>
    }
    const needed = Object.values(packages).flatMap(({ optionalDependencies = {} }) => Object.keys(optionalDependencies))
    expect(needed.filter(name => !(`node_modules/${name}` in packages))).toEqual([])
    const unproven = Object.entries(packages).filter(([path, { integrity }]) => path !== '' && integrity === undefined)
    expect(unproven).toEqual([])
    // Where a package comes from is the business of who installs it: the lock file names no registry.
    expect(text).not.toContain('"resolved"')
  })

  it('passes publint', async () => {
    const bytes = await readFile(tarball)
    const { messages, pkg } = await publint({
      strict: true,
      pack: { tarball: new Uint8Array(bytes).buffer },
    })
    expect(messages.map(message => formatMessage(message, pkg))).toEqual([])
  })

  it('has the right types for ES modules', { timeout: SLOW_TOOL_MS }, async () => {
    const attw = join(root, 'node_modules/@arethetypeswrong/cli/dist/index.js')
    const args = [attw, tarball, '--profile', 'esm-only', '--format', 'json', '--no-definitely-typed']
    const { stdout } = await run(process.execPath, args, { maxBuffer: 64 * 1024 * 1024 }).catch(
      (error: { stdout: string }) => error,
    )
    const { problems = {} } = JSON.parse(stdout) as { problems?: Readonly<Record<string, readonly unknown[]>> }
    // Requiring it from CommonJS and resolution as in Node 10 are not promised.
    const promised = Object.keys(problems).filter(kind => !['CJSResolvesToESM', 'NoResolution'].includes(kind))
    expect(promised).toEqual([])
  })

  it('can be imported, and its command started, from a project that installed it', async () => {
    const modules = join(folder, 'project', 'node_modules')
    await mkdir(join(modules, 'sluice'), { recursive: true })
    await run('tar', ['-xzf', tarball, '--strip-components=1', '-C', join(modules, 'sluice')])
    for (const name of Object.keys(manifest.dependencies)) {
      await mkdir(dirname(join(modules, name)), { recursive: true })
      await symlink(join(root, 'node_modules', name), join(modules, name))
    }
    const script = "import('sluice').then(door => console.log(JSON.stringify(Object.keys(door))))"
    const { stdout } = await run(process.execPath, ['--eval', script], { cwd: join(folder, 'project') })
    expect(JSON.parse(stdout)).toEqual(expect.arrayContaining(['pipeline', 'restApi', 'duckdb', 'secret']))
    const help = await run(process.execPath, [join(modules, 'sluice/dist/cli/main.js'), '--help'])
    expect(help.stdout).toContain('run <file...>')
  })
})

describe('the documents', () => {
  it.each(documents)('%s: its commands exist', async document => {
    const text = await readFile(join(root, document), 'utf8')
    const scripts = [...text.matchAll(/npm run (?:--silent )?([\w:-]+)/g)].map(match => match[1] ?? '')
    expect(scripts.filter(script => !(script in manifest.scripts))).toEqual([])
    const help = await run(process.execPath, [join(root, 'dist/cli/main.js'), '--help'])
    const commands = [...text.matchAll(/(?:^|[`$] ?)(?:npx )?sluice ([a-z]+)/gm)].map(match => match[1] ?? '')
    expect(commands.filter(command => !new RegExp(`^  ${command} `, 'm').test(help.stdout))).toEqual([])
  })

  it('every relative link leads to a file', async () => {
    const broken: string[] = []
    for (const document of documents) {
      const text = await readFile(join(root, document), 'utf8')
      for (const [, target = ''] of text.matchAll(/\]\((?!https?:|#|mailto:)([^)#]+)/g)) {
        const path = join(root, dirname(document), target)
        await readFile(path).catch((error: NodeJS.ErrnoException) => {
          if (error.code !== 'EISDIR') broken.push(`${document} → ${target}`)
        })
      }
    }
    expect(broken).toEqual([])
  })

  it('what users get leads only to what they get', async () => {
    const broken: string[] = []
    for (const document of documents.filter(path => path === 'README.md' || path.startsWith('docs/'))) {
      const text = await readFile(join(root, document), 'utf8')
      for (const [, target = ''] of text.matchAll(/\]\((?!https?:|#|mailto:)([^)#]+)/g)) {
        if (!files.includes(posix.join(dirname(document), target))) broken.push(`${document} → ${target}`)
      }
    }
    expect(broken).toEqual([])
  })

  it('every file that is named exists', async () => {
    const missing: string[] = []
    for (const document of documents) {
      const text = await readFile(join(root, document), 'utf8')
      for (const [, path = ''] of text.matchAll(/`((?:src|test|docs|scripts|demo|examples|schema)\/[\w./-]*)`/g)) {
        await access(join(root, path)).catch(() => missing.push(`${document}: ${path}`))
      }
    }
    expect(missing).toEqual([])
  })
})
