const ADDRESS = /^https?:\/\//i
const FILE = /\.(ya?ml|json|[cm]?[jt]s)$/i

/**
 * What to type instead of a command line whose words stand at another place than was meant: a line of curl without its
 * command or its quotes, an address or a file without a command. Undefined if there is nothing better to say than what
 * the parser says. `kinds`: what `sluice import` reads. Repeats no word that may hold a secret.
 */
export async function meantInstead(args: readonly string[], kinds: readonly string[]): Promise<string | undefined> {
  const [first = '', second = '', ...rest] = args
  if (kinds.includes(first)) return `\`${first}\` is no command; ${importing(first)}`
  if (ADDRESS.test(first)) return `an address is no command; ${DRAFTING}`
  if (FILE.test(first)) return 'a file is no command; name one first, as in `sluice run FILE`'
  if (first === 'init' && kinds.includes(second))
    return `\`init\` asks an API itself, and reads nothing else; ${importing(second)}`
  if (first === 'init' && ADDRESS.test(second)) return `the address is an option; ${DRAFTING}`
  if (first !== 'import') return undefined
  if (/^curl\s/.test(second)) return `say what the source is; ${importing('curl')}`
  if (second === 'curl' && isInPieces(rest))
    return `the shell has cut the line of curl into words; ${importing('curl')}`
  const isSource = rest.length === 0 && (ADDRESS.test(second) || FILE.test(second) || /\.har$/i.test(second))
  if (isSource) return `say what the source is, as in \`sluice import openapi SOURCE\`: ${kinds.join(', ')}`
  if (second === '' || second.startsWith('-') || kinds.includes(second)) return undefined
  const { nearMiss } = await import('../model/texts/nearMiss.js')
  const kind = OTHER_WORDS.get(second.toLowerCase()) ?? nearMiss(second, kinds)
  const instead = kind === undefined ? `there are ${kinds.join(', ')}` : importing(kind)
  return `\`${second}\` is no kind of source; ${instead}`
}

/** What people call the kinds of `sluice import`. */
const OTHER_WORDS: ReadonlyMap<string, string> = new Map([
  ['swagger', 'openapi'],
  ['oas', 'openapi'],
  ['browser', 'har'],
  ['devtools', 'har'],
  ['collection', 'postman'],
  ['manifest', 'airbyte'],
  ['rest_api', 'dlt'],
])

const DRAFTING = "`sluice init --url 'ADDRESS'` asks for the list at an address, and writes a pipeline file"

function importing(kind: string): string {
  return kind === 'curl'
    ? "put the whole line into quotes: `sluice import curl 'curl …'`"
    : `\`sluice import ${kind} SOURCE\` reads such a source`
}

/** `import` itself has no option of one letter but `-h`. */
function isInPieces(words: readonly string[]): boolean {
  return words.length > 1 && (words[0] === 'curl' || words.some(word => /^-[a-gi-zA-Z]/.test(word)))
}
