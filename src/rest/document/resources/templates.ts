import { numberLiteral } from '../../../json/value.js'
import { Secret } from '../../../model/secrets/secret.js'
import { parseReference, parseTemplate } from '../../request/placeholders.js'
import type { Template, ValueTemplate } from '../model.js'
import type { Problems, PropertyPath } from '../problems.js'

/** A parent that a placeholder needs. */
export interface ParentMention {
  readonly parent: string
  /** JSONPath in its record. */
  readonly field: string
  readonly at: PropertyPath
}

/** Reads the placeholders of one endpoint and remembers the parents they name. */
export class TemplateReader {
  readonly mentions: ParentMention[] = []
  /** Whether a placeholder stands for the start of the window. */
  hasStart = false
  /** Whether a placeholder stands for the end of the window. */
  hasEnd = false
  readonly #problems: Problems
  readonly #incremental: boolean

  constructor(problems: Problems, incremental: boolean) {
    this.#problems = problems
    this.#incremental = incremental
  }

  /** `bind` returns the value for a plain `{name}`, or undefined after it has reported a problem. */
  text(text: string, at: PropertyPath, bind?: (name: string) => Template | undefined): Template {
    let parts: Template
    try {
      parts = parseTemplate(text)
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error
      this.#problems.add(at, error.message)
      return []
    }
    return parts.flatMap(part => (typeof part === 'string' ? [part] : this.#reference(part.expression, at, bind)))
  }

  /** A JSON value whose strings and keys may hold placeholders. `literal` is the document's spelling of a number. */
  value(value: unknown, at: PropertyPath, literal?: string): ValueTemplate {
    if (typeof value === 'string') return { kind: 'text', template: this.text(value, at) }
    if (value === null || typeof value === 'boolean') return { kind: 'literal', value }
    if (typeof value === 'bigint' || (typeof value === 'number' && Number.isFinite(value))) {
      return literal === undefined ? { kind: 'literal', value } : { kind: 'literal', value, literal }
    }
    if (Array.isArray(value)) {
      const items = value.map((item, index) => this.value(item ?? null, [...at, index], numberLiteral(value, index)))
      return { kind: 'list', items }
    }
    if (isPlainObject(value)) {
      const present = Object.entries(value).filter(([, item]) => item !== undefined)
      const entries = present.map(([key, item]) => ({
        key: this.text(key, [...at, key]),
        value: this.value(item, [...at, key], numberLiteral(value, key)),
      }))
      return { kind: 'object', entries }
    }
    this.#problems.add(at, notJson(value))
    return { kind: 'literal', value: null }
  }

  mention(parent: string, field: string, at: PropertyPath): void {
    this.mentions.push({ parent, field, at })
  }

  #reference(
    expression: string,
    at: PropertyPath,
    bind: ((name: string) => Template | undefined) | undefined,
  ): Template {
    try {
      const reference = parseReference(expression)
      if (reference.context === 'name') {
        if (bind !== undefined) return bind(reference.name) ?? []
        this.#problems.add(
          at,
          `\`{${expression}}\` must start with \`resources.\` or \`incremental.\`; a literal brace is doubled, \`{{\``,
        )
        return []
      }
      if (reference.context === 'resources') this.mention(reference.parent, reference.field, at)
      if (reference.context === 'incremental' && !this.#incremental) {
        this.#problems.add(at, `\`{${expression}}\` needs \`incremental\` in the endpoint`)
      }
      if (reference.context === 'incremental' && reference.attribute === 'end_value') this.hasEnd = true
      else if (reference.context === 'incremental') this.hasStart = true
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error
      this.#problems.add(at, error.message)
    }
    return [{ expression }]
  }
}

/** What is wrong with a value that is not JSON. */
export function notJson(value: unknown): string {
  return value instanceof Secret
    ? 'a secret may stand only in `auth`, `headers` and `params`, and as a member of a map in `json` or `data`'
    : 'expected a JSON value: text, a number, a boolean, null, a list or a map'
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype
}
