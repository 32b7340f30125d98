import {
  ConfigError,
  type ConfigPlace,
  type ConfigProblem,
  DataError,
  RequestError,
  SchemaError,
} from '../../model/errors.js'
import type { Pipeline } from '../../pipeline/pipeline.js'
import { type PlaceOf, pathKeys } from '../../rest/document/problems.js'

/** The same pipeline. Errors about a key of its file say in which line that key is. */
export function placed(made: Pipeline, place: PlaceOf): Pipeline {
  const told = async <Result>(work: Promise<Result>): Promise<Result> => {
    try {
      return await work
    } catch (error) {
      tellPlace(error, made, place)
      throw error
    }
  }
  return {
    ...made,
    with: changes => placed(made.with(changes), place),
    run: options => told(made.run(options)),
    replay: (loadId, options) => told(made.replay(loadId, options)),
    check: options => told(made.check(options)),
    plan: options => told(made.plan(options)),
    backfill: (resource, options) => told(made.backfill(resource, options)),
    backfillStatus: (resource, options) => told(made.backfillStatus(resource, options)),
    trace: (table, key, options) => told(made.trace(table, key, options)),
    drop: (resources, options) => told(made.drop(resources, options)),
    resetState: (resources, options) => told(made.resetState(resources, options)),
  }
}

/** Takes every step, and rejects with the problems of all of them at once: who mends a file wants to know each. */
export async function everyProblem<const Steps extends readonly (() => unknown)[]>(
  ...steps: Steps
): Promise<{ [At in keyof Steps]: Awaited<ReturnType<Steps[At]>> }> {
  const problems: ConfigProblem[] = []
  let areSecrets = true
  const taken = async (step: () => unknown): Promise<unknown> => {
    try {
      return await step()
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error
      problems.push(...error.problems)
      areSecrets &&= error.code === 'secret_missing'
      return undefined
    }
  }
  const made: unknown[] = []
  for (const step of steps) made.push(await taken(step))
  const [problem, ...others] = problems
  if (problem !== undefined) throw new ConfigError([problem, ...others], areSecrets ? 'secret_missing' : 'config')
  return made as { [At in keyof Steps]: Awaited<ReturnType<Steps[At]>> }
}

/** Changes the message: `m.yaml:7:24 resources[0].endpoint.data_selector: …`. */
function tellPlace(error: unknown, { source }: Pipeline, place: PlaceOf): void {
  if (!isOfKey(error)) return
  const path = keyOf(error, source.resources)
  if (path === undefined) return
  const position = positionOf(place(pathKeys(path)))
  if (position === undefined || error.message.includes(position)) return
  error.message = error.message.includes(path)
    ? error.message.replace(path, () => `${position} ${path}`)
    : `${error.message} (${position})`
}

type OfKey = DataError | RequestError | ConfigError | SchemaError

function isOfKey(error: unknown): error is OfKey {
  return [DataError, RequestError, ConfigError, SchemaError].some(kind => error instanceof kind)
}

function keyOf(error: OfKey, resources: Pipeline['source']['resources']): string | undefined {
  if (error.path !== undefined && IN_DOCUMENT.test(error.path)) return error.path
  if (!(error instanceof DataError)) return undefined
  const resource = resources.find(({ name }) => name === error.resource)
  return resource === undefined || !IN_DOCUMENT.test(resource.path)
    ? undefined
    : `${resource.path}${error.code === 'primary_key' ? '.primary_key' : ''}`
}

const IN_DOCUMENT = /^(?:client|resource_defaults|resources|schema_contract)(?:[.[]|$)/

function positionOf({ file, line, column }: ConfigPlace): string | undefined {
  return file === undefined || line === undefined
    ? undefined
    : `${file}:${line}${column === undefined ? '' : `:${column}`}`
}
