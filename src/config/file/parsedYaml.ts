import type { Document, DocumentOptions, Node, ParseOptions, SchemaOptions } from 'yaml'

/**
 * The document of a text, with an error where a map has a key twice. The library's own check compares each key with all
 * before it: a map of 50,000 keys takes minutes.
 */
export function parsedYaml(
  yaml: typeof import('yaml'),
  text: string,
  options: Omit<ParseOptions & DocumentOptions & SchemaOptions, 'uniqueKeys'>,
): Document.Parsed {
  const document = yaml.parseDocument(text, { ...options, uniqueKeys: false })
  if (document.errors.length > 0) return document
  const refuse = (at: number, message: string): symbol => {
    document.errors.push(new yaml.YAMLParseError([at, at + 1], 'DUPLICATE_KEY', message))
    return yaml.visit.BREAK
  }
  try {
    yaml.visit(document, {
      Map(_key, { items }) {
        const known = new Set<unknown>()
        for (const { key } of items) {
          const name = yaml.isScalar(key) ? key.value : key
          if (known.has(name)) return refuse((key as Node).range?.[0] ?? 0, 'Map keys must be unique')
          known.add(name)
        }
        return undefined
      },
    })
  } catch (failure) {
    // A text that is nested too deeply, for one.
    refuse(0, (failure as Error).message)
  }
  return document
}
