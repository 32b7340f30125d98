import { describe, expect, it } from 'vitest'
import { type SourceModule, sourceModules } from './sources.js'

const modules = sourceModules()

const FLOORS: Readonly<Record<string, number>> = {
  model: 0,
  json: 0,
  schema: 0,
  rest: 1,
  journal: 1,
  normalize: 1,
  destinations: 1,
  // What every destination must do, as tests that authors of destinations run too.
  testing: 1,
  pipeline: 2,
  config: 3,
  import: 4,
  // What a pipeline asked an API, to be asked again.
  recording: 4,
  // Pipelines as jobs of a durable engine.
  worker: 4,
  // A page that shows them, and asks the API about them.
  studio: 5,
  cli: 6,
}

/** What users import: the library, and the doors for authors of destinations and sources. They only re-export. */
const DOORS: readonly string[] = ['destinationDoor.ts', 'index.ts', 'sourceDoor.ts', 'testingDoor.ts']

/** The rooms at the bottom speak of each other: a state holds JSON, a schema has columns. */
const GROUND = 0

function room(path: string): string {
  return path.split('/')[0] ?? ''
}

/** `where` says which modules may; gives the others that do. */
function trespassers(does: (module: SourceModule) => boolean, where: RegExp): string[] {
  return modules.filter(module => does(module) && !where.test(module.path)).map(module => module.path)
}

function importsAny(targets: RegExp): (module: SourceModule) => boolean {
  return module =>
    module.imports.some(
      ({ target, own, typeOnly, names }) =>
        !own && !typeOnly && targets.test(target) && names.join() !== 'STATUS_CODES',
    )
}

function usesAny(...names: readonly string[]): (module: SourceModule) => boolean {
  return module => names.some(name => module.uses.has(name))
}

describe('the house', () => {
  it('has no rooms but the known ones', () => {
    const rooms = new Set(modules.filter(module => module.path.includes('/')).map(module => room(module.path)))
    expect([...rooms].filter(name => !(name in FLOORS))).toEqual([])
    expect(modules.filter(module => !module.path.includes('/')).map(module => module.path)).toEqual(DOORS)
  })

  it('imports only downward, and never a neighbour', () => {
    const wrong: string[] = []
    for (const { path, imports } of modules) {
      if (DOORS.includes(path)) continue
      for (const { target, own } of imports) {
        if (!own || room(target) === room(path)) continue
        const [from, to] = [FLOORS[room(path)] ?? -1, FLOORS[room(target)] ?? 99]
        if (to > from || (to === from && from !== GROUND)) wrong.push(`${path} → ${target}`)
      }
    }
    expect(wrong).toEqual([])
  })

  it('keeps the command out of the library', () => {
    const doors = modules.filter(module => DOORS.includes(module.path))
    expect(doors.flatMap(door => door.imports).filter(({ target }) => room(target) === 'cli')).toEqual([])
  })

  it('has no import cycles', () => {
    expect(cycles()).toEqual([])
  })

  it('starts the command without loading anything heavy', () => {
    const loaded = reachable('cli/main.ts')
    expect([...loaded].filter(target => !/^(cli\/|model\/errors\.ts$|commander$|node:)/.test(target))).toEqual([])
  })

  it('loads drivers and clients only where they are used', () => {
    const packages = [...reachable('index.ts')].filter(target => !target.endsWith('.ts') && !target.startsWith('node:'))
    expect(packages.sort()).toEqual(['ipaddr.js', 'smol-toml', 'zod'])
  })
})

describe('the laws of the house', () => {
  it('the environment is read in config only', () => {
    expect(trespassers(usesAny('process.env'), /^config\//)).toEqual([])
  })

  it('only the command ends the process', () => {
    expect(trespassers(usesAny('process.exit', 'process.abort'), /^cli\/main\.ts$/)).toEqual([])
    // The lock asks, with signal 0, whether the process that holds it is still there.
    expect(trespassers(usesAny('process.kill'), /^journal\/lock\.ts$/)).toEqual([])
  })

  it('the ground floor does no I/O', () => {
    expect(
      trespassers(importsAny(/^(?!node:(util|crypto|zlib|buffer)$|^yaml$)/), /^(?!model\/|json\/|schema\/)/),
    ).toEqual([])
  })

  it('sockets are opened by the transport, by destinations, by the listener of `sluice auth`, by `sluice serve`, by workers and by the studio', () => {
    const sockets = /^(?:(undici|pg|ws|(node:)?(net|tls|http|https|http2|dgram))(\/|$)|@hono\/node-server$)/
    expect(
      trespassers(
        importsAny(sockets),
        /^(rest\/http\/(client|transport)|destinations\/|cli\/redirectListener|recording\/serveRecording|worker\/(startWorker|devServer)|studio\/startStudio)/,
      ),
    ).toEqual([])
  })

  it('time and chance are handed in', () => {
    const ambient = usesAny(
      'Date.now',
      'Math.random',
      'new Date',
      'performance.now',
      'crypto.randomUUID',
      'crypto.getRandomValues',
    )
    expect(trespassers(ambient, /^(pipeline\/clock\.ts|cli\/main\.ts)$/)).toEqual([])
  })

  it('only signer, transport, secret lookup and destinations reveal a secret', () => {
    const reveals = (module: SourceModule): boolean =>
      module.imports.some(({ target, names }) => target === 'model/secrets/secret.ts' && names.includes('reveal'))
    // A mask's hash is signed, too: its salt is the key. So are webhooks.
    expect(
      trespassers(
        reveals,
        /^(model\/secrets\/(secret|scrubber)\.ts|rest\/http\/(exchange|transport|client)\.ts|rest\/auth\/|rest\/mask\/maskHash\.ts|config\/notify\/webhook\.ts|destinations\/)/,
      ),
    ).toEqual([])
  })

  it('nothing is `any`', () => {
    expect(modules.filter(module => module.hasAny).map(module => module.path)).toEqual([])
  })
})

/** Import cycles among modules, types aside: those are gone after compilation. */
function cycles(): string[] {
  const edges = new Map(
    modules.map(({ path, imports }) => [
      path,
      imports.filter(({ own, typeOnly }) => own && !typeOnly).map(({ target }) => target),
    ]),
  )
  const done = new Set<string>()
  const found: string[] = []
  const walk = (path: string, trail: readonly string[]): void => {
    const start = trail.indexOf(path)
    if (start !== -1) found.push([...trail.slice(start), path].join(' → '))
    if (start !== -1 || done.has(path)) return
    for (const target of edges.get(path) ?? []) walk(target, [...trail, path])
    done.add(path)
  }
  for (const path of edges.keys()) walk(path, [])
  return found
}

/** Modules that are loaded with this one: static imports, types aside. */
function reachable(path: string, found = new Set<string>([path])): ReadonlySet<string> {
  for (const { target, own, typeOnly, dynamic } of modules.find(module => module.path === path)?.imports ?? []) {
    if (typeOnly || dynamic || found.has(target)) continue
    found.add(target)
    if (own) reachable(target, found)
  }
  return found
}
