/** A name of small letters, digits and `_`, for pipelines, resources and files. */
export function nameFrom(text: string): string | undefined {
  const name = text
    .replace(/\/+$/, '')
    .replace(/\.(json|csv|xml)$/i, '')
    .replace(/([a-z\d])([A-Z])/g, '$1_$2')
    .replace(/[^A-Za-z\d]+/g, '_')
    .replace(/^_+|_+$/g, '')
    .toLowerCase()
  return name === '' ? undefined : name
}
