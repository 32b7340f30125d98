import { useEffect, useRef, useState } from 'preact/hooks'
import type { ApiFindings, DocumentProblem, DocumentProblems, DocumentText } from '../../pageContract.js'
import { api } from '../apiClient.js'
import { Problem, useApi, When } from '../parts.js'
import { ApiQuestions } from './apiQuestions.js'
import type { DocumentEditor } from './documentEditor.js'

/** Texts that were changed and not saved, by the id of the pipeline, with the version that they began from. */
const drafts = new Map<string, DocumentText>()

addEventListener('beforeunload', event => {
  if (drafts.size > 0) event.preventDefault()
})

/** The pipeline file, with its problems as you type. Saved only on demand; until then another view does not lose it. */
export function DocumentView({ id, onSaved }: DocumentViewProps) {
  const [discards, setDiscards] = useState(0)
  const document = useApi<DocumentText>(`pipelines/${id}/document`, discards)
  const discard = () => {
    drafts.delete(id)
    setDiscards(discards + 1)
  }
  return (
    <When of={document}>
      {given => (
        <Editor
          key={`${id} ${given.version} ${discards}`}
          id={id}
          given={given}
          onSaved={onSaved}
          onDiscard={discard}
        />
      )}
    </When>
  )
}

interface DocumentViewProps {
  readonly id: string
  readonly onSaved: () => void
}

type Saving = { readonly state: 'idle' | 'saved' } | { readonly state: 'failed'; readonly message: string }

interface EditorProps extends DocumentViewProps {
  readonly given: DocumentText
  readonly onDiscard: () => void
}

function Editor({ id, given, onSaved, onDiscard }: EditorProps) {
  const place = useRef<HTMLDivElement>(null)
  const begun = drafts.get(id) ?? given
  const text = useRef(begun.text)
  const version = useRef(begun.version)
  const savedText = useRef(given.text)
  const [problems, setProblems] = useState<readonly DocumentProblem[]>()
  const [isChanged, setIsChanged] = useState(begun.text !== given.text)
  const editor = useRef<DocumentEditor | undefined>(undefined)
  const asked = useRef<ApiFindings | undefined>(undefined)
  const [saving, setSaving] = useState<Saving>({ state: 'idle' })
  const changed = (written: string) => {
    const isOther = written !== savedText.current
    setIsChanged(isOther)
    if (isOther) drafts.set(id, { file: given.file, text: written, version: version.current })
    else drafts.delete(id)
  }
  const save = async () => {
    try {
      const body = { text: text.current, version: version.current }
      const saved = await api<DocumentText>(`pipelines/${id}/document`, { method: 'PUT', body })
      version.current = saved.version
      savedText.current = saved.text
      changed(text.current)
      setSaving({ state: 'saved' })
      onSaved()
    } catch (error) {
      setSaving({ state: 'failed', message: (error as Error).message })
    }
  }
  const latest = useRef({ save, changed })
  latest.current = { save, changed }
  useEffect(() => {
    const holder = place.current
    if (holder === null) return
    let isGone = false
    const check = async (written: string): Promise<readonly DocumentProblem[]> => {
      const body = { text: written }
      const { problems } = await api<DocumentProblems>(`pipelines/${id}/document/check`, { method: 'POST', body })
      setProblems(problems)
      return problems
    }
    const start = async () => {
      const { documentEditor } = await import('./documentEditor.js')
      if (isGone) return
      editor.current = documentEditor(holder, {
        text: text.current,
        isYaml: /\.ya?ml$/i.test(given.file),
        check,
        findings: () => (text.current === savedText.current ? (asked.current?.findings ?? []) : []),
        onChange(written) {
          text.current = written
          latest.current.changed(written)
          setSaving({ state: 'idle' })
        },
        onSave: () => void latest.current.save(),
      })
    }
    void start()
    return () => {
      isGone = true
      editor.current?.destroy()
    }
  }, [id])
  return (
    <>
      <div class="bar">
        <button type="button" class="main" disabled={!isChanged} onClick={() => void save()}>
          Save {given.file}
        </button>
        {isChanged && (
          <button type="button" onClick={onDiscard}>
            Discard changes
          </button>
        )}
        <span role="status" class="quiet">
          {saving.state === 'saved' ? 'saved' : isChanged ? 'changed, not saved' : 'as on disk'}; Ctrl-S saves; Esc,
          then Tab leaves the editor
        </span>
      </div>
      {saving.state === 'failed' && <Problem message={saving.message} />}
      <div ref={place} class="editor" />
      <h3>Problems</h3>
      <ul aria-live="polite">
        {problems?.map(({ path, message, line }) => (
          <li key={`${path} ${message}`}>
            {line !== undefined && <>line {line}: </>}
            <code>{path}</code> {message}
          </li>
        ))}
      </ul>
      {problems === undefined && <p class="quiet">Checking…</p>}
      {problems?.length === 0 && <p class="quiet">None.</p>}
      <ApiQuestions
        id={id}
        isChanged={isChanged}
        onFindings={found => {
          asked.current = found
          editor.current?.marked()
        }}
        onLine={line => editor.current?.goTo(line)}
      />
    </>
  )
}
