/** Keys and list positions from the root of a document. */
export type PropertyPath = readonly (string | number)[]

/** `resources[1].endpoint.params`; keys that are no plain names are quoted: `params["filter[status]"]`. */
export function formatPath(path: PropertyPath): string {
  let text = ''
  for (const key of path) {
    if (typeof key === 'number') text += `[${key}]`
    else if (/^[A-Za-z_$][\w$-]*$/.test(key)) text += text === '' ? key : `.${key}`
    else text += `[${JSON.stringify(key)}]`
  }
  return text
}
