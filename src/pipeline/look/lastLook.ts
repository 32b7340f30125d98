import { join } from 'node:path'
import type { Files } from '../../journal/fileSystem.js'
import { parseJson } from '../../json/parse.js'
import { isJsonObject } from '../../json/value.js'
import { stringifyJson } from '../../json/write.js'
import { VERDICTS, type Verdict } from '../../model/receipt.js'
import { type PipelineSetup, pipelineFolder } from '../setup.js'

/** A run that found nothing to commit. It leaves no load, so only the working folder of its machine tells of it. */
export interface LastLook {
  readonly at: Date
  /** By resource. */
  readonly verdicts: Readonly<Record<string, Verdict>>
}

/** Notes a run without news. The note of the one before is replaced. */
export async function noteLook(setup: PipelineSetup, { at, verdicts }: LastLook): Promise<void> {
  const path = lookFile(setup)
  const draft = `${path}.new`
  await setup.files.writeText(draft, `${stringifyJson({ at: at.toISOString(), verdicts: { ...verdicts } })}\n`)
  await setup.files.rename(draft, path)
}

/** The newest run without news that was made with this working folder. Undefined if there is none. */
export async function readLook(setup: PipelineSetup): Promise<LastLook | undefined> {
  const text = await textAt(setup.files, lookFile(setup))
  const note = text === undefined ? undefined : parsed(text)
  if (!isJsonObject(note) || typeof note.at !== 'string' || Number.isNaN(Date.parse(note.at))) return undefined
  const verdicts = Object.entries(isJsonObject(note.verdicts) ? note.verdicts : {}).filter(
    (entry): entry is [string, Verdict] => VERDICTS.some(verdict => verdict === entry[1]),
  )
  return { at: new Date(note.at), verdicts: Object.fromEntries(verdicts) }
}

function lookFile(setup: PipelineSetup): string {
  return join(pipelineFolder(setup), 'last_look.json')
}

async function textAt(files: Files, path: string): Promise<string | undefined> {
  try {
    return await files.readText(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** A note that cannot be read is as none: it says nothing that counts. */
function parsed(text: string): unknown {
  try {
    return parseJson(text)
  } catch {
    return undefined
  }
}
