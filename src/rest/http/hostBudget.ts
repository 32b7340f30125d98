import { createGate, type Gate, type RateLimits } from './rateLimit.js'

/** Limits of hosts that several sources share, as the pipelines of one command do. */
export interface HostBudget {
  /** The gate of an origin, for all sources together. The strictest declared rate counts. */
  gate(origin: string, limits: RateLimits): Gate
}

/**
 * One budget for each origin: what an API refuses to one source holds for all, and requests in flight are counted
 * together.
 *
 * @example
 * ```ts
 * import { duckdb, hostBudget, pipeline, restApi } from 'sluice'
 *
 * const budget = hostBudget()
 * const load = (name: string) => {
 *   const source = restApi({ client: { base_url: 'https://api.example.com' }, resources: [name] }, { budget })
 *   return pipeline({ name, source, destination: duckdb(`${name}.duckdb`) }).run()
 * }
 * await Promise.all([load('shops'), load('orders')])
 * ```
 */
export function hostBudget(): HostBudget {
  const hosts = new Map<string, { readonly gate: Gate; readonly limits: Mutable }>()
  return {
    gate(origin, limits) {
      let host = hosts.get(origin)
      if (host === undefined) {
        const shared: Mutable = {}
        host = { gate: createGate(shared), limits: shared }
        hosts.set(origin, host)
      }
      if (rateOf(limits) < rateOf(host.limits)) {
        host.limits.requests = limits.requests
        host.limits.perMs = limits.perMs
      }
      host.limits.maxConcurrency = least(host.limits.maxConcurrency, limits.maxConcurrency)
      return host.gate
    },
  }
}

type Mutable = { -readonly [Key in keyof RateLimits]: RateLimits[Key] }

function rateOf({ requests = Number.POSITIVE_INFINITY, perMs = 1_000 }: RateLimits): number {
  return requests / perMs
}

function least(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined ? b : b === undefined ? a : Math.min(a, b)
}
