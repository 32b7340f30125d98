import { type Call, isList, isMap, isReference, LONGEST_LIST, LONGEST_TEXT, type PythonValue } from './pythonValues.js'

/** The document's reference to a value of dlt's configuration. */
export function referenceOf(place: string, name: string): string | undefined {
  if (!/^[\w.-]+$/.test(name)) return undefined
  if (/^(?:dlt\.)?secrets$/.test(place)) return `\${secrets.${name}}`
  if (/^dlt\.config$/.test(place)) return `\${env.${name.replace(/[.-]/g, '__').toUpperCase()}}`
  return /^(?:os\.)?environ$/.test(place) ? `\${env.${name}}` : undefined
}

/** dlt's types that are dictionaries. */
const DICTIONARIES =
  /^(?:dict|(?:RESTAPI|Client|Paginator|Auth|Resolve|Incremental|OAuth2ClientCredentials|BearerToken|ApiKeyAuth|HttpBasicAuth)\w*Config|EndpointResource(?:Base)?|Endpoint|ProcessingSteps|ResponseAction\w*)$/

const MOST_NUMBERS = 1000

/** Calls a function of Python or dlt whose result depends only on its arguments. Undefined if the name is unknown. */
export function builtIn(written: string, { positional, named, call }: Call): PythonValue | undefined {
  const [first] = positional
  if (/^(?:os\.)?getenv$/.test(written) && typeof first === 'string') return referenceOf('os.environ', first)
  if (DICTIONARIES.test(call)) {
    if (first === undefined) return new Map(named)
    return isMap(first) ? new Map([...first, ...named]) : undefined
  }
  if (call === 'cast') return positional[1]
  if (call === 'deepcopy' || written === 'copy.copy') return first
  if (named.size > 0 || first === undefined) return undefined
  switch (written) {
    case 'str':
      if (typeof first === 'string') return first
      return typeof first === 'number' ? String(first) : undefined

    case 'int':
    case 'float':
      return numberOf(first)
    case 'list':
    case 'tuple':
    case 'set':
      if (isList(first)) return [...first]
      return isMap(first) ? [...first.keys()] : undefined

    case 'len':
      if (isList(first)) return first.length
      return isMap(first) ? first.size : undefined

    case 'sorted':
      return sorted(isMap(first) ? [...first.keys()] : first)
    case 'range':
      return range(positional)
    case 'enumerate':
      return isList(first) ? first.map((item, index) => [index, item]) : undefined
    case 'SecretStr':
      return first
    case 'os.path.join':
    case 'posixpath.join':
      return joinedPath(positional)
    default:
      return undefined
  }
}

/** As on a system whose paths have slashes: a part that begins with one takes the place of all before it. */
function joinedPath(parts: readonly PythonValue[]): string | undefined {
  if (!parts.every(part => typeof part === 'string')) return undefined
  const joined = (parts as readonly string[]).reduce((path, part) => {
    if (part.startsWith('/') || path === '') return part
    return path.endsWith('/') ? `${path}${part}` : `${path}/${part}`
  })
  return joined.length <= LONGEST_TEXT ? joined : undefined
}

/** Texts or numbers in their order, and pairs such as those of `items()` by their first part. */
function sorted(list: PythonValue): PythonValue | undefined {
  if (!isList(list)) return undefined
  const keys = list.map(item => (isList(item) ? item[0] : item))
  const isText = keys.every(key => typeof key === 'string' && !isReference(key))
  const isPlain = isText || keys.every(key => typeof key === 'number')
  // Equal first parts would be ordered by the second ones.
  if (!isPlain || new Set(keys).size < keys.length) return undefined
  const order = keys.map((key, index) => ({ key, index })).sort((a, b) => ((a.key ?? 0) < (b.key ?? 0) ? -1 : 1))
  return order.map(({ index }) => list[index] ?? null)
}

function range(given: readonly PythonValue[]): PythonValue | undefined {
  const numbers = given.filter(value => typeof value === 'number' && Number.isInteger(value)) as number[]
  if (numbers.length !== given.length || given.length > 3) return undefined
  const [from, to, step] =
    given.length === 1 ? [0, numbers[0] ?? 0, 1] : [numbers[0] ?? 0, numbers[1] ?? 0, numbers[2] ?? 1]
  const length = step === 0 ? Number.NaN : Math.max(0, Math.ceil((to - from) / step))
  return length <= MOST_NUMBERS ? Array.from({ length }, (_, index) => from + index * step) : undefined
}

