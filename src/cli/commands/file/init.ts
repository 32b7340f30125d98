import { access, readFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { addressOf } from '../../../import/draft/address.js'
import type { DraftOptions, PipelineDraft } from '../../../import/draft/draftOptions.js'
import type { DraftAuth } from '../../../import/draft/draftYaml.js'
import { AbortError, ConfigError, DataError, RequestError, type SluiceError } from '../../../model/errors.js'
import { redactUrl } from '../../../rest/http/redact.js'
import type { ExitCode } from '../../failure.js'
import { printable } from '../../terminal/printable.js'
import { NoAnswer, type Prompt } from '../../terminal/prompt.js'
import { inQuotes, shellWord } from '../../terminal/shellWord.js'
import { tell } from '../../terminal/tell.js'
import type { Output } from '../../terminal/terminal.js'
import { writeWhole } from '../../writtenFile.js'
import type { CommandContext } from '../command.js'

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
  /** False: `--no-prove`. */
  readonly prove?: boolean | undefined
}

/**
 * `sluice init`: requests the first pages of a list, writes a pipeline file from the result, and proves it. Asks on a
 * terminal for what the flags do not say. Uses the secret for these requests, and keeps it in the file of secrets only if
 * that person wants it. 3 if the proof shows something wrong that it cannot mend.
 */
export async function initCommand(options: InitCommandOptions, context: CommandContext): Promise<ExitCode> {
  const { out, err } = context.terminal
  if (options.out !== undefined && (await exists(options.out))) refuseExisting(options.out)
  const { draft, file, isTyped, secret } = await drafted(options, context)
  await writeWhole(file, draft.text, { replace: false })
  for (const finding of draft.findings) tell(err, printable(finding))
  const { prepareFolder, schemaAddress } = await import('../../../config/projectFolder.js')
  const folder = dirname(resolve(file))
  const { secrets, written, failed } = await prepareFolder(
    folder,
    draft.secretName === undefined ? [] : [draft.secretName],
  )
  for (const failure of failed) tell(err, printable(`warning: ${failure}`))
  const isProving = options.prove !== false && (options.url !== undefined || (await wantsProof(context)))
  const exitCode = isProving ? await proven(file, draft, secret, context) : 0
  tell(out, printable(`${[file, ...written].join(', ')} ${written.length === 0 ? 'is' : 'are'} written. Next:`))
  const isToKeep = draft.secretName !== undefined && isTyped
  if (isToKeep && !(await keptSecret({ name: draft.secretName, secret, place: secrets }, options, context))) {
    const { variable } = await import('../../../import/draft/draftYaml.js')
    const name = draft.secretName
    tell(out, printable(`  write ${name} = "…" into ${secrets}, or set the variable ${variable(name)}, in .env too`))
  }
  const command = schemaAddress(folder).isInstalled ? 'npx sluice' : context.typedAs
  const isOpen = await lacksPaginator(file)
  if (isOpen) tell(out, printable(`  write a \`paginator\` into ${file}: a comment there says what was tried`))
  const steps = [
    ...(exitCode === 0 && isProving && !isOpen
      ? []
      : [[`${command} prove ${shellWord(file)} --write`, 'asks the API whether it is right, and fixes it'] as const]),
    [`${command} run ${shellWord(file)}`, `loads into ${redactUrl(draft.destination)}`],
  ] as const
  const width = Math.max(...steps.map(([step]) => step.length))
  for (const [step, does] of steps) tell(out, printable(`  ${step.padEnd(width)}   ${does}`), width + 5)
  tell(out, printable(`For another list of this API: ${command} init --add ${shellWord(file)} --url ADDRESS`))
  return exitCode === 3 ? 3 : 0
}

/** Asks whoever answered the other questions whether to keep the secret. */
async function keptSecret(
  { name, secret, place }: { readonly name: string; readonly secret: string | undefined; readonly place: string },
  { url }: InitCommandOptions,
  { prompt }: CommandContext,
): Promise<boolean> {
  if (prompt === undefined || url !== undefined || secret === undefined) return false
  const question = `Keep the secret in ${printable(place)}, which only you may read? yes or no [yes]: `
  if ((await askedOneOf(prompt, question, ['yes', 'no'])) === 'no') return false
  const { keepSecret } = await import('../../../config/projectFolder.js')
  return await keepSecret(resolve(place), name, secret)
}

/** Whether the file says that no way to the next page was found. */
async function lacksPaginator(file: string): Promise<boolean> {
  const { NO_PAGINATOR } = await import('../../../import/draft/draftText.js')
  return (await readFile(file, 'utf8')).includes(NO_PAGINATOR)
}

/** Asks on a terminal whether to ask the API more. */
export async function wantsProof({ prompt }: CommandContext): Promise<boolean> {
  const question = 'Prove it now? That sends at most 12 requests, and loads nothing. yes or no [yes]: '
  return prompt === undefined || (await askedOneOf(prompt, question, ['yes', 'no'])) !== 'no'
}

