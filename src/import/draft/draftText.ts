import { stringify } from 'yaml'
import { asTemplate, authKeys, type DraftAuth, requestParams, variable } from './draftYaml.js'
import type { PagingFinding } from './findPaging.js'
import type { CursorCandidate } from './guesses.js'

/** Everything that a draft contains. */
export interface DraftFindings {
  readonly name: string
  /** Where an editor finds the JSON Schema. */
  readonly schema: string
  readonly destination: string
  readonly baseUrl: string
  readonly path: string
  readonly params: readonly (readonly [string, string])[]
  readonly auth: DraftAuth
  readonly secretName: string
  /** Positions in the address that the draft omits. */
  readonly moved: readonly (readonly [string, string])[]
  /** On the first page. */
  readonly records: number
  /** On all pages seen. */
  readonly compared: number
  readonly selector: { readonly path: string; readonly why: string }
  readonly paging: PagingFinding
  readonly keys: readonly string[]
  /** Keys with whole numbers and fractions. */
  readonly mixed: readonly string[]
  readonly cursors: readonly CursorCandidate[]
}

/** The pipeline file in YAML. Comments say what was found and why. */
export function draftText(found: DraftFindings): string {
  const { name, schema, destination, baseUrl, path, selector } = found
  return [
    `# yaml-language-server: $schema=${schema}`,
    `# Drafted by \`sluice init\` from ${found.compared} records. \`sluice plan\` says what it would ask.`,
    yaml({ name, destination, dataset: `${name}_dataset` }),
    '',
    'source:',
    '  client:',
    yaml({ base_url: baseUrl.replace(/\$(?=\{(secrets|env)\.)/g, '$$$$') }, 4),
    ...authLines(found),
    ...pagingLines(found),
    '',
    '  resources:',
    yaml({ name }, 6).replace('      name', '    - name'),
    ...keyLines(found),
    ...columnLines(found),
    '      endpoint:',
    yaml({ path: asTemplate(path) }, 8),
    ...paramLines(found),
    ...comment(`Where the records are in the answer: ${selector.why}.`, 8),
    yaml({ data_selector: selector.path }, 8),
    ...cursorLines(found),
    '',
  ].join('\n')
}

function authLines({ auth, secretName }: DraftFindings): string[] {
  const keys = authKeys(auth, secretName)
  if (keys === undefined) return []
  const places = `the environment variable ${variable(secretName)}, .sluice/secrets.toml or .dlt/secrets.toml (${secretName})`
  return [...comment(`The secret is no part of this file; it is looked up in ${places}.`, 4), yaml({ auth: keys }, 4)]
}

function pagingLines({ paging, moved }: DraftFindings): string[] {
  const { config, certainty, why, question } = paging
  const left = moved.map(([name]) => name).join(', ')
  const lines = [
    ...(moved.length === 0
      ? []
      : comment(`The list is read from its beginning, so ${left} of the address is left out.`, 4)),
    ...comment(`${certainty.charAt(0).toUpperCase()}${certainty.slice(1)}: ${why}.`, 4),
    ...(question === undefined ? [] : comment(`Question: ${question}`, 4)),
  ]
  if (config !== undefined) return [...lines, yaml({ paginator: config }, 4)]
  return [...lines, ...comment('Without a paginator, a run loads what it finds and says `unproven`.', 4)]
}

function keyLines({ keys, compared }: DraftFindings): string[] {
  const [key, ...others] = keys
  if (key === undefined) {
    return [
      ...comment('No field was different in every record. With a primary_key, `merge` replaces rows that changed.', 6),
      yaml({ write_disposition: 'append' }, 6),
    ]
  }
  const also = others.length === 0 ? '' : ` So ${others.length === 1 ? 'was' : 'were'} ${others.join(', ')}.`
  return [
    ...comment(`Different in each of the ${compared} records.${also}`, 6),
    yaml({ primary_key: key, write_disposition: 'merge' }, 6),
  ]
}

function columnLines({ mixed }: DraftFindings): string[] {
  if (mixed.length === 0) return []
  return [
    ...comment('Whole numbers and fractions came. Where every digit counts, as with money, take `decimal`.', 6),
    yaml({ columns: Object.fromEntries(mixed.map(key => [key, { data_type: 'double' }])) }, 6),
  ]
}

function paramLines({ params, paging }: DraftFindings): string[] {
  const kept = params.filter(([name]) => !paging.sends.includes(name))
  return kept.length === 0 ? [] : [yaml({ params: requestParams(kept) }, 8)]
}

function cursorLines({ cursors }: DraftFindings): string[] {
  const [cursor, ...others] = cursors
  if (cursor === undefined) return []
  const also = others.length === 0 ? '' : ` (or ${others.map(({ path }) => path).join(', ')})`
  return [
    ...comment(`To load only what is new, take the comments off${also}.`, 8),
    ...comment('`since` is a guess: write the name that the documentation of the API has for it.', 8),
    ...comment(
      yaml({ incremental: { cursor_path: cursor.path, initial_value: cursor.least, start_param: 'since' } }),
      8,
    ),
  ]
}

/** Lines of YAML, indented by `indent` spaces, without the last line feed. */
function yaml(value: object, indent = 0): string {
  const text = stringify(value, { lineWidth: 0, version: '1.1' }).trimEnd()
  return text.replace(/^(?=.)/gm, ' '.repeat(indent))
}

function comment(text: string, indent: number): string[] {
  return text.split('\n').map(line => `${' '.repeat(indent)}# ${line}`)
}
