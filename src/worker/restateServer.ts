import { z } from 'zod'
import { ConfigError } from '../model/errors.js'

/** A run or a backfill that a Restate server knows. */
export interface Job {
  readonly id: string
  readonly pipeline: string
  readonly kind: 'run' | 'backfill'
  readonly state: 'waiting' | 'running' | 'retrying' | 'done' | 'failed' | 'cancelled'
  readonly createdAt: Date
  /** Attempts so far. */
  readonly attempts: number
  /** Why the last attempt, or the whole job, failed. */
  readonly failure: string | undefined
}

/** How a job ended. */
export type JobResult =
  | { readonly ended: 'done'; readonly result: unknown }
  | { readonly ended: 'failed'; readonly message: string }

/** Names of the services, as the server knows them. */
export const SERVICES = { pipeline: 'SluicePipeline', window: 'SluiceWindow', budget: 'SluiceBudget' } as const

const version = z.object({ ingress_endpoint: z.url() })
const sent = z.object({ invocationId: z.string(), status: z.string() })
const told = z.object({ message: z.string(), source: z.string().optional() })
const rows = z.object({ rows: z.array(z.record(z.string(), z.unknown())) })

/** The server does not answer if this takes longer. */
const ANSWER_MS = 30_000

/** A Restate server, by the address of its admin API. Methods reject with a ConfigError if no such server answers. */
export class RestateServer {
  readonly admin: string
  #ingress: string | undefined

  /** @param ingress where jobs are sent. Default: as the server says. */
  constructor(admin: string, ingress?: string) {
    const wrong = [admin, ingress ?? admin].find(address => !/^https?:\/\//.test(address) || !URL.canParse(address))
    if (wrong !== undefined) {
      const message = `${JSON.stringify(wrong)} is no address; expected one as in http://127.0.0.1:9070`
      throw new ConfigError([{ place: { path: '--restate' }, message }])
    }
    this.admin = admin.replace(/\/+$/, '')
    this.#ingress = ingress?.replace(/\/+$/, '')
  }

  async ingress(): Promise<string> {
    this.#ingress ??= (await this.#ask(version, 'GET', `${this.admin}/version`)).ingress_endpoint.replace(/\/+$/, '')
    return this.#ingress
  }

  /** Tells the server that a worker answers at `worker`. Its services take the place of those before. */
  async register(worker: string): Promise<void> {
    const response = await this.#fetch('POST', `${this.admin}/deployments`, { uri: worker, force: true })
    if (response.ok) return
    const message = `the server cannot reach a worker at ${worker}: ${messageIn(await response.text())}. Give the address that the server sees with --url`
    throw new ConfigError([{ place: { path: '--restate' }, message }])
  }

  /** Sends a call to an object, and returns the call's id. Two calls with the same `key` are one. */
  async send(service: string, object: string, handler: string, input: unknown, key?: string): Promise<string> {
    const url = `${await this.#addressOf(service, object)}/${handler}/send`
    const headers = key === undefined ? {} : { 'idempotency-key': key }
    return (await this.#ask(sent, 'POST', url, input, headers)).invocationId
  }

  /** Calls an object, and returns its answer. */
  async call(service: string, object: string, handler: string, input: unknown): Promise<unknown> {
    return await this.#ask(z.unknown(), 'POST', `${await this.#addressOf(service, object)}/${handler}`, input)
  }

  async #addressOf(service: string, object: string): Promise<string> {
    // Such names change the path, however they are encoded.
    if (['', '.', '..'].includes(object)) {
      const message = `${JSON.stringify(object)} can be no name of a job's pipeline; choose another`
      throw new ConfigError([{ place: { path: 'name' }, message }])
    }
    return `${await this.ingress()}/${service}/${encodeURIComponent(object)}`
  }

  /** The newest jobs first. */
  async jobs(most: number): Promise<readonly Job[]> {
    const query = `
      SELECT id, target_service_key, target_handler_name, status, completion_result, completion_failure,
        created_at, retry_count, last_failure
      FROM sys_invocation
      WHERE target_service_name = '${SERVICES.pipeline}' AND target_handler_name IN ('run', 'backfill')
      ORDER BY created_at DESC
      LIMIT ${most}`
    const answer = await this.#ask(rows, 'POST', `${this.admin}/query`, { query })
    return answer.rows.map(jobOf)
  }

  /** Undefined while the job is running. */
  async result(id: string): Promise<JobResult | undefined> {
    const response = await this.#fetch(
      'GET',
      `${await this.ingress()}/restate/invocation/${encodeURIComponent(id)}/output`,
    )
    const body = await response.text()
    if (response.ok) return { ended: 'done', result: body === '' ? undefined : JSON.parse(body) }
    if (response.status === 470) return undefined
    // A failed job has a status of its own, which may be any.
    if (response.status === 404 && !isOfJob(body)) {
      throw wrongJob(unknown(id))
    }
    return { ended: 'failed', message: messageIn(body) }
  }

