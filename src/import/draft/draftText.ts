import { stringify } from 'yaml'
import { count } from '../../model/verdict.js'
import { documentText, type PlacedComment } from '../documentText.js'
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
  const { name, schema, destination, baseUrl, path, params, selector, auth, secretName, paging, keys, mixed } = found
  const credentials = authKeys(auth, secretName)
  const kept = params.filter(([param]) => !paging.sends.includes(param))
  const [key] = keys
  const resource = {
    name,
    ...(key === undefined ? { write_disposition: 'append' } : { primary_key: key, write_disposition: 'merge' }),
    ...(mixed.length > 0 && { columns: Object.fromEntries(mixed.map(column => [column, { data_type: 'double' }])) }),
    endpoint: {
      path: asTemplate(path),
      ...(kept.length > 0 && { params: requestParams(kept) }),
      data_selector: selector.path,
    },
  }
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
    document: { name, destination, dataset: `${name}_dataset`, source: { client, resources: [resource] } },
    comments: [
      ...authComments(found),
      ...pagingComments(found),
      ...keyComments(found),
      ...columnComments(found),
      at('resources[0].endpoint.data_selector', `Where the records are in the answer: ${selector.why}.`),
      ...cursorComments(found),
    ],
  })
}

function at(target: string, text: string): PlacedComment {
  return { target: `source.${target}`, text }
}

function authComments({ auth, secretName }: DraftFindings): PlacedComment[] {
  if (authKeys(auth, secretName) === undefined) return []
  const name = variable(secretName)
  const places = `the environment variable ${name}, in .env beside this file (${name}=…), or in .sluice/secrets.toml or .dlt/secrets.toml (${secretName} = "…")`
  return [at('client.auth', `The secret is no part of this file; it is looked up as ${places}.`)]
}

function pagingComments({ paging, moved }: DraftFindings): PlacedComment[] {
  const { config, certainty, why, question } = paging
  const left = moved.map(([name]) => name).join(', ')
  return [
    ...(moved.length === 0 ? [] : [`The list is read from its beginning, so ${left} of the address is left out.`]),
    `${certainty.charAt(0).toUpperCase()}${certainty.slice(1)}: ${why}.`,
    ...(question === undefined ? [] : [`Question: ${question}`]),
    ...(config !== undefined ? [] : ['Without a paginator, a run loads what it finds and says `unproven`.']),
  ].map(text => at('client.paginator', text))
}

function keyComments({ keys, compared }: DraftFindings): PlacedComment[] {
  const [key, ...others] = keys
  if (key === undefined) {
    const advice = 'No field was different in every record. With a primary_key, `merge` replaces rows that changed.'
    return [at('resources[0].write_disposition', advice)]
  }
  const also = others.length === 0 ? '' : ` So ${others.length === 1 ? 'was' : 'were'} ${others.join(', ')}.`
  return [at('resources[0].primary_key', `Different in each of the ${compared} records.${also}`)]
}

function columnComments({ mixed }: DraftFindings): PlacedComment[] {
  const advice = 'Whole numbers and fractions came. Where every digit counts, as with money, take `decimal`.'
  return mixed.length === 0 ? [] : [at('resources[0].columns', advice)]
}

function cursorComments({ cursors }: DraftFindings): PlacedComment[] {
  const [cursor, ...others] = cursors
  if (cursor === undefined) return []
  const also = others.length === 0 ? '' : ` (or ${others.map(({ path }) => path).join(', ')})`
  const keys = { incremental: { cursor_path: cursor.path, initial_value: cursor.least, start_param: 'since' } }
  return [
    `To load only what is new, take the comments off${also}.`,
    '`since` is a guess: write the name that the documentation of the API has for it.',
    stringify(keys, { lineWidth: 0, version: '1.1' }).trimEnd(),
  ].map(text => at('resources[0].endpoint.incremental', text))
}
