/** The editor, loaded with the first document. */
import {
  autocompletion,
  type CompletionContext,
  type CompletionResult,
  completionKeymap,
} from '@codemirror/autocomplete'
import { defaultKeymap, history, historyKeymap, indentWithTab } from '@codemirror/commands'
import { yaml } from '@codemirror/lang-yaml'
import { defaultHighlightStyle, HighlightStyle, syntaxHighlighting } from '@codemirror/language'
import { type Diagnostic, forceLinting, linter, lintGutter } from '@codemirror/lint'
import { EditorState } from '@codemirror/state'
import { drawSelection, EditorView, keymap, lineNumbers } from '@codemirror/view'
import type { DocumentFinding, DocumentProblem } from '../../pageContract.js'
import { api } from '../apiClient.js'
import { type JsonSchema, suggestionsAt } from './documentCompletion.js'

interface DocumentEditorOptions {
  readonly text: string
  readonly isYaml: boolean
  readonly check: (text: string) => Promise<readonly DocumentProblem[]>
  /** What the API showed about the text, as long as it is the one that was asked about. */
  readonly findings: () => readonly DocumentFinding[]
  readonly onChange: (text: string) => void
  readonly onSave: () => void
}

export interface DocumentEditor {
  /** Shows problems and findings as they are now. */
  marked(): void
  /** Moves the cursor to a line, and shows it. */
  goTo(line: number): void
  destroy(): void
}

/** Puts an editor into `holder`. */
export function documentEditor(holder: HTMLElement, options: DocumentEditorOptions): DocumentEditor {
  const { text, isYaml, check, findings, onChange, onSave } = options
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
        LOOKS,
        syntaxHighlighting(COLOURS),
        lintGutter(),
        linter(
          async ({ state }) => [
            ...(await check(state.doc.toString())).map(problem => diagnostic(state, problem, 'error')),
            ...findings().map(finding => {
              const severity = SEVERITIES[finding.status]
              return diagnostic(state, { ...finding, path: finding.key }, severity)
            }),
          ],
          // Findings change without the text.
          { delay: 400, needsRefresh: ({ transactions }) => transactions.some(one => one.isUserEvent('findings')) },
        ),
        EditorView.contentAttributes.of({ 'aria-label': 'Pipeline file' }),
        EditorView.updateListener.of(update => {
          if (update.docChanged) onChange(update.state.doc.toString())
        }),
      ],
    }),
  })
  return {
    marked() {
      view.dispatch({ userEvent: 'findings' })
      forceLinting(view)
    },
    goTo(line) {
      const { from } = view.state.doc.line(Math.min(Math.max(line, 1), view.state.doc.lines))
      view.dispatch({ selection: { anchor: from }, scrollIntoView: true })
      view.focus()
    },
    destroy: () => view.destroy(),
  }
}

/** On dark, the place of each colour of CodeMirror's usual style. */
const ON_DARK: Readonly<Record<string, string>> = {
  '#404740': '#a3b0b1',
  '#708': '#d7a6f5',
  '#219': '#8fc7ff',
  '#164': '#7fd796',
  '#a11': '#f0b26a',
  '#e40': '#ffb38a',
  '#00f': '#8fc7ff',
  '#30a': '#b9b4ff',
  '#085': '#7fd7b6',
  '#167': '#5cc9c2',
  '#256': '#8fd0c9',
  '#00c': '#8fc7ff',
  '#940': '#a3b0b1',
  '#f00': '#ff9b94',
}

const COLOURS = HighlightStyle.define(
  defaultHighlightStyle.specs.map(spec =>
    typeof spec.color === 'string'
      ? { ...spec, color: `light-dark(${spec.color}, ${ON_DARK[spec.color] ?? '#e6ebeb'})` }
      : spec,
  ),
)

/** The colours of the page, light or dark as it is. */
const LOOKS = EditorView.theme({
  '&': { backgroundColor: 'var(--panel)', color: 'var(--ink)' },
  '.cm-content': { caretColor: 'var(--ink)' },
  '.cm-cursor': { borderLeftColor: 'var(--ink)' },
  '.cm-gutters': { backgroundColor: 'var(--back)', color: 'var(--quiet)', borderRightColor: 'var(--line)' },
  '&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground': {
    backgroundColor: 'color-mix(in srgb, var(--accent) 26%, transparent)',
  },
  '.cm-tooltip': { backgroundColor: 'var(--panel)', color: 'var(--ink)', borderColor: 'var(--line)' },
  '.cm-tooltip-autocomplete > ul > li[aria-selected]': {
    backgroundColor: 'var(--accent)',
    color: 'var(--accent-ink)',
  },
})

const SEVERITIES = { proven: 'hint', noted: 'info', assumed: 'warning', wrong: 'error' } as const

function diagnostic(
  { doc }: EditorState,
  { path, message, line, column }: DocumentProblem,
  severity: Diagnostic['severity'],
): Diagnostic {
  const at = doc.line(Math.min(Math.max(line ?? 1, 1), doc.lines))
  const from = Math.min(at.from + Math.max((column ?? 1) - 1, 0), at.to)
  return { from, to: Math.max(at.to, from), severity, message: path === '' ? message : `${path}: ${message}` }
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
