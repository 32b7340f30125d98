/** The editor, loaded with the first document. */
import {
  autocompletion,
  type CompletionContext,
  type CompletionResult,
  completionKeymap,
} from '@codemirror/autocomplete'
import { defaultKeymap, history, historyKeymap, indentWithTab } from '@codemirror/commands'
import { yaml } from '@codemirror/lang-yaml'
import { defaultHighlightStyle, syntaxHighlighting } from '@codemirror/language'
import { type Diagnostic, linter, lintGutter } from '@codemirror/lint'
import { EditorState } from '@codemirror/state'
import { drawSelection, EditorView, keymap, lineNumbers } from '@codemirror/view'
import type { DocumentProblem } from '../pageContract.js'
import { api } from './apiClient.js'
import { type JsonSchema, suggestionsAt } from './documentCompletion.js'

interface DocumentEditorOptions {
  readonly text: string
  readonly isYaml: boolean
  readonly check: (text: string) => Promise<readonly DocumentProblem[]>
  readonly onChange: (text: string) => void
  readonly onSave: () => void
}

/** Puts an editor into `holder`. Gives what takes it away. */
export function documentEditor(holder: HTMLElement, options: DocumentEditorOptions): () => void {
  const { text, isYaml, check, onChange, onSave } = options
  const saved = keymap.of([
    {
      key: 'Mod-s',
      preventDefault: true,
      run: () => {
        onSave()
        return true
      },
    },
  ])
  const view = new EditorView({
    parent: holder,
    state: EditorState.create({
      doc: text,
      extensions: [
        lineNumbers(),
        history(),
        drawSelection(),
        EditorView.lineWrapping,
        saved,
        keymap.of([...defaultKeymap, ...historyKeymap, indentWithTab]),
        isYaml ? [yaml(), autocompletion({ override: [completed] }), keymap.of(completionKeymap)] : [],
        syntaxHighlighting(defaultHighlightStyle, { fallback: true }),
        lintGutter(),
        linter(async ({ state }) => (await check(state.doc.toString())).map(problem => diagnostic(state, problem)), {
          delay: 400,
        }),
        EditorView.contentAttributes.of({ 'aria-label': 'Pipeline file' }),
        EditorView.updateListener.of(update => {
          if (update.docChanged) onChange(update.state.doc.toString())
        }),
      ],
    }),
  })
  return () => view.destroy()
}

function diagnostic({ doc }: EditorState, { path, message, line, column }: DocumentProblem): Diagnostic {
  const at = doc.line(Math.min(Math.max(line ?? 1, 1), doc.lines))
  const from = Math.min(at.from + Math.max((column ?? 1) - 1, 0), at.to)
  return { from, to: Math.max(at.to, from), severity: 'error', message: path === '' ? message : `${path}: ${message}` }
}

let schema: Promise<JsonSchema> | undefined

/** Keys and values that the schema of pipeline files allows at the cursor. */
async function completed({ state, pos, explicit }: CompletionContext): Promise<CompletionResult | null> {
  schema ??= api<JsonSchema>('document-schema')
  const lines = state.doc.toString().split('\n')
  const at = state.doc.lineAt(pos)
  const found = suggestionsAt(lines, at.number - 1, pos - at.from, await schema)
  if (found === undefined || (!explicit && found.from === pos - at.from)) return null
  return {
    from: at.from + found.from,
    options: found.suggestions.map(({ word, kind, about }) => ({
      label: word,
      type: kind === 'key' ? 'property' : 'constant',
      apply: kind === 'key' ? `${word}: ` : word,
      ...(about !== undefined && { info: about }),
    })),
  }
}
