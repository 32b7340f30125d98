import { Secret, SecretReference } from '../model/secrets/secret.js'
import type { Problems, PropertyPath } from '../rest/document/problems.js'
import { resolveReferences } from '../rest/document/references.js'
import { reference, type SecretResolver } from './secrets.js'

/** The address of a destination with its references replaced. */
export interface DestinationAddress {
  /** Holds secrets if there are any in `secrets`. */
  readonly text: string
  /** What `${secrets.…}` stood for. */
  readonly secrets: readonly { readonly secret: Secret; readonly value: string }[]
}

/**
 * Replaces `${env.X}` and `${secrets.x}` in the address of a destination. Values in front of the `@` and in parameters
 * are percent-encoded, because an address is read with them. A secret may stand there, or be the whole address.
 */
export function destinationAddress(
  written: string | SecretReference,
  resolver: SecretResolver,
  problems: Problems,
  path: PropertyPath,
): DestinationAddress | undefined {
  const template = written instanceof SecretReference ? `\${secrets.${written.reference}}` : written
  const found: DestinationAddress['secrets'][number][] = []
  let text = template
  const before = problems.count
  const under = nestedProblems(path, template)
  resolveReferences(
    under,
    {
      ...resolver,
      text(asked) {
        const missing: string[] = []
        text = asked.replace(reference, (whole, escaped: string, context: string, name: string, at: number) => {
          if (escaped !== '') return whole.slice(1)
          const place = placeOf(asked, at, whole)
          const value = context === 'env' ? resolver.variable(name) : resolver.named(name)
          if ('missing' in value) {
            missing.push(value.missing)
            return ''
          }
          if (context === 'secrets') {
            if (place === 'elsewhere') problems.add(path, MISPLACED)
            found.push({ secret: new Secret(value.value.value, value.value.origin), value: value.value.value })
          }
          return encoded(value.value.value, place)
        })
        return missing.length > 0 ? { missing: missing.join('; ') } : { value: '' }
      },
    },
    problems,
  )
  return problems.count > before ? undefined : { text, secrets: found }
}

const MISPLACED =
  'a secret may stand here for the user, for the password or for the value of a parameter, or be the whole address: names of hosts, databases, buckets and files are printed'

type Place = 'whole' | 'user' | 'credentials' | 'parameter' | 'elsewhere'

function placeOf(template: string, at: number, whole: string): Place {
  if (template.trim() === whole) return 'whole'
  const [head = '', scheme = '', user = ''] = /^([a-z][a-z\d+.-]*:\/\/)([^/?#]*)@/i.exec(template) ?? []
  if (at < head.length) return user === whole ? 'credentials' : at >= scheme.length ? 'user' : 'elsewhere'
  const query = template.indexOf('?')
  const isFile = /^duckdb:/i.test(template)
  return query !== -1 && at > query && !isFile ? 'parameter' : 'elsewhere'
}

/** `user:password` in one variable keeps its colon. */
function encoded(value: string, place: Place): string {
  if (place === 'whole' || place === 'elsewhere') return value
  const text = encodeURIComponent(value)
  return place === 'credentials' ? text.replace('%3A', ':') : text
}

/** The value under the path, so that problems are reported there. */
function nestedProblems(path: PropertyPath, value: unknown): unknown {
  return path.reduceRight<unknown>((inner, key) => ({ [key]: inner }), value)
}
