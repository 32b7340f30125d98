import type { parser } from '@lezer/python'

/** A node of the syntax of a script. */
export type SyntaxNode = ReturnType<typeof parser.parse>['topNode']

/** The text of a script, by its nodes. */
export class ScriptText {
  readonly #text: string
  readonly #lineStarts: number[] = [0]

  constructor(text: string) {
    this.#text = text
    for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) this.#lineStarts.push(at + 1)
  }

  /** 1-based. */
  lineOf({ from }: SyntaxNode): number {
    let [low, high] = [0, this.#lineStarts.length - 1]
    while (low < high) {
      const middle = Math.ceil((low + high) / 2)
      if ((this.#lineStarts[middle] ?? 0) <= from) low = middle
      else high = middle - 1
    }
    return low + 1
  }

  of({ from, to }: SyntaxNode): string {
    return this.#text.slice(from, to)
  }

  between(from: number, to: number): string {
    return this.#text.slice(from, to)
  }
}

export function children(node: SyntaxNode): SyntaxNode[] {
  const found: SyntaxNode[] = []
  for (let child = node.firstChild; child !== null; child = child.nextSibling) {
    if (child.name !== 'Comment') found.push(child)
  }
  return found
}

const PUNCTUATION = new Set(['[', ']', '(', ')', '{', '}', ',', ':'])

/** The children without brackets and commas. */
export function parts(node: SyntaxNode): SyntaxNode[] {
  return children(node).filter(({ name }) => !PUNCTUATION.has(name))
}

export function walk(top: SyntaxNode, visit: (node: SyntaxNode) => void): void {
  const waiting = [top]
  for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
    visit(node)
    waiting.push(...children(node).reverse())
  }
}

/** The text of a string literal. Undefined for bytes. */
export function unquoted(written: string): string | undefined {
  const [, prefix = '', quote = ''] = /^([a-zA-Z]*)('''|"""|'|")/.exec(written) ?? []
  if (/b/i.test(prefix)) return undefined
  const text = written.slice(prefix.length + quote.length, written.length - quote.length)
  return /r/i.test(prefix) ? text : unescaped(text)
}

/** A text with the escapes of Python. */
export function unescaped(text: string): string {
  return text.replace(/\\(\r?\n|U[\da-fA-F]{8}|u[\da-fA-F]{4}|x[\da-fA-F]{2}|[0-7]{1,3}|.)/gs, (_, escaped: string) => {
    if (/^\r?\n$/.test(escaped)) return ''
    if (/^[Uux]./.test(escaped)) return character(Number.parseInt(escaped.slice(1), 16))
    if (/^[0-7]+$/.test(escaped)) return character(Number.parseInt(escaped, 8))
    return ESCAPES.get(escaped) ?? (/^['"\\]$/.test(escaped) ? escaped : `\\${escaped}`)
  })
}

function character(code: number): string {
  return code > 0x10ffff ? '\uFFFD' : String.fromCodePoint(code)
}

const ESCAPES: ReadonlyMap<string, string> = new Map([
  ['n', '\n'],
  ['t', '\t'],
  ['r', '\r'],
])