  /**
   * Stops a job, with what it has called. Requests in flight are aborted; what is committed stays. A job ends by its
   * worker; with `isForced`, the server ends it at once, also if no worker is there.
   */
  async cancel(id: string, isForced = false): Promise<void> {
    const how = isForced ? 'kill' : 'cancel'
    const response = await this.#fetch('PATCH', `${this.admin}/invocations/${encodeURIComponent(id)}/${how}`)
    if (response.ok) return
    throw wrongJob(response.status === 409 ? `the job ${id} is at its end already` : unknown(id))
  }

  async #ask<T>(
    shape: z.ZodType<T>,
    method: string,
    url: string,
    body?: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<T> {
    const response = await this.#fetch(method, url, body, headers)
    const text = await response.text()
    if (!response.ok) {
      const advice = response.status === 404 ? '. Has a worker been there? `sluice worker` registers itself' : ''
      const message = `${method} ${url} was answered with ${response.status}: ${messageIn(text).replace(/\.$/, '')}${advice}`
      throw new ConfigError([{ place: { path: '--restate' }, message }])
    }
    try {
      return shape.parse(text === '' ? undefined : JSON.parse(text))
    } catch {
      const message = `${method} ${url} was not answered as Restate 1.7 does: ${JSON.stringify(text.slice(0, 100))}. Does --restate name the admin API of a server, as in http://127.0.0.1:9070, and --ingress its ingress?`
      throw new ConfigError([{ place: { path: '--restate' }, message }])
    }
  }

  async #fetch(
    method: string,
    url: string,
    body?: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Response> {
    try {
      return await fetch(url, {
        method,
        headers: {
          accept: 'application/json',
          ...(body !== undefined && { 'content-type': 'application/json' }),
          ...headers,
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(ANSWER_MS),
      })
    } catch (cause) {
      if ((cause as Error).name === 'TimeoutError') {
        const late = `the Restate server did not answer ${method} ${url} within ${ANSWER_MS / 1000} s`
        throw new ConfigError([{ place: { path: '--restate' }, message: late }])
      }
      const why = (cause as { cause?: { code?: string } }).cause?.code ?? (cause as Error).message
      const message = `no Restate server answers at ${new URL(url).origin} (${why}). Start one with \`sluice worker --dev\`, or name yours with --restate`
      throw new ConfigError([{ place: { path: '--restate' }, message }])
    }
  }
}

function unknown(id: string): string {
  return `the server knows no job ${id}; \`sluice jobs\` lists them`
}

function wrongJob(message: string): ConfigError {
  return new ConfigError([{ place: { path: 'job' }, message }])
}

function isOfJob(body: string): boolean {
  return toldIn(body)?.source === 'invocation'
}

function messageIn(body: string): string {
  return toldIn(body)?.message ?? body.slice(0, 500)
}

function toldIn(body: string): z.output<typeof told> | undefined {
  try {
    return told.parse(JSON.parse(body))
  } catch {
    return undefined
  }
}

function jobOf(row: Readonly<Record<string, unknown>>): Job {
  const state = stateOf(String(row.status), row.completion_result, row.completion_failure)
  const failure = state === 'cancelled' ? undefined : (row.completion_failure ?? row.last_failure)
  return {
    id: String(row.id),
    pipeline: String(row.target_service_key),
    kind: row.target_handler_name === 'backfill' ? 'backfill' : 'run',
    state,
    createdAt: new Date(String(row.created_at)),
    attempts: Number(row.retry_count ?? 0),
    failure: failure == null ? undefined : String(failure).replace(STATUS, ''),
  }
}

/** The server puts this before the message of a worker. */
const STATUS = /^\[\d+\] /

/** The server's message for a job that was cancelled or killed. */
const CANCELLED = /^\[409[^\]]*\] (cancelled|killed)$/i

function stateOf(status: string, result: unknown, failure: unknown): Job['state'] {
  if (status === 'completed' && CANCELLED.test(String(failure))) return 'cancelled'
  if (status === 'completed') return result === 'failure' ? 'failed' : 'done'
  if (status === 'backing-off') return 'retrying'
  return status === 'running' || status === 'suspended' ? 'running' : 'waiting'
}