function numberOf(value: PythonValue): number | undefined {
  if (typeof value === 'number') return Math.trunc(value)
  return typeof value === 'string' && /^-?\d{1,15}$/.test(value) ? Number(value) : undefined
}

/** Calls a method of a text, list or map, which may change the list or map. Undefined if the method is unknown. */
export function methodOf(value: PythonValue, { call, positional, named }: Call): PythonValue | undefined {
  if (typeof value === 'string') return methodOfText(value, call, positional, named)
  const [first, second] = positional
  if (isList(value)) {
    if (call === 'append' && first !== undefined) value.push(first)
    else if (call === 'extend' && isList(first) && value.length + first.length <= LONGEST_LIST) value.push(...first)
    else if (call === 'insert' && typeof first === 'number' && second !== undefined) value.splice(first, 0, second)
    else return call === 'copy' ? [...value] : undefined
    return null
  }
  if (!isMap(value)) return undefined
  switch (call) {
    case 'get':
      return typeof first === 'string' ? (value.get(first) ?? second ?? null) : undefined
    case 'items':
      return [...value].map(([key, item]) => [key, item])
    case 'keys':
      return [...value.keys()]
    case 'values':
      return [...value.values()]
    case 'copy':
      return new Map(value)
    case 'update':
      if (first !== undefined && !isMap(first)) return undefined
      for (const [key, item] of [...(isMap(first) ? first : []), ...named]) value.set(key, item)
      return null
    case 'setdefault': {
      if (typeof first !== 'string') return undefined
      if (!value.has(first)) value.set(first, second ?? null)
      return value.get(first)
    }
    case 'pop': {
      if (typeof first !== 'string') return undefined
      const gone = value.get(first) ?? second
      value.delete(first)
      return gone
    }
    default:
      return undefined
  }
}

function methodOfText(
  text: string,
  call: string,
  positional: readonly PythonValue[],
  named: ReadonlyMap<string, PythonValue>,
): PythonValue | undefined {
  const [first, second] = positional
  if (/^(?:strip|rstrip|lstrip)$/.test(call)) {
    const [from, to] = [call !== 'rstrip', call !== 'lstrip']
    // The text behind a reference is not known.
    if (isReference(text)) return text
    if (first !== undefined && typeof first !== 'string') return undefined
    const gone = first ?? ' \t\r\n'
    let [start, end] = [0, text.length]
    while (from && start < end && gone.includes(text.charAt(start))) start += 1
    while (to && end > start && gone.includes(text.charAt(end - 1))) end -= 1
    return text.slice(start, end)
  }
  if (text.includes('${')) return undefined
  if (call === 'lower') return text.toLowerCase()
  if (call === 'upper') return text.toUpperCase()
  if (call === 'join' && isList(first) && first.every(item => typeof item === 'string')) {
    const length = first.reduce((sum, item) => sum + item.length + text.length, 0)
    return length <= LONGEST_TEXT ? first.join(text) : undefined
  }
  if (call === 'split' && typeof first === 'string' && first !== '') return text.split(first)
  if (call === 'startswith' && typeof first === 'string') return text.startsWith(first)
  if (call === 'endswith' && typeof first === 'string') return text.endsWith(first)
  if (call === 'replace' && typeof first === 'string' && typeof second === 'string' && first !== '')
    return text.length * Math.max(second.length, 1) <= LONGEST_TEXT * 10
      ? text.replaceAll(first, () => second)
      : undefined
  if (call !== 'format') return undefined
  const at = positional.entries()
  let isWhole = true
  const made = text.replace(/\{\{|\}\}|\{(\w*)\}/g, (found, name: string | undefined) => {
    if (name === undefined) return found.charAt(0)
    const value = name === '' ? at.next().value?.[1] : /^\d+$/.test(name) ? positional[Number(name)] : named.get(name)
    if ((typeof value !== 'string' && typeof value !== 'number') || String(value).length > LONGEST_TEXT / 100)
      isWhole = false
    return isWhole ? String(value) : ''
  })
  return isWhole ? made : undefined
}
