import { createHash } from 'node:crypto'
import { chmod, realpath, stat } from 'node:fs/promises'
import { extname } from 'node:path'
import { readText } from '../config/file/documentFile.js'
import { checkPipelineText } from '../config/pipelineFile.js'
import { replaceFile } from '../journal/wholeFile.js'
import { ConfigError } from '../model/errors.js'
import { inTurns } from '../model/runtime/inTurn.js'
import type { DocumentProblem, DocumentSaved, DocumentText } from './pageContract.js'

/** The text of a pipeline file, with what tells it from a later one. Throws a ConfigError if it is not there any more. */
export async function readDocumentText(path: string, file: string): Promise<DocumentText> {
  const text = await readText(path, file)
  return { file, text, version: versionOf(text) }
}

/** Whether a file is a document: modules run code, and are only shown. */
export function isDocument(path: string): boolean {
  return /^\.(ya?ml|json)$/i.test(extname(path))
}

/** Every problem of a text, by the checker of `sluice check --offline`. */
export async function problemsOf(text: string, path: string, cwd: string): Promise<readonly DocumentProblem[]> {
  try {
    await checkPipelineText(text, path, cwd)
    return []
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return error.problems.map(({ place: { path, line, column }, message }) => ({ path, message, line, column }))
  }
}

/** Of two saves at once, the second one sees what the first one wrote. */
const inTurn = inTurns()

/** Writes the file, whole. Throws a ConfigError if somebody else changed it since it was read, or if it is no pipeline. */
export async function saveDocumentText(...saved: Parameters<typeof savedText>): Promise<DocumentText> {
  return await inTurn(saved[0], () => savedText(...saved))
}

async function savedText(
  path: string,
  file: string,
  { text, version }: DocumentSaved,
  cwd: string,
): Promise<DocumentText> {
  const refuse = (message: string): ConfigError => new ConfigError([{ place: { path: '', file }, message }])
  if (!isDocument(path)) throw refuse('is code, and is not written from here')
  const current = await readDocumentText(path, file)
  if (current.version !== version) throw refuse('was changed by somebody else since it was opened: load it again')
  const [problem] = await problemsOf(text, path, cwd)
  if (problem !== undefined) throw refuse(`has problems and was not saved: ${problem.message}`)
  // A link stays one, and the file stays readable for those who could read it.
  const real = await realpath(path)
  const { mode } = await stat(real)
  await replaceFile(real, text)
  await chmod(real, mode & 0o777)
  return { file, text, version: versionOf(text) }
}

function versionOf(text: string): string {
  return createHash('sha256').update(text).digest('base64url')
}
