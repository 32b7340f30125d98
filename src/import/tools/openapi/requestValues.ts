import { isSecretName } from '../../../rest/http/redact.js'
import { asTemplate } from '../../draft/draftYaml.js'
import type { ImportedSecret } from '../../imported.js'
import { CONCEALED, isRandom, SECRET_HEADER } from '../../requests/credentials.js'
import type { SchemaShape, Schemas } from './openapiSchemas.js'
import type { Operation, Parameter } from './operations.js'
import { variableName } from './servers.js'

/** A value that every request sends. */
export interface SentValue {
  readonly name: string
  readonly in: 'query' | 'header' | 'body'
  readonly value: unknown
  /** What the user has to know about the value. Undefined if the document decides it. */
  readonly assumed?: string
  readonly open?: string
  readonly secret?: ImportedSecret
}

interface Context {
  readonly prefix: string
  /** Version of the API, as the document has it. */
  readonly version: string | undefined
  /** Parameters that the paginator or the authentication sends. */
  readonly sent: ReadonlySet<string>
  readonly isSigned: boolean
}

/** Values for required parameters. The document decides them, or they are assumed from it, or they stay open. */
export function requiredValues(operation: Operation, schemas: Schemas, context: Context): SentValue[] {
  const found: SentValue[] = []
  for (const parameter of operation.parameters) {
    const { name, in: place, isRequired, shape } = parameter
    if (place !== 'query' && place !== 'header') continue
    if (!isRequired || context.sent.has(name) || FRAME.test(name)) continue
    const isKnown = isSecretName(name)
    if (isKnown && context.isSigned) continue
    if (isKnown || holdsToken(shape) || (isSecretPlace(name, place) && mayHoldSecret(shape))) {
      const secret = { name: secretOf(name), what: `${place === 'query' ? 'query parameter' : 'header'} ${name}` }
      found.push({ name, in: place, value: `\${secrets.${secret.name}}`, secret })
      continue
    }
    found.push({ name, in: place, ...parameterValue(parameter, shape, context) })
  }
  const body = schemas.shape(operation.body)
  for (const name of body.required) {
    if (context.sent.has(name)) continue
    const shape = schemas.shape(body.properties.get(name))
    found.push({ name, in: 'body', ...parameterValue({ name, description: shape.description ?? '' }, shape, context) })
  }
  return found
}

/** `X-Auth-Token` and `access-token-of-user` are secrets by their names, `X-Idempotency-Key` is none. */
function isSecretPlace(name: string, place: 'query' | 'header'): boolean {
  const words = name.replace(/([a-z\d])([A-Z])/g, '$1-$2').toLowerCase()
  if (/idempot|page|next|continu|sync|csrf|xsrf|delta|partition|sort|order|group|foreign|primary/.test(words))
    return false
  return place === 'header'
    ? SECRET_HEADER.test(words)
    : /(?:^|[-_.])(?:(?:api|access|auth|session|user)[-_]?(?:key|token)|secret|password)$/.test(words)
}

function holdsToken({ default: given, enum: values }: SchemaShape): boolean {
  return [given, ...values].some(value => typeof value === 'string' && value.includes(CONCEALED))
}

/** A value that the document gives is no secret, unless it looks like one. */
function mayHoldSecret({ default: given, enum: values }: SchemaShape): boolean {
  return [given, ...values].every(value => value === undefined || (typeof value === 'string' && isRandom(value)))
}

/** Headers that the client decides. */
const FRAME = /^(?:accept|accept-encoding|content-type|authorization|user-agent|host|content-length)$/i

function parameterValue(
  { name, description }: Pick<Parameter, 'name' | 'description'>,
  shape: SchemaShape,
  { prefix, version }: Context,
): Pick<SentValue, 'value' | 'assumed' | 'open'> {
  const decided = plain(shape.default) ?? (shape.enum.length === 1 ? plain(shape.enum[0]) : undefined)
  if (decided !== undefined) return { value: decided }
  if (/^api-?version$/i.test(name) && version !== undefined) {
    return { value: asTemplate(version), assumed: `${name} is the version of the document` }
  }
  const first = shape.enum.map(plain).find(value => value !== undefined)
  if (first !== undefined)
    return { value: first, assumed: `${name} is ${shown(first)}, the first of ${shape.enum.length} values` }
  const example = plain(shape.example)
  // An example id or time belongs to somebody else's data.
  if (example !== undefined && shape.kind === 'scalar' && !OWN.test(name) && !/^date/.test(shape.format ?? '')) {
    return { value: example, assumed: `${name} is ${shown(example)}, the example of the document` }
  }
  if (shape.type === 'boolean') return { value: false, assumed: `${name} is false` }
  const variable = variableName(prefix, name)
  const says = description.split(/(?<=\.)\s|\n/)[0]?.slice(0, 120) ?? ''
  return {
    value: `\${env.${variable}}`,
    open: `set the variable ${variable} for ${name}${says === '' ? '' : `: ${says}`}`,
  }
}

const OWN = /id$|ids$|key|token|date|time|from|to$|start|end|since|until|account|user|email|name|owner|org/i

function shown(value: unknown): string {
  return JSON.stringify(value)
}

/** A value as it may stand in a document. */
export function plain(value: unknown): string | number | boolean | undefined {
  if (typeof value === 'string') return value === '' || value.length > 500 ? undefined : asTemplate(value)
  if (typeof value === 'number') return Number.isFinite(value) ? value : undefined
  if (typeof value === 'boolean') return value
  return undefined
}

/** The name of the secret that a parameter holds. */
export function secretOf(name: string): string {
  return (
    name
      .replace(/^x-/i, '')
      .replace(/\W+/g, '_')
      .replace(/^_+|_+$/g, '')
      .toLowerCase() || 'key'
  )
}
