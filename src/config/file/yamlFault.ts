import type { Document, LineCounter, Node, YAMLError } from 'yaml'
import { ConfigError } from '../../model/errors.js'
import { excerpt } from './excerpt.js'

/** Loaded with the first file: a program without one does not need it. */
type Yaml = typeof import('yaml')

/** A text that was parsed, with what the parser says about it. */
export interface ParsedText {
  readonly yaml: Yaml
  readonly document: Document
  readonly lines: LineCounter
  readonly text: string
  /** Name of the file in messages. */
  readonly file: string
  /** Whether messages may show a line of it. Default: true. */
  readonly showsLine?: boolean
}

/** What to mend, and at which offset. */
interface Fault {
  readonly at: number
  readonly message: string
}

/** The error for a text that the parser refused, in the words of whoever wrote it. Undefined if it is well-formed. */
export function yamlFault(parsed: ParsedText): ConfigError | undefined {
  const [error] = parsed.document.errors
  if (error === undefined) return undefined
  return errorAt(parsed, unquotedSign(parsed, error) ?? explained(parsed, error))
}

/** The error for a document whose values cannot be built: aliases that lead nowhere, or multiply. */
export function valuesFault(parsed: ParsedText, failure: Error): ConfigError {
  if (isDeep(failure)) return errorAt(parsed, { at: 0, message: TOO_DEEP }, false)
  const { yaml, document } = parsed
  let found: Fault | undefined
  yaml.visit(document, {
    Alias(_key, node) {
      if (node.resolve(document) !== undefined) return undefined
      const message =
        '`*` refers to an anchor (`&`) that is not there before it; put a text that begins with `*` in quotes'
      found = { at: startOf(node) ?? 0, message }
      return yaml.visit.BREAK
    },
    Pair(_key, pair) {
      if (!yaml.isScalar(pair.key) || pair.key.source !== '<<' || !/merge/i.test(failure.message)) return undefined
      found = { at: startOf(pair.key) ?? 0, message: '`<<` takes a map, or a reference to one as in `<<: *name`' }
      return yaml.visit.BREAK
    },
  })
  return errorAt(parsed, found ?? { at: 0, message: plainly(failure.message) }, found !== undefined)
}

const TOO_DEEP = 'is nested too deeply to be read'

/** The parser reports its own stack as the fault of the text. */
function isDeep({ message }: Error): boolean {
  return /call stack/i.test(message)
}

function errorAt(
  { text, file, lines, showsLine = true }: ParsedText,
  { at, message }: Fault,
  isPlaced = true,
): ConfigError {
  if (message === TOO_DEEP && !isPlaced) return new ConfigError([{ place: { path: '', file }, message }])
  const whole = message === TOO_DEEP ? message : `is not valid ${languageOf(file)}: ${message}`
  if (!isPlaced) return new ConfigError([{ place: { path: '', file }, message: whole }])
  const { line, col: column } = lines.linePos(at)
  const shown = showsLine && message !== TOO_DEEP ? excerpt(text, line, column) : undefined
  return new ConfigError([{ place: { path: '', file, line, column }, message: whole, excerpt: shown }])
}

function languageOf(file: string): string {
  return /\.json$/i.test(file) ? 'JSON' : 'YAML'
}

function explained(parsed: ParsedText, error: YAMLError): Fault {
  const [at] = error.pos
  if (isDeep(error)) return { at, message: TOO_DEEP }
  return (
    openQuote(parsed, error) ??
    BY_CODE[error.code]?.(parsed, error) ??
    openBracket(parsed, error) ?? { at, message: plainly(error.message) }
  )
}

type Explanation = (parsed: ParsedText, error: YAMLError) => Fault | undefined

const BY_CODE: { readonly [Code in YAMLError['code']]?: Explanation } = {
  TAB_AS_INDENT: (_, { pos: [at] }) => ({ at, message: 'a tab indents this line; indent it with spaces' }),
  DUPLICATE_KEY: duplicateKey,
  BAD_SCALAR_START: ({ text }, { pos: [at] }) => {
    const sign = text[at] === '`' ? 'a backtick' : `\`${text[at] ?? ''}\``
    return { at, message: `${sign} cannot begin a text; put the text in quotes` }
  },
  BAD_DQ_ESCAPE: ({ text }, { pos: [at] }) => ({
    at,
    message: `\`${text.slice(at, at + 2).trim()}\` means nothing between double quotes; write \`\\\\\` for a backslash, or take single quotes`,
  }),
  MULTIPLE_DOCS: ({ text }, { pos: [at] }) => ({
    at: Math.max(at, text.indexOf('---', at)),
    message: '`---` begins a second document; keep one in a file',
  }),
  MULTILINE_IMPLICIT_KEY: lineWithoutKey,
  BLOCK_AS_IMPLICIT_KEY: secondColon,
  MISSING_CHAR: missingCharacter,
  BAD_INDENT: badIndent,
  BLOCK_IN_FLOW: missingComma,
  UNEXPECTED_TOKEN: unexpected,
}

