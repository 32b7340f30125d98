import type { Attributes, Context, Span, Tracer } from '@opentelemetry/api'
import type { RunEvent } from '../../model/events.js'
import { type Receipt, rowsOf } from '../../model/receipt.js'
import type { Clock } from '../../model/source.js'
import type { WorkFailure, WorkMessage } from '../eventChannel.js'
import { serverOf } from './serverOf.js'

/** The package, which the user has installed: nothing of it is imported where it may be missing. */
export type TelemetryApi = typeof import('@opentelemetry/api')

type Told<Type extends RunEvent['type']> = Extract<RunEvent, { readonly type: Type }>

interface OpenSpan {
  readonly span: Span
  /** In which its children begin. */
  readonly context: Context
}

/** What was read of a resource, from its first list on. */
interface OpenResource extends OpenSpan {
  /** When it was heard of last. Its receipt comes later, when everything is read. */
  lastMs: number
}

/** A load: a work is one, or has one for each window. */
interface OpenLoad extends OpenSpan {
  readonly resources: Map<string, OpenResource>
  commit: Span | undefined
}

/**
 * The spans of one work, made of its events: the work itself, within it the windows of a backfill, within those the
 * resources and the commit, and within a resource its requests. The span that was active when the work began is its parent.
 * Events hold no secret and only redacted URLs, so that spans hold none.
 */
export class WorkSpans {
  readonly #api: TelemetryApi
  readonly #tracer: Tracer
  readonly #clock: Pick<Clock, 'now'>
  readonly #whole: OpenLoad
  readonly #windows = new Map<string, OpenLoad>()

