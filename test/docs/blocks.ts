import { readdir, readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'

/** One fenced block of a document. */
export interface Block {
  /** First word after the fence: `ts`, `yaml`, `sh`, `text`. */
  readonly language: string
  /** The words after it. */
  readonly words: readonly string[]
  readonly text: string
  /** As in `docs/custom.md:17`. */
  readonly place: string
}

export const root = fileURLToPath(new URL('../..', import.meta.url))

/** Every document that users read. */
export async function userDocuments(): Promise<string[]> {
  const pages = (await readdir(`${root}/docs`)).filter(name => name.endsWith('.md'))
  return ['README.md', ...pages.toSorted().map(name => `docs/${name}`)]
}

/** The fenced blocks of a document, in order. */
export async function blocksOf(document: string): Promise<Block[]> {
  const text = await readFile(`${root}/${document}`, 'utf8')
  return [...text.matchAll(/^```(\w+)([^\n]*)\n(.*?)^```$/gms)].map(match => {
    const [, language = '', info = '', body = ''] = match
    const line = text.slice(0, match.index).split('\n').length
    return { language, words: info.trim().split(/\s+/).filter(Boolean), text: body, place: `${document}:${line}` }
  })
}
