/** Whether a function of the user's was async: such promises are waited for nowhere, unless it is said. */
export function isPromise(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
}

/** What a function of the user's returned, as an error names it. */
export function shownResult(value: unknown): string {
  if (value === undefined) return 'nothing'
  if (value === null) return 'null'
  if (isPromise(value)) return 'a promise'
  if (Array.isArray(value)) return 'a list'
  switch (typeof value) {
    case 'string':
      return `the text ${JSON.stringify(value.slice(0, 40))}`
    case 'number':
    case 'bigint':
      return `the number ${value}`
    case 'boolean':
      return String(value)
    case 'object':
      return describeObject(value)
    default:
      return `a ${typeof value}`
  }
}

function describeObject(value: object): string {
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype === null || prototype === Object.prototype) return 'an object'
  const { name } = value.constructor
  return typeof name === 'string' && name !== '' ? `an instance of ${name}` : 'an object'
}
