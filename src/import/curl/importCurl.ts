import { fileError } from '../../config/documentFile.js'
import type { Imported, ImportInput } from '../imported.js'
import { requestsImported } from '../requests/requestDocument.js'
import { type SourceRequest, withoutMarks } from '../requests/sourceRequest.js'
import { cmdCommands, isForCmd } from './cmdWords.js'
import { curlRequests } from './curlRequest.js'
import { shellCommands } from './curlWords.js'

/** Makes a pipeline of commands of curl, as browsers and documentation have them. Executes nothing of the text. */
export function importCurl({ text, file, name }: ImportInput): Imported {
  const shown = file ?? 'curl'
  const source = withoutMarks(text)
    .trim()
    .replace(/^\$ (?=curl)/gm, '')
  if (/\b(?:Invoke-(?:WebRequest|RestMethod)|iwr|irm)\b/i.test(source) || /curl[^\n]*`\r?\n/.test(source)) {
    throw fileError(shown, 'is written for PowerShell; copy it as cURL (bash)')
  }
  if (!/\bcurl\b/.test(source) && /^\s*(?:(?:const|let|var)\s+\w+\s*=\s*)?(?:await\s+)?fetch\(/m.test(source)) {
    throw fileError(shown, 'is JavaScript (fetch); copy it as cURL')
  }
  const split = isForCmd(source) ? cmdCommands : shellCommands
  const commands = split(source).flatMap(({ words, ...command }) => {
    const at = words.findIndex(word => /^(?:.*\/)?curl(?:\.exe)?$/.test(word))
    return at === -1 ? [] : [{ ...command, words: words.slice(at) }]
  })
  for (const { words, line, isCut } of commands) {
    if (isCut === true) throw fileError(shown, 'ends within quotes: a part of the command is missing', { line })
    if (words.some(word => /^[“”„‘’‚]/.test(word))) {
      throw fileError(shown, 'has typographic quotes, which a shell takes as text; write \' or "', { line })
    }
  }
  if (commands.length === 0) throw fileError(shown, "holds no command of curl; put one into quotes: 'curl https://…'")
  const read = commands.flatMap(command => curlRequests(command, file))
  const requests = read.filter((one): one is SourceRequest => 'url' in one)
  const imported = requestsImported(requests, { name, source: 'command line', findsIds: false, keepsCookies: true })
  const unread = read.flatMap(one =>
    'why' in one ? [{ what: 'a command', place: { line: one.line }, why: one.why }] : [],
  )
  if (read.length === 0) throw fileError(shown, 'the command names no address')
  return { ...imported, leftOut: [...unread, ...imported.leftOut] }
}