/** Proves and mends the file. The secret may be nowhere but in the address, or with whoever typed it. */
async function proven(
  file: string,
  { secretName }: PipelineDraft,
  secret: string | undefined,
  context: CommandContext,
): Promise<ExitCode> {
  const [{ proveCommand }, { processEnvironment }, { variable }] = await Promise.all([
    import('./prove.js'),
    import('../../../config/lookup/environment.js'),
    import('../../../import/draft/draftYaml.js'),
  ])
  const own = secret === undefined || secretName === undefined ? {} : { [variable(secretName)]: secret }
  return await proveCommand(file, { write: true, env: { ...processEnvironment(), ...own } }, context)
}

interface Drafted {
  readonly draft: PipelineDraft
  readonly file: string
  /** Whether nobody will find the secret in a later run. */
  readonly isTyped: boolean
  /** As it was typed, or as the address has it. */
  readonly secret: string | undefined
}

async function drafted(options: InitCommandOptions, context: CommandContext): Promise<Drafted> {
  const { prompt, signal } = context
  try {
    if (options.url === undefined && prompt !== undefined) return await interview(options, prompt, context)
    const url = options.url ?? missingFlag('--url')
    const auth = await chosenAuth(options, undefined)
    const file = options.out ?? `${options.name ?? addressOf(url).name}.yaml`
    // Before the API is asked: its answers would be wasted.
    if (await exists(file)) refuseExisting(file)
    return { ...(await draftWithSecret({ ...settingsOf(options, signal), url, auth }, prompt, context)), file }
  } catch (error) {
    // Whoever stops it does not want to read that it failed.
    if (error instanceof AbortError) throw new NoAnswer('stopped; nothing was written')
    const isOpen = (options.auth ?? 'none') === 'none'
    throw prompt === undefined && isOpen && isUnauthorized(error) ? withFlags(error) : error
  }
}

/** The refusal of an API, with what to type: there is no file yet whose `auth` could be mended. */
function withFlags(error: RequestError): RequestError {
  const advice =
    'Here that is a flag: --auth bearer (the token in the variable TOKEN), --auth api_key (the key in API_KEY; --auth-name for another header than X-API-Key) or --auth http_basic (--username, the password in PASSWORD)'
  return new RequestError('http_status', `${error.message}. ${advice}`, error)
}

const INTRODUCTION =
  'This writes a pipeline file for one list of an API. It asks for the address and the credentials, requests the first ' +
  'pages, and finds the records, the pages and the key. Nothing is loaded yet. Ctrl-C ends it.'

/** Asks one thing after the other, and asks again for whatever the API does not take. Other answers are kept. */
async function interview(options: InitCommandOptions, prompt: Prompt, context: CommandContext): Promise<Drafted> {
  const { err } = context.terminal
  tell(err, INTRODUCTION, 0)
  const settings = settingsOf(options, context.signal)
  let { url, wants } = await checkedAddress(settings, prompt, err)
  let auth: DraftAuth | undefined
  const fileFor = async (list: string) =>
    options.out ?? (await freeFile(options.name ?? addressOf(list).name, prompt, err))
  try {
    let file = await fileFor(url)
    auth = await chosenAuth(options, prompt, wants)
    for (;;) {
      try {
        return { ...(await draftWithSecret({ ...settings, file, url, auth }, prompt, context)), file }
      } catch (error) {
        if (error instanceof NoSecret) auth = await chosenAuth(options, prompt, wants)
        else if (options.auth === undefined && hasNoAuth(auth) && isUnauthorized(error)) {
          wants = true
          tell(err, printable(error.message))
          auth = await chosenAuth(options, prompt, wants)
        } else if (isRefusal(error)) {
          tell(err, printable(error.message))
          const kept = url
          url = await askedAddress(prompt, err, kept)
          if (url !== kept) file = await fileFor(url)
        } else throw error
      }
    }
  } catch (error) {
    err.line(printable(`To try again with the same answers: ${context.typedAs} ${asCommand(url, auth, options)}`))
    throw error
  }
}

function settingsOf({ secretName, name, destination, out }: InitCommandOptions, signal: AbortSignal) {
  return { secretName, name, destination, file: out, signal }
}

function hasNoAuth(auth: DraftAuth | undefined): boolean {
  return auth === undefined || auth.type === 'none'
}

/** Whether the API refused something that another address may mend. */
export function isRefusal(error: unknown): error is SluiceError {
  return error instanceof RequestError || error instanceof DataError
}

/** Nobody typed a secret where one was asked for. */
class NoSecret extends Error {}

