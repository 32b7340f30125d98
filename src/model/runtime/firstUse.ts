/** A value that is made when it is first asked for, and kept. Loading a module stays quick, whoever needs none of its values. */
export function later<Value>(make: () => Value): () => Value {
  let made: { readonly value: Value } | undefined
  return () => {
    made ??= { value: make() }
    return made.value
  }
}
