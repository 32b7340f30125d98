import { restApi } from '../../../../src/config/restApi.js'
import { duckdbCapabilities } from '../../../../src/destinations/duckdb/duckdbDialect.js'
import type { Files } from '../../../../src/journal/fileSystem.js'
import { type Pipeline, pipeline } from '../../../../src/pipeline/pipeline.js'
import { type Disk, disk } from '../disk.js'
import { type Life, life } from '../life.js'
import { type MemoryDestination, memoryDestination } from '../memoryDestination.js'
import type { paginators } from '../world.js'
import { type DueClock, dueClock } from './dueClock.js'
import { type ApiPlan, type WindowedApi, windowedApi } from './windowedApi.js'

/** What is loaded in a schedule, and how. */
export interface WindowPlan extends ApiPlan {
  readonly paginator: (typeof paginators)[number]
  readonly disposition: 'append' | 'merge'
  readonly hasNotes: boolean
  readonly step: number
  /** Processes at once. They claim windows, or are handed the same ones. */
  readonly processes: number
  readonly together: 'partition' | 'shared'
  /** They have one working folder, or each its own. */
  readonly isOneFolder: boolean
  readonly parallel: number
  readonly destination: 'one_process' | 'many_processes'
}

export interface WindowWorld {
  readonly clock: DueClock
  readonly api: WindowedApi
  readonly destination: MemoryDestination
  readonly disk: Disk
}

export function windowWorld(plan: WindowPlan, random: () => number): WindowWorld {
  const clock = dueClock(random)
  const destination = memoryDestination()
  destination.setCapabilities({ ...duckdbCapabilities, parallelLoads: plan.destination })
  return { clock, api: windowedApi(clock, plan, random), destination, disk: disk() }
}

/** A program that loads windows, until it is killed. */
export interface WindowProcess {
  readonly life: Life
  readonly pipeline: Pipeline
  /** What the system does when a process is gone: its locks count no more. */
  bury(): Promise<void>
}

export function startWindowProcess(
  plan: WindowPlan,
  { api, destination, clock, disk }: WindowWorld,
  number: number,
): WindowProcess {
  const home = plan.isOneFolder ? '/home' : `/home-${number}`
  const own = life()
  const locks = new Map<string, string>()
  const source = restApi(
    {
      client: { base_url: 'http://api.test/', transport: api.transport(own) },
      resource_defaults: { primary_key: 'id', write_disposition: plan.disposition },
      resources: [
        {
          name: 'visits',
          endpoint: {
            path: 'visits',
            data_selector: 'records',
            paginator: { ...plan.paginator },
            incremental: { cursor_path: 'at', start_param: 'from', end_param: 'to', initial_value: 0 },
          },
        },
        ...(plan.hasNotes
          ? [
              {
                name: 'notes',
                endpoint: {
                  path: 'visits/{resources.visits.id}/notes',
                  data_selector: 'records',
                  paginator: { ...plan.paginator },
                },
              },
            ]
          : []),
      ],
    },
    { env: {}, cwd: home },
  )
  const made = pipeline({
    name: 'simulated',
    source,
    destination: destination.of(own),
    dataset: 'simulated',
    home,
    clock,
    files: noting(disk.files(own), locks),
  })
  return {
    life: own,
    pipeline: made,
    async bury() {
      const files = disk.files(life())
      for (const [id, path] of locks) {
        const holder = await files.readText(path).catch(() => '')
        if (holder.includes(id)) disk.remove(path)
      }
    },
  }
}

/** Notes the locks that are asked for, by their ids. */
function noting(files: Files, locks: Map<string, string>): Files {
  return {
    ...files,
    async writeText(path, text) {
      const [, lock, id] = /^(.*lock\.json)\.([^/]+)$/.exec(path) ?? []
      if (lock !== undefined && id !== undefined) locks.set(id, lock)
      await files.writeText(path, text)
    },
  }
}
