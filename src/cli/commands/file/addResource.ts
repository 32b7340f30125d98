import { dirname, resolve } from 'node:path'
import type { Addition } from '../../../import/draft/addition.js'
import { ConfigError } from '../../../model/errors.js'
import type { ExitCode } from '../../failure.js'
import { printable } from '../../terminal/printable.js'
import { shellWord } from '../../terminal/shellWord.js'
import { tell } from '../../terminal/tell.js'
import { writeWhole } from '../../writtenFile.js'
import type { CommandContext } from '../command.js'
import { type InitCommandOptions, isRefusal, missingFlag, wantsProof } from './init.js'

type AddOptions = Pick<InitCommandOptions, 'url' | 'name' | 'prove'>

/**
 * `sluice init --add FILE`: requests the first pages of another list of the API of that file, adds it as one more
 * resource, and proves it. All that the file had stays, with its comments. 3 if the proof shows something wrong that it
 * cannot mend.
 */
export async function addCommand(file: string, options: AddOptions, context: CommandContext): Promise<ExitCode> {
  const { out, err } = context.terminal
  const { before, text, name, findings, hasPaginator } = await added(file, options, context)
  const { readText } = await import('../../../config/file/documentFile.js')
  if ((await readText(file)) !== before) {
    const message = 'was changed while the list was read, and is left as it is; type the command again'
    throw new ConfigError([{ place: { path: '', file }, message }])
  }
  await writeWhole(file, text)
  for (const finding of findings) tell(err, printable(finding))
  const isProving = options.prove !== false && (options.url !== undefined || (await wantsProof(context)))
  const { proveCommand } = await import('./prove.js')
  const exitCode = isProving ? await proveCommand(file, { write: true, resource: [name] }, context) : 0
  const { schemaAddress } = await import('../../../config/projectFolder.js')
  const command = schemaAddress(dirname(resolve(file))).isInstalled ? 'npx sluice' : context.typedAs
  const typed = shellWord(file)
  tell(out, printable(`${file} has one more resource, ${name}. Next:`))
  if (!hasPaginator) tell(out, printable('  write a `paginator` into it: a comment there says what was tried'))
  const steps = [
    ...(isProving
      ? []
      : [[`${command} prove ${typed} --resource ${name} --write`, 'asks the API whether it is right'] as const]),
    [`${command} run ${typed} --select ${name}`, 'loads the new list alone'],
    [`${command} run ${typed}`, 'loads all lists'],
  ] as const
  const width = Math.max(...steps.map(([step]) => step.length))
  for (const [step, does] of steps) tell(out, printable(`  ${step.padEnd(width)}   ${does}`), width + 5)
  return exitCode === 3 ? 3 : 0
}

/** Asks on a terminal for the address, and for another one where the API refuses it. */
async function added(file: string, options: AddOptions, context: CommandContext): Promise<Addition> {
  const { prompt, signal, terminal } = context
  const { checkAddition, draftAddition } = await import('../../../import/draft/addition.js')
  const { url: given, name } = options
  const { baseUrl } = await checkAddition(file, given, name)
  if (given !== undefined) return await draftAddition({ file, url: given, name, signal })
  if (prompt === undefined) return missingFlag('--url')
  for (;;) {
    const url = await prompt.ask(`Address of another list, or its path below ${printable(baseUrl)}: `)
    if (url === '') continue
    try {
      return await draftAddition({ file, url, name, signal })
    } catch (error) {
      if (!isRefusal(error) && !isOfAddress(error)) throw error
      tell(terminal.err, printable(error.message))
    }
  }
}

function isOfAddress(error: unknown): error is ConfigError {
  return error instanceof ConfigError && error.problems.some(({ place }) => place.path === '--url')
}
