import { dirname, resolve } from 'node:path'
import { processEnvironment } from '../../config/lookup/environment.js'
import { withEnvFile, withGivenVariable } from '../../config/lookup/secretFiles.js'
import { schemaAddress } from '../../config/projectFolder.js'
import { DataError, RequestError } from '../../model/errors.js'
import { count } from '../../model/verdict.js'
import { mixedName, mixedNumbers } from '../../schema/mixedNumbers.js'
import { addressOf, fromTheBeginning, type Param, positionKind } from './address.js'
import { askPage, type DraftAnswer, type DraftContext, type DraftList } from './answer.js'
import type { FirstPage } from './candidates.js'
import type { DraftOptions, PipelineDraft } from './draftOptions.js'
import { type DraftFindings, draftText, type ListFindings } from './draftText.js'
import { authKeys, type DraftAuth, secretField, variable } from './draftYaml.js'
import { findPaging } from './findPaging.js'
import { candidateCursors, candidateKeys } from './guesses.js'

/** What `draftPipeline` promises, for options that are checked. */
export async function drafted(options: DraftOptions): Promise<PipelineDraft> {
  const { params: sent, list, context, auth, secretName } = listOf(options)
  const { name, baseUrl } = list
  const destination = options.destination ?? `duckdb:${name}.duckdb`
  const found = await listFindings(sent, list, context)
  const schema = schemaAddress(context.folder).address
  const findings: DraftFindings = { ...found, baseUrl, auth, secretName, schema, destination }
  return {
    name,
    text: draftText(findings),
    findings: summary(found),
    secretName: secretField(auth) === undefined ? undefined : secretName,
    destination,
  }
}

/** Requests the first pages of a list, and says what they show. */
export async function listFindings(
  sent: readonly Param[],
  list: DraftList,
  context: DraftContext,
): Promise<ListFindings> {
  const { name, path } = list
  const first = await firstPage(sent, list, context)
  const { answer, params, moved } = first
  if (answer.records.length === 0) {
    throw new DataError('selector', 'The answer has no objects in a list: give the address of a list that has some')
  }
  const paging = await findPaging(first, question => askPage(list, question, context), context.signal)
  const records = [...answer.records, ...paging.more]
  return {
    name,
    path,
    params,
    moved,
    records: answer.records.length,
    compared: records.length,
    selector: answer.selector,
    paging,
    keys: candidateKeys(records, name),
    mixed: mixedNumbers(records),
    cursors: candidateCursors(records),
  }
}

/**
 * Asks once for the list without credentials, or with those in its address. Returns whether the API wants others.
 * Rejects like `draftPipeline` where the answer is no list.
 */
export async function wantsCredentials(options: DraftOptions): Promise<boolean> {
  const { params, list, context } = listOf(options)
  try {
    await askPage(list, { params, paginator: { type: 'single_page' }, once: true }, context)
    return false
  } catch (error) {
    if (error instanceof RequestError && (error.status === 401 || error.status === 403)) return true
    throw error
  }
}

function listOf(options: DraftOptions): {
  readonly params: readonly Param[]
  readonly list: DraftList
  readonly context: DraftContext
  readonly auth: DraftAuth
  readonly secretName: string
} {
  const { cwd = process.cwd(), signal = new AbortController().signal } = options
  const address = addressOf(options.url)
  const auth = options.auth ?? address.auth ?? { type: 'none' as const }
  const secretName = options.secretName ?? secretField(auth) ?? ''
  const secret = options.secret ?? address.secret
  const name = options.name ?? address.name
  const folder = dirname(resolve(cwd, options.file ?? `${name}.yaml`))
  // A run of the file warns of a `.env` that others can read.
  const env = withEnvFile(options.env ?? processEnvironment(), folder, () => {})
  return {
    params: address.params,
    auth,
    secretName,
    list: {
      name,
      baseUrl: address.baseUrl,
      path: address.path,
      client: { base_url: address.baseUrl, auth: authKeys(auth, secretName) ?? null },
    },
    context: {
      env: secret === undefined ? env : withGivenVariable(env, variable(secretName), secret),
      cwd,
      folder,
      pipeline: name,
      signal,
    },
  }
}

/** The list from its start, even if the address is that of a later page. */
async function firstPage(sent: readonly Param[], list: DraftList, context: DraftContext): Promise<FirstPage> {
  const { params, moved } = fromTheBeginning(sent)
  try {
    return { answer: await pageOne(params, list, context), params, moved }
  } catch (error) {
    const isRefused = error instanceof RequestError && (error.status === 400 || error.status === 422)
    if (moved.length === 0 || !isRefused) throw error
    // Some APIs require the number of a page.
    const first = sent.flatMap(([name, value]): Param[] => {
      switch (positionKind([name, value], sent)) {
        case 'page':
          return [[name, '1']]
        case 'offset':
          return [[name, '0']]
        case 'cursor':
          return []
        default:
          return [[name, value]]
      }
    })
    return { answer: await pageOne(first, list, context), params: first, moved }
  }
}

async function pageOne(params: readonly Param[], list: DraftList, context: DraftContext): Promise<DraftAnswer> {
  const answer = await askPage(list, { params, paginator: { type: 'single_page' } }, context)
  if (answer !== undefined) return answer
  throw new DataError('selector', 'The answer has no content: give the address of a list that has some')
}

/** The findings for a person, one line each. */
export function summary({ records, selector, paging, keys, mixed, cursors, moved }: ListFindings): string[] {
  const { config, certainty, why, question } = paging
  const [key] = keys
  return [
    `${count(records, 'record')} on the first page`,
    ...(moved.length === 0
      ? []
      : [`the list is read from its beginning, without ${moved.map(([name]) => name).join(', ')}`]),
    `data_selector ${selector.path}: ${selector.why}`,
    `paginator${config === undefined ? '' : ` ${config.type}`}: ${certainty}; ${why}`,
    ...(question === undefined ? [] : [`question: ${question}`]),
    key === undefined ? 'no primary key was found' : `primary_key ${key}: different in every record`,
    ...(mixed.length === 0 ? [] : [`whole numbers and fractions, so double: ${mixed.map(mixedName).join(', ')}`]),
    cursors.length === 0 ? 'no cursor was found' : `cursor candidates: ${cursors.map(({ path }) => path).join(', ')}`,
  ]
}
