import { useEffect, useRef, useState } from 'preact/hooks'
import type { ApiFindings, DocumentProblem, DocumentProblems, DocumentText } from '../pageContract.js'
import { api } from './apiClient.js'
import { ApiQuestions } from './apiQuestions.js'
import type { DocumentEditor } from './documentEditor.js'
import { Problem, useApi, When } from './parts.js'

/** The pipeline file, with its problems as you type. Saved only on demand. */
export function DocumentView({ id, onSaved }: DocumentViewProps) {
  const document = useApi<DocumentText>(`pipelines/${id}/document`)
  return <When of={document}>{given => <Editor key={id} id={id} given={given} onSaved={onSaved} />}</When>
}

interface DocumentViewProps {
  readonly id: string
  readonly onSaved: () => void
}

type Saving = { readonly state: 'idle' | 'saved' } | { readonly state: 'failed'; readonly message: string }

function Editor({ id, given, onSaved }: DocumentViewProps & { readonly given: DocumentText }) {
  const place = useRef<HTMLDivElement>(null)
  const text = useRef(given.text)
  const version = useRef(given.version)
  const savedText = useRef(given.text)
  const [problems, setProblems] = useState<readonly DocumentProblem[]>()
  const [isChanged, setIsChanged] = useState(false)
  const editor = useRef<DocumentEditor | undefined>(undefined)
  const asked = useRef<ApiFindings | undefined>(undefined)
  const [saving, setSaving] = useState<Saving>({ state: 'idle' })
  const save = async () => {
    try {
      const body = { text: text.current, version: version.current }
      const saved = await api<DocumentText>(`pipelines/${id}/document`, { method: 'PUT', body })
      version.current = saved.version
      savedText.current = saved.text
      setIsChanged(text.current !== saved.text)
      setSaving({ state: 'saved' })
      onSaved()
    } catch (error) {
      setSaving({ state: 'failed', message: (error as Error).message })
    }
  }
  const latestSave = useRef(save)
  latestSave.current = save
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
        text: given.text,
        isYaml: /\.ya?ml$/i.test(given.file),
        check,
        findings: () => (text.current === savedText.current ? (asked.current?.findings ?? []) : []),
        onChange(written) {
          text.current = written
          setIsChanged(written !== savedText.current)
          setSaving({ state: 'idle' })
        },
        onSave: () => void latestSave.current(),
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
