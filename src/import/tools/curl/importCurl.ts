import { fileError } from '../../../config/file/documentFile.js'
import type { Imported, ImportInput, ImportNote, LeftOut } from '../../imported.js'
import { requestsImported } from '../../requests/requestDocument.js'
import { type SourceRequest, withoutMarks } from '../../requests/sourceRequest.js'
import { cmdCommands, isForCmd } from './cmdWords.js'
import { curlRequests } from './curlRequest.js'
import { type ShellCommand, shellCommands } from './curlWords.js'

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
  const all = split(source)
  const found = all.flatMap(({ words, ...command }) => {
    const at = curlAt(words)
    return at === -1 ? [] : [{ ...command, words: words.slice(at) }]
  })
  const commands = found.filter(({ behind }) => !isPipe(behind))
  for (const { words, line, isCut } of commands) {
    if (isCut === true) throw fileError(shown, 'ends within quotes: a part of the command is missing', { line })
    if (words.some(word => /^[“”„‘’‚]/.test(word))) {
      throw fileError(shown, 'has typographic quotes, which a shell takes as text; write \' or "', { line })
    }
  }
  if (found.length === 0) throw fileError(shown, "holds no command of curl; put one into quotes: 'curl https://…'")
  const read = commands.flatMap(command => curlRequests(command, file))
  const requests = read.filter((one): one is SourceRequest => 'url' in one)
  const imported = requestsImported(requests, { name, source: 'command line', findsIds: false, keepsCookies: true })
  const piped = found.filter(({ behind }) => isPipe(behind))
  const unread = [
    ...read.flatMap(one => ('why' in one ? [one] : [])),
    ...piped.map(({ line }) => ({ line, why: 'it sends what another command gives it' })),
  ].map(({ line, why }): LeftOut => ({ what: 'a command', place: { line }, why }))
  if (read.length === 0 && piped.length === 0) throw fileError(shown, 'the command names no address')
  return withNotes({ ...imported, leftOut: [...unread, ...imported.leftOut] }, notesOf(all))
}

/** Where a command of curl begins; -1 where there is none. */
function curlAt(words: readonly string[]): number {
  return words.findIndex(word => /^(?:.*\/)?curl(?:\.exe)?$/.test(word))
}

function isPipe(operator: string | undefined): boolean {
  return operator === '|' || operator === '|&'
}

/** What is taken otherwise than a shell would, and what is left out beside the commands of curl. */
function notesOf(commands: readonly ShellCommand[]): readonly ImportNote[] {
  return commands.flatMap(({ words, line, behind, isJoined }, index): ImportNote[] => {
    const isCurl = curlAt(words) !== -1
    const before = behind === undefined ? undefined : commands[index - 1]
    const wasCurl = before !== undefined && curlAt(before.words) !== -1
    const notes: ImportNote[] = []
    if (isCurl && isJoined === true) notes.push({ kind: 'assumed', place: { line }, text: JOINED })
    if (wasCurl && !isCurl)
      notes.push({
        kind: 'open',
        place: { line },
        text: `left out: what stands behind the unquoted \`${behind}\`; if it belongs to the address, put that into quotes`,
      })
    if (before !== undefined && !wasCurl && isCurl)
      notes.push({ kind: 'open', place: { line }, text: `left out: what stands before the unquoted \`${behind}\`` })
    return notes
  })
}

const JOINED = 'an unquoted `&` with a name and `=` belongs to the address; a shell would end the command there'

/** Notes about the whole source are those of its first pipeline. Without one, they are about what is left out. */
function withNotes({ pipelines: [first, ...others], leftOut }: Imported, notes: readonly ImportNote[]): Imported {
  if (first !== undefined) return { pipelines: [{ ...first, notes: [...first.notes, ...notes] }, ...others], leftOut }
  const open = notes.filter(({ kind }) => kind === 'open')
  return {
    pipelines: [],
    leftOut: [...leftOut, ...open.map(({ place, text }) => ({ what: 'a command', place, why: text }))],
  }
}