/** A quote that nothing closes takes all lines below it, so that the parser complains far from it. */
function openQuote({ yaml, document, text }: ParsedText, { pos: [at] }: YAMLError): Fault | undefined {
  const closing = document.errors.find(error => /closing ["']/.test(error.message))
  const until = closing?.pos[0] ?? at
  let opening: number | undefined
  yaml.visit(document, {
    Scalar(_key, { type, range }) {
      if (type !== 'QUOTE_DOUBLE' && type !== 'QUOTE_SINGLE') return
      const [start, end] = range ?? [0, 0]
      const isBefore = start < until && text.slice(end, until).trim() === ''
      if (isBefore && (closing !== undefined || text.slice(start, end).includes('\n'))) opening = start
    },
  })
  if (opening === undefined) return undefined
  const quote = text[opening] === "'" ? "'" : '"'
  return { at: opening, message: `the quote \`${quote}\` that opens here is not closed in its line; close it` }
}

function duplicateKey({ yaml, document, lines, text }: ParsedText, { pos: [at] }: YAMLError): Fault {
  let first: number | undefined
  yaml.visit(document, {
    Map(_key, { items }) {
      const starts = items.map(({ key }) => startOf(key as Node | null) ?? -1)
      const index = starts.indexOf(at)
      if (index < 0) return undefined
      const name = nameOf(yaml, items[index]?.key)
      first = starts[items.findIndex(({ key }) => nameOf(yaml, key) === name)]
      return yaml.visit.BREAK
    },
  })
  const name = /^["']?([\w$.-]+)/.exec(text.slice(at))?.[1] ?? 'this key'
  const before = first === undefined ? '' : `, first in line ${lines.linePos(first).line}`
  return { at, message: `the key \`${name}\` stands twice in this map${before}; keep one` }
}

function nameOf(yaml: Yaml, key: unknown): string | undefined {
  return yaml.isScalar(key) ? String(key.value) : undefined
}

/** A line where a key and a colon belong. */
function lineWithoutKey(parsed: ParsedText, error: YAMLError): Fault | undefined {
  const { text, document } = parsed
  const [at] = error.pos
  if (document.errors.some(({ code }) => code === 'BLOCK_IN_FLOW')) return missingComma(parsed, error)
  const line = lineFrom(text, at)
  const [, joined = '', name = ''] = JOINED_KEY.exec(line) ?? []
  if (name !== '') return { at: at + joined.length, message: `a space is missing after \`${name}\`` }
  if (/^-[^\s-]/.test(line)) return { at: at + 1, message: 'a space is missing after the `-` of a list' }
  if (/^[\w$.-]+\s*$/.test(line)) return { at, message: `\`${line.trim()}\` is no key: a colon is missing after it` }
  return { at, message: 'this line has no key: `key: value` is expected here' }
}

/** A key that is joined with its value. An address is none. */
const JOINED_KEY = /^((["']?[\w$.-]+["']?:))(?=[^\s:/])/

/** A value that has a colon of its own, or the key in the next line, indented too far. */
function secondColon({ document, text, lines }: ParsedText, error: YAMLError): Fault {
  const [at] = error.pos
  const next = document.errors.find(({ code, pos }) => code === 'MULTILINE_IMPLICIT_KEY' && pos[0] === at)
  const { line } = lines.linePos(at)
  if (next !== undefined && !/:\s/.test(lineFrom(text, at))) {
    const start = lines.lineStarts[line] ?? at
    const indented = start + (/^ */.exec(text.slice(start))?.[0].length ?? 0)
    return {
      at: indented,
      message: `this line is indented deeper than line ${line}, which has a value already; ${SAME_COLUMN}`,
    }
  }
  return { at, message: 'this text has a `: ` of its own; put the text in quotes' }
}

const SAME_COLUMN = 'begin all keys of one map in the same column'

function missingCharacter(parsed: ParsedText, error: YAMLError): Fault | undefined {
  const { text } = parsed
  const [at] = error.pos
  if (/Sequence item/.test(error.message)) {
    return {
      at: contentFrom(text, at),
      message: 'this line belongs neither to the list above it nor to an item; indent it as the item, or as the list',
    }
  }
  if (/map values/.test(error.message)) return lineWithoutKey(parsed, error)
  if (/between flow map items/.test(error.message)) return { at, message: 'a comma or a colon is missing before this' }
  return undefined
}

function badIndent(parsed: ParsedText, error: YAMLError): Fault | undefined {
  if (/^Flow/.test(error.message)) return undefined
  const { text } = parsed
  const at = contentFrom(text, error.pos[0])
  return { at, message: `this line begins in another column than the keys around it; ${SAME_COLUMN}` }
}

function missingComma({ text }: ParsedText, { pos: [at] }: YAMLError): Fault {
  const value = /^(?:"[^"\n]*"|'[^'\n]*'|[^\s,{}[\]"']+)/.exec(text.slice(at))?.[0].length ?? 0
  return { at: at + value, message: 'a comma is missing here, before the next key' }
}

function unexpected({ text }: ParsedText, { pos: [at] }: YAMLError): Fault | undefined {
  const token = text[at] ?? ''
  if (/[\]}]/.test(token) && !/[{[]/.test(before(text, at)))
    return { at, message: `\`${token}\` closes nothing; remove it` }
  if (/["']\s*$/.test(before(text, at))) {
    return { at, message: 'text follows the closing quote; put all of the text in one pair of quotes' }
  }
  return {
    at,
    message: /[\]}]/.test(token)
      ? `\`${token}\` closes nothing; remove it`
      : 'this does not belong to the value before it',
  }
}

/** A bracket that nothing closes. */
function openBracket({ yaml, document, text }: ParsedText, { pos: [at], message }: YAMLError): Fault | undefined {
  if (!/end with a [\]}]/.test(message)) return undefined
  const closing = /with a \]/.test(message) ? ']' : '}'
  let opening: number | undefined
  yaml.visit(document, {
    Collection(_key, { flow, range }) {
      const [start, end] = range ?? [0, 0]
      const isIt = text[start] === (closing === ']' ? '[' : '{')
      if (flow === true && isIt && start <= at && text.slice(Math.min(end, at), at).trim() === '') opening = start
    },
  })
  return opening === undefined
    ? { at, message: `a \`${closing}\` is missing here` }
    : { at: opening, message: `the \`${text[opening] ?? ''}\` that opens here is not closed; add \`${closing}\`` }
}

/** A reference, a placeholder or a variable of other tools that begins or follows a plain value. */
const UNQUOTED = /[[{,:] *[^\s"'[\]{},#]*?(\$\{|\{(?=resources?\.|\{)|%(?=\w))/

function unquotedSign({ text, lines }: ParsedText, error: YAMLError): Fault | undefined {
  const { line } = lines.linePos(error.pos[0])
  const start = lines.lineStarts[line - 1] ?? 0
  const found = UNQUOTED.exec(lineFrom(text, start))
  const sign = found?.[1]
  if (found === null || sign === undefined || isDeep(error)) return undefined
  const what = sign === '%' ? 'cannot begin a text' : 'begins a map here'
  return {
    at: start + found.index + found[0].length - sign.length,
    message: `\`${sign}\` ${what}; put a text with \`${sign}\` in quotes`,
  }
}

function startOf(node: Node | null | undefined): number | undefined {
  return node?.range?.[0]
}

/** The rest of the line. */
function lineFrom(text: string, at: number): string {
  return /^[^\r\n]*/.exec(text.slice(at))?.[0] ?? ''
}

/** The beginning of the line. */
function before(text: string, at: number): string {
  return text.slice(text.lastIndexOf('\n', at - 1) + 1, at)
}

/** Where the content of a line begins. */
function contentFrom(text: string, at: number): number {
  return at + (/^[ \t]*/.exec(text.slice(at))?.[0].length ?? 0)
}

/** The first line of what the parser says. */
function plainly(message: string): string {
  return (message.split('\n')[0] ?? '').replace(/\.$/, '')
}
