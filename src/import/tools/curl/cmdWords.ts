import { variableMark } from '../../requests/sourceRequest.js'
import { goesOn, isOfAddress, type ShellCommand } from './curlWords.js'

/** Whether a text is written for cmd of Windows: lines that go on with `^`, or quotes after one. */
export function isForCmd(text: string): boolean {
  return /^\s*curl(?:\.exe)?\b/im.test(text) && /\^(?:\r?\n|")/.test(text)
}

/**
 * The commands of a text as cmd of Windows and the program that it starts split them, as browsers copy them there:
 * `^` takes the next character as it is, and `\"` is a quote within quotes. Variables become marks; nothing is executed.
 */
export function cmdCommands(text: string): ShellCommand[] {
  const source = text.replace(/\r\n?/g, '\n')
  // A browser doubles every backslash, also where the program would not halve them.
  const isOfBrowser = source.includes('^"')
  return commandLines(source)
    .map(({ text: line, line: at, ...rest }) => ({ words: argumentsOf(line, isOfBrowser), line: at, ...rest }))
    .filter(({ words }) => words.length > 0)
}

/** What cmd gives to programs, one text for each command. */
function commandLines(
  source: string,
): readonly (Pick<ShellCommand, 'line' | 'behind' | 'isJoined'> & { readonly text: string })[] {
  const found: { text: string; line: number; behind: string | undefined; isJoined: boolean }[] = []
  let [text, line, began, isQuoted, isJoined] = ['', 1, 1, false, false]
  let behind: string | undefined
  const end = (operator: string | undefined): void => {
    if (text.trim() !== '') found.push({ text, line: began, behind, isJoined })
    else if (operator === undefined && goesOn(behind)) return
    text = ''
    isQuoted = false
    isJoined = false
    behind = operator
  }
  const tokens = source.matchAll(/\^\n\n|\^\n|\^[^\n]|%(?![\da-f]{2})([a-z_]\w*)%|\n|[|&]+|[\s\S]/gi)
  for (const { 0: token, 1: variable, index } of tokens) {
    if (text.trim() === '') began = line
    line += token.split('\n').length - 1
    if (variable !== undefined) text += variableMark(variable)
    else if (token === '\n') end(undefined)
    else if (isQuoted) {
      text += token
      if (token === '"') isQuoted = false
    } else if (token === '^\n\n') text += '\n'
    else if (token.startsWith('^')) text += token === '^\n' ? '' : token.slice(1)
    else if (token === '&' && isOfAddress(/\S*$/.exec(text)?.[0] ?? '', source, index)) {
      isJoined = true
      text += token
    } else if (/^[|&]/.test(token)) end(token)
    else {
      text += token
      if (token === '"') isQuoted = true
    }
  }
  end(undefined)
  return found
}

/** The words of a command line, by the rules of Microsoft's C library. */
function argumentsOf(line: string, isOfBrowser: boolean): string[] {
  const words: string[] = []
  let [word, isQuoted, isWord] = ['', false, false]
  for (const [token] of line.matchAll(/\\+"?|""|"|[ \t\n]|[^\\" \t\n]+/g)) {
    if (/^[ \t\n]$/.test(token) && !isQuoted) {
      if (isWord) words.push(word)
      word = ''
      isWord = false
      continue
    }
    isWord = true
    if (token === '""' && isQuoted) word += '"'
    else if (token === '"') isQuoted = !isQuoted
    else if (token.startsWith('\\')) {
      const slashes = token.replace('"', '').length
      const isHalved = token.endsWith('"') || (isOfBrowser && slashes % 2 === 0)
      word += '\\'.repeat(isHalved ? Math.floor(slashes / 2) : slashes)
      if (token.endsWith('"')) {
        if (slashes % 2 === 1) word += '"'
        else isQuoted = !isQuoted
      }
    } else if (token !== '""') word += token
  }
  if (isWord) words.push(word)
  return words
}
