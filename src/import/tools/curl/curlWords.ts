import { variableMark } from '../../requests/sourceRequest.js'

/** One command of a text of shell. */
export interface ShellCommand {
  readonly words: readonly string[]
  /** Whether the text ends within its quotes. */
  readonly isCut?: boolean | undefined
  /** Where it begins, 1-based. */
  readonly line: number
  /** What the text has between this command and the one before, if that is no end of a line: `&`, `&&`, `;`, `|`. */
  readonly behind?: string | undefined
  /** Whether it holds an address with an unquoted `&`, at which a shell would have ended the command. */
  readonly isJoined?: boolean | undefined
}

/** An `&` and the name of a query parameter, as they stand in an address. */
const PARAMETER = /&[\w.~%[\]-]+=/y

/** Whether an unquoted `&` belongs to the address that stands before it: lines are pasted within quotes of their own. */
export function isOfAddress(before: string, text: string, at: number): boolean {
  PARAMETER.lastIndex = at
  return /:\/\/|\?/.test(before) && PARAMETER.test(text)
}

/** Whether the command goes on in the next line. */
export function goesOn(operator: string | undefined): boolean {
  return operator !== undefined && operator !== '&' && operator !== ';'
}

/**
 * The commands of a text as `sh` splits them: quotes, escapes, comments and lines that go on. Variables and `$(…)` become
 * marks; nothing is executed. What follows a redirection is part of no command.
 */
export function shellCommands(text: string): ShellCommand[] {
  return new ShellReader(text).commands()
}

class ShellReader {
  readonly #text: string
  #at = 0
  #line = 1
  #isCut = false
  #isJoined = false

  constructor(text: string) {
    this.#text = text.replace(/\r\n?/g, '\n')
  }

  commands(): ShellCommand[] {
    const found: ShellCommand[] = []
    let words: string[] = []
    let line = 1
    let behind: string | undefined
    const end = (operator: string | undefined): void => {
      if (words.length > 0) found.push({ words, line, behind, isCut: this.#isCut, isJoined: this.#isJoined })
      else if (operator === undefined && goesOn(behind)) return
      words = []
      behind = operator
      this.#isJoined = false
    }
    while (this.#at < this.#text.length) {
      const character = this.#text[this.#at] ?? ''
      if (character === '\\' && this.#text[this.#at + 1] === '\n') this.#skip(2)
      else if (character === ' ' || character === '\t') this.#skip(1)
      else if (character === '#') this.#skip(this.#rest(/[^\n]*/y).length)
      else if (character === '\n') {
        end(undefined)
        this.#skip(1)
      } else if (character === ';' || character === '|' || character === '&') end(this.#take(/;+|[|&]+/y))
      else if (character === '<' || character === '>') {
        this.#skip(this.#rest(/[<>&]+[ \t]*/y).length)
        this.#word()
      } else {
        if (words.length === 0) line = this.#line
        const before = this.#at
        words.push(this.#word())
        // Parentheses begin nothing that this reads.
        if (this.#at === before) this.#skip(1)
      }
    }
    end(undefined)
    return found
  }

  #word(): string {
    const parts: string[] = []
    while (this.#at < this.#text.length) {
      const character = this.#text[this.#at] ?? ''
      if (/[\s;|<>()]/.test(character)) break
      if (character === '&') {
        if (!isOfAddress(parts.join(''), this.#text, this.#at)) break
        this.#isJoined = true
        parts.push(this.#take(PARAMETER))
      } else if (character === "'") parts.push(this.#until(/'([^']*)'?/y))
      else if (character === '"') parts.push(this.#quoted())
      else if (character === '\\') {
        const next = this.#text[this.#at + 1] ?? ''
        this.#skip(2)
        if (next !== '\n') parts.push(next)
      } else if (character === '$') parts.push(this.#dollar(true))
      else if (character === '`') parts.push(this.#substitution(/`[^`]*`?/y))
      else parts.push(this.#take(/[^\s;|<>()&'"\\$`]+/y))
    }
    return parts.join('')
  }

  #quoted(): string {
    const parts: string[] = []
    this.#skip(1)
    while (this.#at < this.#text.length) {
      const character = this.#text[this.#at] ?? ''
      if (character === '"') {
        this.#skip(1)
        return parts.join('')
      }
      if (character === '\\') {
        const next = this.#text[this.#at + 1] ?? ''
        this.#skip(2)
        if (next !== '\n') parts.push(/["\\$`]/.test(next) ? next : `\\${next}`)
      } else if (character === '$') parts.push(this.#dollar(false))
      else if (character === '`') parts.push(this.#substitution(/`[^`]*`?/y))
      else parts.push(this.#take(/[^"\\$`]+/y))
    }
    this.#isCut = true
    return parts.join('')
  }

  #dollar(isBare: boolean): string {
    if (isBare && this.#text.startsWith("$'", this.#at)) {
      return unescaped(this.#until(/\$'((?:[^'\\]|\\[\s\S])*)'?/y))
    }
    const name = this.#rest(/\$(?:\{([A-Za-z_]\w*)[^}]*\}|([A-Za-z_]\w*))/y)
    if (name !== '') {
      this.#skip(name.length)
      return variableMark(/[A-Za-z_]\w*/.exec(name)?.[0] ?? 'variable')
    }
    if (this.#text.startsWith('$(', this.#at)) {
      let depth = 0
      let end = this.#at + 1
      for (; end < this.#text.length; end++) {
        if (this.#text[end] === '(') depth++
        else if (this.#text[end] === ')' && --depth === 0) break
      }
      this.#skip(end + 1 - this.#at)
      return variableMark('command_output')
    }
    this.#skip(1)
    return '$'
  }

  #substitution(pattern: RegExp): string {
    this.#take(pattern)
    return variableMark('command_output')
  }

  #until(pattern: RegExp): string {
    pattern.lastIndex = this.#at
    const [whole = '', inner = ''] = pattern.exec(this.#text) ?? []
    const opening = whole.startsWith('$') ? 2 : 1
    if (whole.length === opening + inner.length) this.#isCut = true
    this.#skip(whole.length)
    return inner
  }

  #take(pattern: RegExp): string {
    const text = this.#rest(pattern)
    this.#skip(text.length)
    return text
  }

  #rest(pattern: RegExp): string {
    pattern.lastIndex = this.#at
    return pattern.exec(this.#text)?.[0] ?? ''
  }

  #skip(count: number): void {
    for (let at = this.#at; at < this.#at + count; at++) if (this.#text[at] === '\n') this.#line++
    this.#at += count
  }
}

const ESCAPES: Readonly<Record<string, string>> = {
  n: '\n',
  t: '\t',
  r: '\r',
  a: '\x07',
  b: '\b',
  e: '\x1b',
  E: '\x1b',
  f: '\f',
  v: '\v',
}

/** `$'…'` of bash, as browsers copy it. */
function unescaped(text: string): string {
  return text.replace(
    /\\(?:x([\da-f]{1,2})|u([\da-f]{1,4})|U([\da-f]{1,8})|([0-7]{1,3})|([\s\S]))/gi,
    (whole, x?: string, u?: string, wide?: string, octal?: string, one?: string) => {
      const code = Number.parseInt(x ?? u ?? wide ?? '', 16)
      if (!Number.isNaN(code)) return code <= 0x10ffff ? String.fromCodePoint(code) : whole
      if (octal !== undefined) return String.fromCharCode(Number.parseInt(octal, 8))
      return ESCAPES[one ?? ''] ?? one ?? ''
    },
  )
}
