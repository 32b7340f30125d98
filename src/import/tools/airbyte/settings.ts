import type { ImportedSecret, ImportNote } from '../../imported.js'
import { known, SettingInside, type Value } from './jinja.js'
import { type Part, partOf, partsOf, textOf } from './manifestParts.js'

/**
 * The options of a connector, from its specification. A secret or a required text becomes a reference. A default is used
 * as it is. An option without a default counts as not set.
 */
export class ManifestSettings {
  private readonly notes = new Map<string, ImportNote>()
  private readonly names = new Map<string, ImportedSecret>()
  /** The variables for the time of the run, with the format of each. */
  readonly momentsOfRun = new Map<string, string>()
  private readonly specification: Part | undefined

  constructor(spec: Part | undefined) {
    this.specification = partOf(spec?.connection_specification)
  }

  /** The assumptions, without repetitions. */
  get assumed(): readonly ImportNote[] {
    return [...this.notes.values()]
  }

  get secrets(): readonly ImportedSecret[] {
    return [...this.names.values()]
  }

  option(keys: readonly string[], isNeeded: boolean): Value | undefined {
    if (keys.length === 0) return known({})
    if (this.specification === undefined) return isNeeded ? this.unspecified(keys) : undefined
    let schema: Part = this.specification
    let isRequired = true
    for (const [depth, key] of keys.entries()) {
      const above = schema
      const branch = this.branchOf(above, keys.slice(0, depth))
      const found = memberOf(branch, key) ?? (isNeeded ? anyMember(above, key) : undefined)
      if (found === undefined) return isNeeded ? this.unspecified(keys) : undefined
      isRequired &&= listOf(branch.required).includes(key) || listOf(above.required).includes(key) || isForm(found)
      schema = found
    }
    return this.valueOf(schema, { keys, isRequired, isNeeded })
  }

  /** Whether the option may be left out: the specification says so, or does not name the option. */
  isOptional(keys: readonly string[]): boolean {
    let schema: Part | undefined = this.specification
    for (const [depth, key] of keys.entries()) {
      if (schema === undefined) return true
      const branch = this.branchOf(schema, keys.slice(0, depth))
      const isRequired = listOf(branch.required).includes(key) || listOf(schema.required).includes(key)
      schema = memberOf(branch, key)
      if (!isRequired && (schema === undefined || !isForm(schema))) return true
    }
    return false
  }

  /** The reference to an option. A secret reference is allowed only where requests are signed. */
  reference({ keys, secret }: Extract<Value, { kind: 'setting' }>, isSigned: boolean): string {
    const words = keys.length > 1 && keys[0] === 'credentials' ? keys.slice(1) : keys
    const name = words.join('_').replace(/\W+/g, '_')
    if (!secret || !isSigned) return `\${env.${name.toUpperCase()}}`
    this.names.set(name.toLowerCase(), {
      name: name.toLowerCase(),
      what: `option \`${keys.join('.')}\` of the connector`,
    })
    return `\${secrets.${name.toLowerCase()}}`
  }

  private unspecified(keys: readonly string[]): Value {
    return { kind: 'setting', keys, secret: SECRET_NAME.test(keys.at(-1) ?? '') }
  }

  /** Of several alternatives, such as ways to sign in, the first one that needs no person at a browser. */
  private branchOf(schema: Part, keys: readonly string[]): Part {
    const branches = partsOf(schema.oneOf ?? schema.anyOf)
    const [first] = branches
    if (first === undefined) return schema
    const chosen = branches.find(branch => !hasMember(branch, /refresh_token/)) ?? first
    if (keys.length > 0 && branches.length > 1) {
      const others = branches.filter(branch => branch !== chosen).map(branch => JSON.stringify(branch.title ?? '?'))
      this.assume(
        keys,
        `option \`${keys.join('.')}\`: ${JSON.stringify(chosen.title ?? 'the first way')}; others are ${others.join(', ')}`,
      )
    }
    return { ...chosen, properties: { ...partOf(schema.properties), ...partOf(chosen.properties) } }
  }

