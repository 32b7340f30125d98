import { restApi } from '../../../src/config/restApi.js'
import { cursorState } from '../../../src/model/pipelineState.js'
import { type Pipeline, pipeline } from '../../../src/pipeline/pipeline.js'
import { type Disk, disk } from './disk.js'
import { type Life, life } from './life.js'
import { type MemoryDestination, memoryDestination } from './memoryDestination.js'
import { type SimulatedApi, simulatedApi, type VirtualClock } from './network.js'

/** What is loaded in a schedule, and how. */
export interface Plan {
  readonly paginator: (typeof paginators)[number]
  readonly disposition: (typeof dispositions)[number]
  readonly incremental: boolean
  readonly concurrency: number
}

export const paginators = [
  { type: 'page_number', base_page: 1, total_path: 'pages' },
  { type: 'offset', limit: 4, total_path: 'total' },
  { type: 'cursor', cursor_path: 'next', cursor_param: 'after' },
  { type: 'json_link', next_url_path: 'next_url' },
] as const
export const dispositions = ['append', 'replace', 'merge'] as const

/** What outlives a process. */
export interface World {
  readonly clock: VirtualClock
  readonly api: SimulatedApi
  readonly destination: MemoryDestination
  readonly disk: Disk
}

export function world(random: () => number): World {
  const clock = virtualClock(random)
  const api = simulatedApi(clock, (random() - 0.5) * 7_200_000)
  return { clock, api, destination: memoryDestination(), disk: disk() }
}

/** Time passes by sleeping and by slow answers, and a little with every look at the clock. */
export function virtualClock(random: () => number): VirtualClock {
  let at = Date.parse('2026-01-01T00:00:00Z')
  return {
    now: () => ++at,
    random,
    pass(ms) {
      at += Math.floor(ms)
    },
    async sleep(ms, signal) {
      signal?.throwIfAborted()
      at += ms
    },
  }
}

/** A program that runs the pipeline, until it is killed. */
export interface Process {
  readonly life: Life
  readonly pipeline: Pipeline
}

const HOME = '/home'
const LOADS = `${HOME}/simulated/loads`

export function startProcess(plan: Plan, { api, destination, clock, disk }: World): Process {
  const own = life()
  const source = restApi(
    {
      client: { base_url: 'http://api.test/', transport: api.transport(own) },
      resource_defaults: { primary_key: 'id', write_disposition: plan.disposition },
      resources: [
        {
          name: 'things',
          endpoint: {
            path: 'things',
            data_selector: 'records',
            paginator: { ...plan.paginator },
            ...(plan.incremental && {
              incremental: { cursor_path: 'changed', start_param: 'since', initial_value: 0 },
            }),
          },
        },
        { name: 'groups', endpoint: { path: 'groups', data_selector: 'records', paginator: 'single_page' } },
        {
          name: 'members',
          endpoint: {
            path: 'groups/{resources.groups.id}/members',
            data_selector: 'records',
            paginator: { ...plan.paginator },
          },
        },
      ],
    },
    { env: {}, cwd: HOME },
  )
  const made = pipeline({
    name: 'simulated',
    source,
    destination: destination.of(own),
    dataset: 'simulated',
    home: HOME,
    clock,
    files: disk.files(own),
  })
  // The lock of a process that is gone counts no more; how that is found out has tests of its own.
  disk.remove(`${HOME}/simulated/lock.json`)
  return { life: own, pipeline: made }
}

/** Journals that the next run would take up. */
export function unfinished({ disk }: World): readonly string[] {
  return disk.names(LOADS).filter(name => !/\.(aside|gone)\d*$/.test(name))
}

/** The committed cursor of the incremental resource. */
export function cursorOf({ destination }: World): number {
  const { state } = destination.stored
  if (state === undefined) return 0
  return Number(cursorState(state, 'rest_api', 'things', 'changed')?.last_value ?? 0)
}
