import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { packageRoot } from '../../config/projectFolder.js'
import { nearMiss } from '../../model/nearMiss.js'
import type { ExitCode } from '../failure.js'
import { printable } from '../terminal/printable.js'
import { tell } from '../terminal/tell.js'
import type { CommandContext } from './command.js'

/** `sluice explain [CODE]`: what the code of an error or of a warning means, and what to do. Without one, lists them. */
export async function explainCommand(code: string | undefined, { terminal }: CommandContext): Promise<ExitCode> {
  const explained = explanations(await readFile(join(packageRoot(), 'docs/troubleshooting.md'), 'utf8'))
  if (code === undefined) {
    for (const known of [...explained.keys()].sort()) terminal.out.line(known)
    return 0
  }
  const text = explained.get(code)
  if (text !== undefined) {
    for (const line of text.split('\n')) tell(terminal.out, line, 0)
    return 0
  }
  const meant = [...explained.keys()].find(known => code.endsWith(`_${known}`)) ?? nearMiss(code, explained.keys())
  const hint = meant === undefined ? `; known are ${[...explained.keys()].join(', ')}` : `; did you mean ${meant}?`
  tell(terminal.err, `error: There is no code ${printable(code)}${hint}`)
  return 2
}

/** By code: the sections of errors and the rows of warnings, without the marks of Markdown. */
function explanations(guide: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>()
  for (const [, code = '', text = ''] of guide.matchAll(/^\| `([a-z_]+)` \| (.+) \|$/gm)) found.set(code, plain(text))
  for (const [, code = '', text = ''] of guide.matchAll(/^### `([a-z_]+)`\n\n([\s\S]*?)(?=\n##|$(?![\s\S]))/gm)) {
    found.set(code, plain(text))
  }
  return found
}

function plain(markdown: string): string {
  return markdown
    .trim()
    .replace(/\[([^\]]+)\]\([^)]*\)/g, '$1')
    .replace(/[*]{2}/g, '')
}
