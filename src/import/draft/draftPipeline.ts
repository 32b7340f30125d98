import {
  abortSignal,
  anything,
  checkOptions,
  environment,
  isObject,
  needed,
  optionKind,
  optionsOf,
  path,
  secretText,
  text,
} from '../../model/optionKinds.js'
import type { DraftOptions, PipelineDraft } from './draftOptions.js'

const forDraft = optionsOf<DraftOptions>('options of draftPipeline()', {
  // The address is checked with its parts.
  url: anything,
  auth: optionKind('an object with `type`', value => isObject(value) && 'type' in value),
  secretName: text,
  secret: secretText,
  name: text,
  destination: text,
  file: path,
  env: environment,
  cwd: path,
  signal: abortSignal,
})

/**
 * Drafts a pipeline file for one list of an API. Uses its address, one page, and a few requests for the next page to
 * find selector, paginator, primary key and cursor candidates. Sends the requests of a run and writes nothing. Rejects
 * with a ConfigError if the secret is missing (`secret_missing`), and with a RequestError if the first page fails. Page
 * 2 may be missing.
 *
 * @example
 * ```ts
 * import { writeFile } from 'node:fs/promises'
 * import { draftPipeline } from 'sluice'
 *
 * const { name, text, findings } = await draftPipeline({ url: 'https://api.example.com/shops' })
 * await writeFile(`${name}.yaml`, text)
 * console.log(findings.join('\n'))
 * ```
 */
export async function draftPipeline(options: DraftOptions): Promise<PipelineDraft> {
  checkOptions(needed(forDraft), options)
  const { drafted } = await import('./drafting.js')
  return drafted(options)
}
