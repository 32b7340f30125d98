import * as yaml from 'yaml'
import { fileError } from '../config/file/documentFile.js'
import { parsedYaml } from '../config/file/parsedYaml.js'
import { valuesFault, yamlFault } from '../config/file/yamlFault.js'

/** A file of data, parsed. */
export interface SourceData {
  readonly value: unknown
  /** Line of the key at the path, 1-based. Undefined for JSON, whose paths say enough. */
  lineOf(path: readonly (string | number)[]): number | undefined
}

/** YAML takes a hundred times its size while it is parsed. */
const MOST_YAML_CHARACTERS = 10 * 2 ** 20

/** Where JSON ends to be JSON. What stands there may be a secret, so that the engine's own words are not repeated. */
function placeIn(text: string, error: unknown): string {
  const [, position] = / at position (\d+)/.exec(String((error as Error).message)) ?? []
  if (position === undefined) return /end of JSON/.test(String((error as Error).message)) ? ': it ends too early' : ''
  return `: see line ${text.slice(0, Number(position)).split('\n').length}`
}

/** Parses JSON, or YAML of bounded size whose aliases do not multiply. `shown` names it. Throws a ConfigError. */
export function sourceData(text: string, shown: string): SourceData {
  const bare = text.replace(/^\uFEFF/, '')
  if (/^\s*[{[]/.test(bare)) {
    try {
      return { value: JSON.parse(bare), lineOf: () => undefined }
    } catch (error) {
      if (/^\s*\{\s*"/.test(bare) || bare.length > MOST_YAML_CHARACTERS) {
        throw fileError(shown, `is not valid JSON${placeIn(bare, error)}`)
      }
    }
  }
  if (bare.length > MOST_YAML_CHARACTERS) {
    throw fileError(
      shown,
      `is YAML of more than ${MOST_YAML_CHARACTERS / 2 ** 20} MiB; import it as JSON, or a part of it`,
    )
  }
  const lines = new yaml.LineCounter()
  const document = parsedYaml(yaml, bare, {
    lineCounter: lines,
    merge: true,
    prettyErrors: false,
    logLevel: 'error',
  })
  // A line of what other tools wrote may hold a secret.
  const parsed = { yaml, document, lines, text: bare, file: shown, showsLine: false }
  const fault = yamlFault(parsed)
  if (fault !== undefined) throw fault
  try {
    const value: unknown = document.toJS({ maxAliasCount: 1_000 })
    return {
      value,
      lineOf(path) {
        for (let keys = [...path]; keys.length > 0; keys = keys.slice(0, -1)) {
          const node = document.getIn(keys, true) as yaml.Node | undefined
          const at = node?.range?.[0] ?? (yaml.isScalar(node) ? node.range?.[0] : undefined)
          if (at !== undefined) return lines.linePos(at).line
        }
        return undefined
      },
    }
  } catch (failure) {
    throw valuesFault(parsed, failure as Error)
  }
}

/** An object of a source, whose members nobody has checked. */
export type Members = Readonly<Record<string, unknown>>

export function isMembers(value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function membersOf(value: unknown): Members {
  return isMembers(value) ? value : {}
}

export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

/** A text that is not empty. */
export function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}

/** A text among an object's own members. */
export function textAt(value: unknown, key: string): string | undefined {
  const found = isMembers(value) && Object.hasOwn(value, key) ? value[key] : undefined
  return typeof found === 'string' ? found : undefined
}
