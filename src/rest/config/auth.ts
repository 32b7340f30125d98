import { type AuthKind, authKinds } from '../authenticators/index.js'
import type { Authenticator } from '../types.js'
import { checkShape } from './check.js'
import { shapeOf } from './declaration/kinds.js'
import type { AuthConfig } from './declaration.js'
import type { Lookup } from './lookup.js'
import type { AuthModel } from './model.js'
import type { Problems } from './problems.js'
import { formatPath, type PropertyPath } from './propertyPath.js'

/** Reads `auth` blocks; one block is one object, however many resources use it. */
export class AuthReader {
  readonly #lookup: Lookup
  readonly #problems: Problems
  readonly #read = new Map<string, AuthModel | undefined>()

  constructor(lookup: Lookup, problems: Problems) {
    this.#lookup = lookup
    this.#problems = problems
  }

  auth(written: AuthConfig | null | undefined, at: PropertyPath): AuthModel | undefined {
    if (written == null) return undefined
    const path = formatPath(at)
    if (this.#read.has(path)) return this.#read.get(path)
    const model = this.#build(written, at, path)
    this.#read.set(path, model)
    return model
  }

  #build(written: AuthConfig, at: PropertyPath, path: string): AuthModel | undefined {
    if (typeof (written as Authenticator).sign === 'function') {
      return { kind: 'custom', authenticator: written as Authenticator, path }
    }
    const shorthand = typeof written === 'string'
    const config: Record<string, unknown> = shorthand ? {} : { ...(written as object) }
    const type = shorthand ? written : (config.type ?? 'bearer')
    const kind = authKinds.find(known => known.type === type)
    if (kind === undefined) return undefined
    const before = this.#problems.count
    for (const field of Object.keys(shapeOf(kind.schema))) {
      if (field === 'type' || config[field] != null) continue
      delete config[field]
      if (kind.lookedUp.includes(field)) this.#lookUp(field, kind, config, [...at, field])
      else this.#lookUpSetting(field, config)
    }
    if (this.#problems.count > before) return undefined
    const complete = { ...config, type: kind.type }
    const checked = kind.schema.safeParse(complete)
    if (!checked.success) {
      checkShape(kind.schema, complete, at, this.#problems)
      return undefined
    }
    return { kind: 'declared', type: kind.type, config: checked.data as Readonly<Record<string, unknown>>, path }
  }

  #lookUp(field: string, kind: AuthKind, config: Record<string, unknown>, at: PropertyPath): void {
    const { secretFields, without } = kind
    const found = secretFields.includes(field)
      ? this.#lookup.credential(field, secretFields.length === 1)
      : this.#lookup.setting(field)
    if ('value' in found) config[field] = found.value
    else {
      const advice = without?.[field]
      this.#problems.addMissingSecret(at, advice === undefined ? found.missing : `${found.missing}\n    ${advice}`)
    }
  }

  /** Optional fields are taken from the environment too, where they are there: what the document gives comes first. */
  #lookUpSetting(field: string, config: Record<string, unknown>): void {
    const found = this.#lookup.setting(field)
    if ('value' in found) config[field] = found.value
  }
}
