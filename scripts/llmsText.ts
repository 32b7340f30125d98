import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const docs = fileURLToPath(new URL('../docs', import.meta.url))

const order = {
  Start: ['install', 'tutorial', 'import', 'library', 'apis', 'recipes', 'coming-from-dlt', 'differences-from-dlt'],
  Learn: [
    'concepts',
    'pagination',
    'incremental',
    'backfills',
    'authentication',
    'nested-data',
    'write-dispositions',
    'destinations',
    'prove',
    'testing-pipelines',
    'studio',
    'production',
    'scale',
    'security',
    'performance',
    'custom',
  ],
  'Look up': ['config', 'cli', 'troubleshooting', 'guarantees'],
} as const satisfies Readonly<Record<string, readonly string[]>>

/** The pages in the order of reading. The site and `docs/llms.txt` follow it; a test sees that no page is left out. */
export const pages: readonly (readonly [section: string, names: readonly string[]])[] = Object.entries(order).map(
  ([section, names]) => [section, names.filter(name => existsSync(`${docs}/${name}.md`))],
)

/** Text of `docs/llms.txt`: every page with its title and first paragraph, in the format of llmstxt.org. */
export function llmsText(): string {
  const sections = pages.map(([section, names]) => {
    const lines = names.map(name => {
      const { title, summary } = opening(name)
      return `- [${title}](${name}.md): ${summary}`
    })
    return `## ${section}\n\n${lines.join('\n')}\n`
  })
  const head =
    '# Sluice\n\n> Loads any REST API into typed tables in DuckDB, Postgres or files: a command and a TypeScript library for Node 20.19 or newer. A pipeline is one YAML, JSON or TypeScript file, in the `rest_api` format of dlt.\n'
  return [head, ...sections].join('\n')
}

/** Title and first paragraph of a page. */
export function opening(name: string): { readonly title: string; readonly summary: string } {
  const text = readFileSync(`${docs}/${name}.md`, 'utf8').replaceAll(/<!--.*?-->\n*/gs, '')
  const [, title = name] = /^# (.+)$/m.exec(text) ?? []
  const [, paragraph = ''] = /\n\n(?:> )?(?!```)([^#|\n-][\s\S]*?)(?:\n\n|\n$)/.exec(text) ?? []
  const plain = paragraph
    .replaceAll(/\n>? ?/g, ' ')
    .replaceAll(/\[([^\]]+)\]\([^)]+\)/g, '$1')
    .trim()
  const [first = plain] = /^.*?[.:](?=\s|$)/.exec(plain) ?? []
  return { title, summary: first.replace(/:$/, '.') }
}
