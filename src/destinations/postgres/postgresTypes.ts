/** A type as the server spells it, without the part in parentheses: `numeric(38,9)` is `numeric`. */
export function baseType(type: string): string {
  return type.replace(/\([^)]*\)/, '')
}

/**
 * Whether a column of type `to` takes values of type `from` unchanged: each is stored as it is, or the server refuses
 * it. Both as the server spells them.
 */
export function takes(to: string, from: string): boolean {
  const [target, source] = [baseType(to), baseType(from)]
  const [digits, scale] = modifiers(to)
  const [fromDigits, fromScale] = modifiers(from)
  if (target !== source) return WIDER[source]?.includes(target) === true
  // Fewer decimals, or fewer digits of a second, would round silently.
  if (source === 'numeric')
    return digits === undefined || (fromDigits !== undefined && (scale ?? 0) >= (fromScale ?? 0))
  if (/^time/.test(source)) return (digits ?? 6) >= (fromDigits ?? 6)
  return true
}

function modifiers(type: string): readonly (number | undefined)[] {
  return (/\(([^)]*)\)/.exec(type)?.[1] ?? '').split(',').map(text => (text === '' ? undefined : Number(text)))
}

/** Integers and texts refuse what does not fit, so a narrower column loses nothing silently. */
const INTEGERS = ['smallint', 'integer', 'bigint', 'numeric']
const WIDER: Readonly<Record<string, readonly string[]>> = {
  smallint: INTEGERS,
  integer: INTEGERS,
  bigint: INTEGERS,
  'character varying': ['text'],
  jsonb: ['json'],
}