  constructor(api: TelemetryApi, tracer: Tracer, { kind, pipeline, dataset }: WorkMessage, clock: Pick<Clock, 'now'>) {
    this.#api = api
    this.#tracer = tracer
    this.#clock = clock
    this.#whole = this.#load(`${kind} ${pipeline}`, api.context.active(), {
      'sluice.work': kind,
      'sluice.pipeline': pipeline,
      'sluice.dataset': dataset,
    })
  }

  hear(event: RunEvent): void {
    const load = (event.window === undefined ? undefined : this.#windows.get(event.window)) ?? this.#whole
    switch (event.type) {
      case 'run_started':
        this.#started(event)
        break
      case 'resource_started':
        this.#reads(load, event)
        break
      case 'page':
      case 'list_finished':
        this.#resource(load, event.resource)
        break
      case 'request':
        this.#requested(load, event)
        break
      case 'retry':
        this.#resource(load, event.resource).addEvent('retry', {
          'sluice.reason': event.reason,
          'sluice.attempt': event.attempt,
          'sluice.delay_ms': event.delayMs,
          'url.full': event.url,
        })
        break
      case 'waiting':
        this.#resource(load, event.resource).addEvent('wait', {
          'sluice.reason': event.reason,
          'sluice.delay_ms': event.delayMs,
        })
        break
      case 'warning': {
        const span = event.resource === undefined ? load.span : this.#resource(load, event.resource)
        span.addEvent('warning', { 'sluice.warning.code': event.code, 'sluice.warning.message': event.message })
        break
      }
      case 'resource_finished':
        this.#judged(load, event.receipt)
        break
      case 'committing':
        load.commit = this.#tracer.startSpan(
          'commit',
          { attributes: { 'sluice.load_id': event.loadId, 'sluice.rows': event.rows } },
          load.context,
        )
        break
      case 'committed':
        load.commit?.end()
        load.commit = undefined
        if (load !== this.#whole) this.#endWindow(event.window, undefined)
        break
      case 'run_failed':
        if (load !== this.#whole) this.#endWindow(event.window, { ...event, resource: undefined })
        break
      default:
    }
  }

  /** `failure`: why the work has no result. */
  end(failure: WorkFailure | undefined): void {
    for (const window of this.#windows.keys()) this.#endWindow(window, failure)
    this.#endLoad(this.#whole, failure)
  }

  #load(name: string, within: Context, attributes: Attributes): OpenLoad {
    const span = this.#tracer.startSpan(name, { attributes }, within)
    return { span, context: this.#api.trace.setSpan(within, span), resources: new Map(), commit: undefined }
  }

  #started({ loadId, destination, resumedPages, window, dataset }: Told<'run_started'>): void {
    const attributes = {
      'sluice.load_id': loadId,
      'sluice.dataset': dataset,
      'sluice.destination': destination,
      'sluice.resumed_pages': resumedPages,
    }
    if (window === undefined) {
      this.#whole.span.setAttributes(attributes)
      return
    }
    // It is loaded once more, because others committed meanwhile.
    this.#endWindow(window, undefined)
    this.#windows.set(window, this.#load('window', this.#whole.context, { ...attributes, 'sluice.window': window }))
  }

  #reads(load: OpenLoad, { resource, parent }: Told<'resource_started'>): void {
    const before = load.resources.get(resource)
    before?.span.end(before.lastMs)
    const span = this.#tracer.startSpan(
      `read ${resource}`,
      {
        startTime: this.#clock.now(),
        attributes: {
          'sluice.resource': resource,
          ...(parent === undefined ? {} : { 'sluice.parent_resource': parent }),
        },
      },
      load.context,
    )
    load.resources.set(resource, {
      span,
      context: this.#api.trace.setSpan(load.context, span),
      lastMs: this.#clock.now(),
    })
  }

  /** The span of a resource, or of its load where none of its lists was begun. */
  #resource(load: OpenLoad, resource: string): Span {
    const open = load.resources.get(resource)
    if (open === undefined) return load.span
    open.lastMs = this.#clock.now()
    return open.span
  }

  #requested(load: OpenLoad, { resource, method, url, status, attempt, durationMs }: Told<'request'>): void {
    const endMs = this.#clock.now()
    this.#resource(load, resource)
    const span = this.#tracer.startSpan(
      method,
      {
        kind: this.#api.SpanKind.CLIENT,
        startTime: endMs - durationMs,
        attributes: {
          'http.request.method': method,
          'url.full': url,
          'sluice.resource': resource,
          ...serverOf(url),
          ...(attempt > 1 ? { 'http.request.resend_count': attempt - 1 } : {}),
          ...(status === 0 ? {} : { 'http.response.status_code': status }),
          ...(isFailure(status) ? { 'error.type': errorType(status) } : {}),
        },
      },
      load.resources.get(resource)?.context ?? load.context,
    )
    if (isFailure(status)) span.setStatus({ code: this.#api.SpanStatusCode.ERROR })
    span.end(endMs)
  }

  #judged(load: OpenLoad, receipt: Receipt): void {
    const open = load.resources.get(receipt.resource)
    if (open === undefined) return
    load.resources.delete(receipt.resource)
    const { verdict, records, pages, requests, retries, announced, waitedMs, reasons } = receipt
    open.span.setAttributes({
      'sluice.verdict': verdict,
      'sluice.reasons': [...reasons],
      'sluice.records': records,
      'sluice.rows': rowsOf(receipt),
      'sluice.pages': pages,
      'sluice.requests': requests,
      'sluice.retries': retries,
      'sluice.waited_ms': waitedMs,
      ...(announced === undefined ? {} : { 'sluice.announced': announced }),
    })
    open.span.end(open.lastMs)
  }

  #endWindow(window: string | undefined, failure: WorkFailure | undefined): void {
    const load = window === undefined ? undefined : this.#windows.get(window)
    if (window === undefined || load === undefined) return
    this.#windows.delete(window)
    this.#endLoad(load, failure)
  }

  /** Of a failure, the commit that was under way, the resource whose fault it is, and the load are told. */
  #endLoad({ span, resources, commit }: OpenLoad, failure: WorkFailure | undefined): void {
    for (const [name, open] of resources) {
      if (failure?.resource === name) this.#fail(open.span, failure)
      open.span.end(open.lastMs)
    }
    if (failure !== undefined) {
      if (commit !== undefined) this.#fail(commit, failure)
      this.#fail(span, failure)
    }
    commit?.end()
    span.end()
  }

  #fail(span: Span, { code, message }: WorkFailure): void {
    span.setAttribute('error.type', code)
    span.setStatus({ code: this.#api.SpanStatusCode.ERROR, message })
  }
}

/** Whether the status of an answer is that of an error. 0: there was none. */
export function isFailure(status: number): boolean {
  return status === 0 || status >= 400
}

/** As OpenTelemetry's conventions name what went wrong with a request. */
export function errorType(status: number): string {
  return status === 0 ? '_OTHER' : String(status)
}
