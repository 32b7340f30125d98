/** Where every version 1 of `@opentelemetry/api` keeps what an SDK has registered in this process. */
const REGISTERED = Symbol.for('opentelemetry.js.api.1')

/** Whether an SDK of OpenTelemetry takes the spans or measurements of this process. */
export function hasTelemetry(): boolean {
  const { trace, metrics } = ((globalThis as { [REGISTERED]?: unknown })[REGISTERED] ?? {}) as {
    readonly trace?: unknown
    readonly metrics?: unknown
  }
  return trace !== undefined || metrics !== undefined
}
