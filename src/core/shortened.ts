/**
 * Text of an API or a user, for a message: at most `longest` characters, and `…` where it was cut. Whoever shortens text
 * that may hold a secret scrubs it first; what is left of one beside the mark is removed with the whole message.
 */
export function shortened(text: string, longest = 80): string {
  if (text.length <= longest) return text
  // Half a pair of surrogates is no character.
  const end = /[\ud800-\udbff]/.test(text[longest - 1] ?? '') ? longest - 1 : longest
  return `${text.slice(0, end)}…`
}
