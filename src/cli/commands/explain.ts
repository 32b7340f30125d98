import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { packageRoot } from '../../config/projectFolder.js'
import { nearKey } from '../../model/texts/nearMiss.js'
import type { ExitCode } from '../failure.js'
import { printable } from '../terminal/printable.js'
import { textTable } from '../terminal/table.js'
import { tell } from '../terminal/tell.js'
import { widthOf } from '../terminal/terminal.js'
import type { CommandContext } from './command.js'

/**
 * `sluice explain [CODE]`: what the code of an error or of a warning means, and what to do. Without one, lists them as the
 * guide groups them, each with its first sentence.
 */
export async function explainCommand(code: string | undefined, { terminal }: CommandContext): Promise<ExitCode> {
  const { out, err } = terminal
  const groups = explanations(await readFile(join(packageRoot(), 'docs/troubleshooting.md'), 'utf8'))
  if (code === undefined) {
    groups.forEach(({ title, texts }, index) => {
      out.line(`${index === 0 ? '' : '\n'}${out.styled('bold', title)}`)
      const rows = [...texts].map(([known, text]) => [known, firstSentence(text)])
      for (const line of textTable([{ title: 'code' }, { title: 'means' }], rows, widthOf(out)).slice(2)) out.line(line)
    })
    return 0
  }
  const explained = new Map(groups.flatMap(({ texts }) => [...texts]))
  const text = explained.get(code)
  if (text !== undefined) {
    for (const line of text.split('\n')) tell(out, line, line.startsWith('- ') ? 2 : 0)
    return 0
  }
  const meant = [...explained.keys()].find(known => code.endsWith(`_${known}`)) ?? nearKey(code, explained.keys())
  const hint = meant === undefined ? '; `sluice explain` lists them' : `; did you mean ${meant}?`
  tell(err, `error: There is no code ${printable(code)}${hint}`)
  return 2
}

/** A chapter of the guide, and what it says of each code. */
interface Explained {
  readonly title: string
  readonly texts: ReadonlyMap<string, string>
}

/** The sections of errors and the rows of warnings, without the marks of Markdown. */
function explanations(guide: string): readonly Explained[] {
  const chapters = guide.split(/^## /m).slice(1)
  return chapters.flatMap(chapter => {
    const texts = new Map<string, string>()
    for (const [, code = '', text = ''] of chapter.matchAll(/^\| `([a-z_]+)` \| (.+) \|$/gm))
      texts.set(code, plain(text))
    for (const [, code = '', text = ''] of chapter.matchAll(/^### `([a-z_]+)`\n\n([\s\S]*?)(?=\n##|$(?![\s\S]))/gm)) {
      texts.set(code, plain(text))
    }
    return texts.size === 0 ? [] : [{ title: chapter.split('\n')[0] ?? '', texts }]
  })
}

/** Up to its end, or to a colon, which begins what to do. */
function firstSentence(text: string): string {
  const [line = ''] = text.split('\n')
  // What is in backticks has no end of a sentence.
  const [sentence = ''] = /^(?:`[^`]*`|(?!\. [A-Z(`]|: |; ).)*/.exec(line) ?? []
  return sentence.replace(/\.$/, '')
}

function plain(markdown: string): string {
  return (
    markdown
      .trim()
      .replace(/\[([^\]]+)\]\([^)]*\)/g, '$1')
      .replace(/[*]{2}/g, '')
      // The lines of a paragraph are as long as those of the guide.
      .replace(/([^\n])\n *(?![\n\-| ])/g, '$1 ')
  )
}
