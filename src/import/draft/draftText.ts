import { stringify } from 'yaml'
import { count } from '../../model/verdict.js'
import { doubleHints, type MixedColumn } from '../../schema/mixedNumbers.js'
import { documentText, type PlacedComment } from '../document/documentText.js'
import { asTemplate, authKeys, type DraftAuth, requestParams, variable } from './draftYaml.js'
import type { PagingFinding } from './findPaging.js'
import type { CursorCandidate } from './guesses.js'

/** What the answers show of one list. */
export interface ListFindings {
  readonly name: string
  readonly path: string
  readonly params: readonly (readonly [string, string])[]
  /** Positions in the address that the draft omits. */
  readonly moved: readonly (readonly [string, string])[]
  /** On the first page. */
  readonly records: number
  /** On all pages seen. */
  readonly compared: number
  readonly selector: { readonly path: string; readonly why: string }
  readonly paging: PagingFinding
  readonly keys: readonly string[]
  readonly mixed: readonly MixedColumn[]
  readonly cursors: readonly CursorCandidate[]
}

/** Everything that a draft contains. */
export interface DraftFindings extends ListFindings {
  /** Where an editor finds the JSON Schema. */
  readonly schema: string
  readonly destination: string
  readonly baseUrl: string
  readonly auth: DraftAuth
  readonly secretName: string
}

/** The pipeline file in YAML. Comments say what was found and why. */
export function draftText(found: DraftFindings): string {
  const { name, schema, destination, baseUrl, auth, secretName, paging } = found
  const credentials = authKeys(auth, secretName)
  const client = {
    base_url: baseUrl.replace(/\$(?=\{(secrets|env)\.)/g, '$$$$'),
    ...(credentials !== undefined && { auth: credentials }),
    ...(paging.config !== undefined && { paginator: paging.config }),
  }
  return documentText({
    schema,
    head: [
      `Drafted by \`sluice init\` from ${count(found.compared, 'record')}. \`sluice plan\` says what it would ask.`,
    ],
    document: { name, destination, dataset: `${name}_dataset`, source: { client, resources: [resourceOf(found)] } },
    comments: [
      ...authComments(found),
      ...pagingTexts(found).map(text => at('source.client.paginator', text)),
      ...resourceComments(found, 'source.resources[0]'),
    ],
  })
}

/**
 * The list as one more resource of a file. Its paginator stands with it, unless it is `inherited`: the same as that of
 * the other lists, which the file has in one place.
 */
export function addedResource(
  found: ListFindings,
  inherited: boolean,
): { readonly resource: object; readonly comments: readonly PlacedComment[] } {
  const resource = resourceOf(found)
  const { config } = found.paging
  const isOwn = config !== undefined && !inherited
  return {
    resource: isOwn ? { ...resource, endpoint: { ...resource.endpoint, paginator: config } } : resource,
    comments: [
      ...pagingTexts(found).map(text => at('[0].endpoint.paginator', text)),
      ...(inherited ? [at('[0].endpoint.paginator', 'The paginator is that of the other lists.')] : []),
      ...resourceComments(found, '[0]'),
    ],
  }
}

function resourceOf({ name, path, params, selector, paging, keys, mixed }: ListFindings) {
  const kept = params.filter(([param]) => !paging.sends.includes(param))
  const [key] = keys
  return {
    name,
    ...(key === undefined ? { write_disposition: 'append' } : { primary_key: key, write_disposition: 'merge' }),
    ...doubleHints(mixed),
    endpoint: {
      path: asTemplate(path),
      ...(kept.length > 0 && { params: requestParams(kept) }),
      data_selector: selector.path,
    },
  }
}

function resourceComments(found: ListFindings, resource: string): PlacedComment[] {
  return [
    ...keyComments(found, resource),
    ...columnComments(found, resource),
    at(`${resource}.endpoint.data_selector`, `Where the records are in the answer: ${found.selector.why}.`),
    ...cursorComments(found, resource),
  ]
}

function at(target: string, text: string): PlacedComment {
  return { target, text }
}

function authComments({ auth, secretName }: DraftFindings): PlacedComment[] {
  if (authKeys(auth, secretName) === undefined) return []
  const name = variable(secretName)
  const places = `the environment variable ${name}, in .env beside this file (${name}=…), or in .sluice/secrets.toml or .dlt/secrets.toml (${secretName} = "…")`
  return [at('source.client.auth', `The secret is no part of this file; it is looked up as ${places}.`)]
}

/** In a draft whose pages could not be found. */
export const NO_PAGINATOR = 'Without a paginator, a run reads only this page, and its receipt says so.'

function pagingTexts({ paging, moved }: ListFindings): string[] {
  const { config, certainty, why, question } = paging
  const left = moved.map(([name]) => name).join(', ')
  return [
    ...(moved.length === 0 ? [] : [`The list is read from its beginning, so ${left} of the address is left out.`]),
    `${certainty.charAt(0).toUpperCase()}${certainty.slice(1)}: ${why}.`,
    ...(question === undefined ? [] : [`Question: ${question}`]),
    ...(config !== undefined ? [] : [NO_PAGINATOR]),
  ]
}

function keyComments({ keys, compared }: ListFindings, resource: string): PlacedComment[] {
  const [key, ...others] = keys
  if (key === undefined) {
    const advice = 'No field was different in every record. With a primary_key, `merge` replaces rows that changed.'
    return [at(`${resource}.write_disposition`, advice)]
  }
  const also = others.length === 0 ? '' : ` So ${others.length === 1 ? 'was' : 'were'} ${others.join(', ')}.`
  return [at(`${resource}.primary_key`, `Different in each of the ${compared} records.${also}`)]
}

function columnComments({ mixed }: ListFindings, resource: string): PlacedComment[] {
  const advice = 'Whole numbers and fractions came. For money, take `{ data_type: decimal, precision: 18, scale: 2 }`.'
  if (mixed.length === 0) return []
  return [at(`${resource}.${mixed.some(({ list }) => list === undefined) ? 'columns' : 'nested_hints'}`, advice)]
}

function cursorComments({ cursors }: ListFindings, resource: string): PlacedComment[] {
  const [cursor, ...others] = cursors
  if (cursor === undefined) return []
  const also = others.length === 0 ? '' : ` (or ${others.map(({ path }) => path).join(', ')})`
  const keys = { incremental: { cursor_path: cursor.path, initial_value: cursor.least, start_param: 'since' } }
  return [
    `To load only what is new, take the comments off${also}.`,
    '`since` is a guess: write the name that the documentation of the API has for it.',
    stringify(keys, { lineWidth: 0, version: '1.1' }).trimEnd(),
  ].map(text => at(`${resource}.endpoint.incremental`, text))
}