/** Asks for a secret that is missing or that the API refuses, if somebody can answer. */
async function draftWithSecret(
  settings: DraftOptions,
  prompt: Prompt | undefined,
  { terminal }: CommandContext,
): Promise<Omit<Drafted, 'file'>> {
  const { draftPipeline } = await import('../../../import/draft/draftPipeline.js')
  const key = addressOf(settings.url).secret
  let secret: string | undefined
  for (;;) {
    try {
      const draft = await draftPipeline({ ...settings, secret })
      return { draft, isTyped: secret !== undefined || key !== undefined, secret: secret ?? key }
    } catch (error) {
      const isMissing = error instanceof ConfigError && error.code === 'secret_missing'
      const isRefused = settings.auth !== undefined && settings.auth.type !== 'none' && isUnauthorized(error)
      if (prompt === undefined || !(isMissing || isRefused)) throw error
      if (isRefused) tell(terminal.err, printable(error.message))
      const question = `The secret${isRefused ? ' again' : ''}, for these requests (it is not shown): `
      secret = await prompt.ask(question, { hidden: true })
      if (secret === '') throw settings.auth === undefined ? error : new NoSecret()
    }
  }
}

function isUnauthorized(error: unknown): error is RequestError {
  return error instanceof RequestError && (error.status === 401 || error.status === 403)
}

/** Asks for an address until the API answers there with a list or wants credentials, or the person keeps it. */
async function checkedAddress(
  settings: Omit<DraftOptions, 'url'>,
  prompt: Prompt,
  output: Output,
): Promise<{ readonly url: string; readonly wants: boolean }> {
  const { wantsCredentials } = await import('../../../import/draft/drafting.js')
  let refused: string | undefined
  for (;;) {
    const url = await askedAddress(prompt, output, refused)
    if (url === refused) return { url, wants: false }
    try {
      const wants = await wantsCredentials({ ...settings, url })
      output.line(wants ? 'The API wants credentials.' : 'The API answers.')
      return { url, wants }
    } catch (error) {
      if (!isRefusal(error)) throw error
      tell(output, printable(error.message))
      refused = url
    }
  }
}

/** Asks until the answer is an address. Nothing as the answer means `standard`. */
async function askedAddress(prompt: Prompt, output: Output, standard?: string): Promise<string> {
  const question =
    standard === undefined
      ? 'Address of a list, as in https://api.example.com/v1/orders: '
      : `Another address, or Enter to keep ${printable(redactUrl(standard))}: `
  for (;;) {
    const answer = await prompt.ask(question)
    if (answer === '' && standard !== undefined) return standard
    try {
      addressOf(answer)
      return answer
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error
      tell(output, printable(error.message.replace('--url: ', '')))
    }
  }
}

/** The file of this name, or another where it is there. */
async function freeFile(name: string, prompt: Prompt, output: Output): Promise<string> {
  for (let file = `${name}.yaml`; ; ) {
    if (!(await exists(file))) return file
    tell(output, printable(`${file} exists already and is not overwritten.`))
    const answer = await prompt.ask('Another file: ')
    if (answer !== '') file = answer
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
  return `init ${flags.map(([flag, value]) => `--${flag} ${inQuotes(value)}`).join(' ')}`
}

/** `wants`: the API refused a request without credentials. */
async function chosenAuth(
  options: InitCommandOptions,
  prompt: Prompt | undefined,
  wants = false,
): Promise<DraftAuth | undefined> {
  const type = options.auth ?? (prompt === undefined ? undefined : await askedType(prompt, wants))
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
        (prompt === undefined
          ? standard
          : await prompt.ask(`Name of the ${location === 'query' ? 'query parameter' : location} [${standard}]: `))
      return { type, location, name: answered === '' ? standard : answered }
    }
  }
}

async function askedType(prompt: Prompt, wants: boolean): Promise<DraftAuth['type'] | undefined> {
  const standard = wants ? 'bearer' : undefined
  const question = `Authentication: none, bearer, api_key or http_basic [${standard ?? 'none'}]: `
  return (await askedOneOf(prompt, question, ['none', 'bearer', 'api_key', 'http_basic'])) ?? standard
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
  for (let again = ''; ; again = `It must be one of ${words.join(', ')}.\n`) {
    const answer = await prompt.ask(again + question)
    if (answer === '') return undefined
    const word = words.find(known => known === answer)
    if (word !== undefined) return word
  }
}

/** Asks until there is an answer. */
async function asked(prompt: Prompt | undefined, question: string, flag: string): Promise<string> {
  for (;;) {
    const answer = (await prompt?.ask(question)) ?? missingFlag(flag)
    if (answer !== '') return answer
  }
}

export function missingFlag(flag: string): never {
  const message =
    'is missing, and there is no terminal to ask for it; as in `sluice init --url https://api.example.com/v1/orders --auth none`'
  throw new ConfigError([{ place: { path: flag }, message }])
}

export async function exists(file: string): Promise<boolean> {
  return await access(file).then(
    () => true,
    () => false,
  )
}

/** Before the API is asked: those requests would be wasted. */
export function refuseExisting(file: string): never {
  const message = 'exists already and is not overwritten; name another file with --out'
  throw new ConfigError([{ place: { path: '', file }, message }])
}
