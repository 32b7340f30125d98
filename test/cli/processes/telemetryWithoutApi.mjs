/** An SDK is registered, but sluice does not find the package of the API: it is installed elsewhere. */
import { register } from 'node:module'

globalThis[Symbol.for('opentelemetry.js.api.1')] = { version: '1.9.0', trace: {} }
const hooks = `export async function resolve(name, context, next) {
  if (name !== '@opentelemetry/api') return await next(name, context)
  throw Object.assign(new Error('Cannot find package'), { code: 'ERR_MODULE_NOT_FOUND' })
}`
register(`data:text/javascript,${encodeURIComponent(hooks)}`)