  private valueOf(
    schema: Part,
    { keys, isRequired, isNeeded }: { keys: readonly string[]; isRequired: boolean; isNeeded: boolean },
  ): Value | undefined {
    const name = keys.join('.')
    const secret = schema.airbyte_secret === true
    const setting: Value = { kind: 'setting', keys, secret }
    if (schema.const !== undefined) return known(schema.const)
    if (secret) return isRequired || isNeeded ? setting : undefined
    if (schema.default !== undefined && !(schema.default === '' && isNeeded) && !isForm(schema)) {
      if (typeof schema.default === 'object') return known(schema.default)
      this.assume(keys, `option \`${name}\`: its default ${JSON.stringify(schema.default)}`)
      return known(schema.default)
    }
    const type = listOf(schema.type).find(word => word !== 'null')
    const choices = Array.isArray(schema.enum) ? (schema.enum as unknown[]) : []
    if (!isRequired && !isNeeded) return undefined
    if (choices.length > 0 && isRequired) {
      this.assume(
        keys,
        `option \`${name}\`: ${JSON.stringify(choices[0])}; others are ${JSON.stringify(choices.slice(1))}`,
      )
      return known(choices[0])
    }
    if (type === 'boolean') return isRequired ? known(false) : undefined
    if (type === 'integer' || type === 'number') {
      const [example] = Array.isArray(schema.examples) ? (schema.examples as unknown[]) : []
      const value = Number(example ?? schema.minimum ?? Number.NaN)
      if (!Number.isFinite(value)) return isRequired ? setting : undefined
      this.assume(keys, `option \`${name}\`: ${value}`)
      return known(value)
    }
    if (type === 'array') {
      const items = partOf(schema.items)
      const [choice] = Array.isArray(items?.enum) ? (items.enum as unknown[]) : []
      if (items?.type === 'object') return undefined
      if (!isRequired) return undefined
      this.assume(keys, `option \`${name}\`: one value; add others where the document has it`)
      return known([choice ?? new SettingInside({ kind: 'setting', keys, secret: false })])
    }
    if (type === 'object' && hasMembers(schema)) {
      const branch = this.branchOf(schema, keys)
      const members = Object.keys(partOf(branch.properties) ?? {}).flatMap(key => {
        const value = this.option([...keys, key], false)
        if (value === undefined) return []
        return [
          [key, value.kind === 'known' ? value.value : value.kind === 'setting' ? new SettingInside(value) : null],
        ]
      })
      return known(Object.fromEntries(members))
    }
    return isRequired || isNeeded ? setting : undefined
  }

  private assume(keys: readonly string[], text: string): void {
    this.notes.set(keys.join('.'), { kind: 'assumed', text, place: { path: `spec.${keys.join('.')}` } })
  }
}

const SECRET_NAME = /(token|secret|password|api_?key|private_?key|credential)/i

function listOf(value: unknown): readonly string[] {
  return (Array.isArray(value) ? value : [value]).flatMap(item => textOf(item) ?? [])
}

function memberOf(schema: Part, key: string): Part | undefined {
  const properties = partOf(schema.properties)
  return properties !== undefined && Object.hasOwn(properties, key) ? partOf(properties[key]) : undefined
}

function anyMember(schema: Part, key: string): Part | undefined {
  for (const branch of partsOf(schema.oneOf ?? schema.anyOf)) {
    const found = memberOf(branch, key)
    if (found !== undefined) return found
  }
  return undefined
}

function hasMembers(schema: Part): boolean {
  return schema.properties !== undefined || schema.oneOf !== undefined
}

/** An option whose default is an empty object is a form: it is there, and its members are asked for. */
function isForm(schema: Part): boolean {
  const empty = partOf(schema.default)
  return hasMembers(schema) && empty !== undefined && Object.keys(empty).length === 0
}

function hasMember(schema: Part, name: RegExp): boolean {
  return Object.keys(partOf(schema.properties) ?? {}).some(key => name.test(key))
}
