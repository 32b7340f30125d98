import { access } from 'node:fs/promises'
import type { DraftOptions, PipelineDraft } from '../../import/draft/draftPipeline.js'
import type { DraftAuth } from '../../import/draft/draftYaml.js'
import { ConfigError, RequestError } from '../../model/errors.js'
import { redactUrl } from '../../rest/http/redact.js'
import type { ExitCode } from '../failure.js'
import { printable } from '../terminal/printable.js'
import type { Prompt } from '../terminal/prompt.js'
import type { Output } from '../terminal/terminal.js'
import { writeWhole } from '../writtenFile.js'
import type { CommandContext } from './command.js'

export interface InitCommandOptions {
  readonly url?: string | undefined
  readonly auth?: DraftAuth['type'] | undefined
  readonly authName?: string | undefined
  readonly authLocation?: 'header' | 'query' | 'cookie' | undefined
  readonly username?: string | undefined
  readonly secretName?: string | undefined
  readonly name?: string | undefined
  readonly destination?: string | undefined
  readonly out?: string | undefined
}

/**
 * `sluice init`: requests the first pages of a list and writes a pipeline file from the result. Asks on a terminal for
 * what the flags do not say. Uses the secret for these requests and never writes it.
 */
export async function initCommand(options: InitCommandOptions, context: CommandContext): Promise<ExitCode> {
  const { out, err } = context.terminal
  const { prompt, signal } = context
  const interview = options.url === undefined
  const url = options.url ?? (await askedAddress(prompt, err))
  const auth = await chosenAuth(options, interview ? prompt : undefined)
  const { secretName, name, destination } = options
  const settings = { url, auth, secretName, name, destination, file: options.out, signal }
  if (options.out !== undefined) await refuseExisting(options.out)
  const draft = await draftWithSecret(settings, prompt, err).catch((error: unknown) => {
    if (interview) err.line(printable(`To try again with the same answers: ${asCommand(url, auth, options)}`))
    throw error
  })
  const file = options.out ?? `${draft.name}.yaml`
  await writeWhole(file, draft.text, { replace: false })
  for (const finding of draft.findings) err.line(printable(finding))
  out.line(printable(`${file} is written; \`sluice check ${file}\` tries it, \`sluice run ${file}\` loads.`))
  return 0
}

/** Asks for a secret that is missing or that the API refuses, if somebody can answer. */
async function draftWithSecret(
  settings: DraftOptions,
  prompt: Prompt | undefined,
  output: Output,
): Promise<PipelineDraft> {
  const { draftPipeline } = await import('../../import/draft/draftPipeline.js')
  let secret: string | undefined
  for (;;) {
    try {
      return await draftPipeline({ ...settings, secret })
    } catch (error) {
      const isMissing = error instanceof ConfigError && error.code === 'secret_missing'
      const isRefused = secret !== undefined && error instanceof RequestError && error.status === 401
      if (prompt === undefined || !(isMissing || isRefused)) throw error
      if (isRefused) output.line(printable(error.message))
      const question = 'The secret, for these requests (it is not shown and not written): '
      secret = await prompt.ask(question, { hidden: true })
      if (secret === '') throw error
    }
  }
}

/** Asks until the answer is an address. */
async function askedAddress(prompt: Prompt | undefined, output: Output): Promise<string> {
  const { addressOf } = await import('../../import/draft/address.js')
  const question = 'Address of a list, as in https://api.example.com/v1/orders: '
  for (;;) {
    const answer = prompt === undefined ? await asked(prompt, question, '--url') : await prompt.ask(question)
    try {
      addressOf(answer)
      return answer
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error
      output.line(printable(error.message))
    }
  }
}

/** The answers as flags, without the secret. */
function asCommand(
  url: string,
  auth: DraftAuth | undefined,
  { secretName, name, destination, out }: InitCommandOptions,
): string {
  const flags: (readonly [string, string])[] = [['url', redactUrl(url)]]
  if (auth !== undefined) flags.push(['auth', auth.type])
  if (auth?.type === 'http_basic') flags.push(['username', auth.username])
  if (auth?.type === 'api_key') flags.push(['auth-name', auth.name], ['auth-location', auth.location])
  const given = { 'secret-name': secretName, name, destination, out }
  for (const [flag, value] of Object.entries(given)) if (value !== undefined) flags.push([flag, value])
  return `sluice init ${flags.map(([flag, value]) => `--${flag} '${value.replaceAll("'", "'\\''")}'`).join(' ')}`
}

async function chosenAuth(options: InitCommandOptions, prompt: Prompt | undefined): Promise<DraftAuth | undefined> {
  const type = options.auth ?? (prompt === undefined ? undefined : await askedType(prompt))
  switch (type) {
    case undefined:
      return undefined
    case 'none':
    case 'bearer':
      return { type }
    case 'http_basic': {
      const username = options.username ?? (await asked(prompt, 'User name: ', '--username'))
      return { type, username }
    }
    case 'api_key': {
      const location = options.authLocation ?? (prompt === undefined ? 'header' : await askedLocation(prompt))
      const standard = location === 'header' ? 'X-API-Key' : 'api_key'
      const answered =
        options.authName ??
        (prompt === undefined ? standard : await prompt.ask(`Name of the ${location} [${standard}]: `))
      return { type, location, name: answered === '' ? standard : answered }
    }
  }
}

async function askedType(prompt: Prompt): Promise<DraftAuth['type'] | undefined> {
  return await askedOneOf(prompt, 'Authentication: none, bearer, api_key or http_basic [none]: ', [
    'none',
    'bearer',
    'api_key',
    'http_basic',
  ])
}

async function askedLocation(prompt: Prompt): Promise<'header' | 'query' | 'cookie'> {
  const question = 'Where the key goes: header, query or cookie [header]: '
  return (await askedOneOf(prompt, question, ['header', 'query', 'cookie'])) ?? 'header'
}

/** Asks until the answer is one of the words. Undefined if the answer is empty. */
async function askedOneOf<Word extends string>(
  prompt: Prompt,
  question: string,
  words: readonly Word[],
): Promise<Word | undefined> {
  for (let again = ''; ; again = `It must be one of ${words.join(', ')}. `) {
    const answer = await prompt.ask(again + question)
    if (answer === '') return undefined
    const word = words.find(known => known === answer)
    if (word !== undefined) return word
  }
}

async function asked(prompt: Prompt | undefined, question: string, flag: string): Promise<string> {
  const answer = await prompt?.ask(question)
  if (answer !== undefined && answer !== '') return answer
  throw new ConfigError([{ place: { path: flag }, message: 'is needed' }])
}

/** Before the API is asked: those requests would be wasted. */
async function refuseExisting(file: string): Promise<void> {
  const exists = await access(file).then(
    () => true,
    () => false,
  )
  if (!exists) return
  const message = 'is there already and is not overwritten; name another file with --out'
  throw new ConfigError([{ place: { path: '', file }, message }])
}
