import type { Imported, ImportedPipeline, ImportedSecret, ImportNote, LeftOut, SourcePlace } from '../imported.js'
import { CONCEALED, isSecret, TOKENS_WITHIN } from '../requests/credentials.js'

/**
 * A safeguard behind the importers: tokens that show themselves by their form become references in documents, and `***`
 * in what is told, wherever the source had them. Values behind `api_key=` and the like are not told either.
 */
export function concealed({ pipelines, leftOut }: Imported): Imported {
  return { pipelines: pipelines.map(concealedPipeline), leftOut: leftOut.map(concealedLeftOut) }
}

function concealedPipeline(made: ImportedPipeline): ImportedPipeline {
  const found = new Map<string, ImportedSecret>()
  const taken = new Set(made.secrets.map(({ name }) => name))
  const reference = (token: string): string => {
    let secret = found.get(token)
    if (secret === undefined) {
      let name = 'token'
      for (let number = 2; taken.has(name); number++) name = `token_${number}`
      taken.add(name)
      secret = { name, what: 'a token that the source holds' }
      found.set(token, secret)
    }
    return `\${secrets.${secret.name}}`
  }
  const document = rewritten(made.document, text =>
    text.replace(TOKENS_WITHIN, reference),
  ) as ImportedPipeline['document']
  return { ...made, document, notes: made.notes.map(concealedNote), secrets: [...made.secrets, ...found.values()] }
}

/** The same data with every text, keys apart, changed. */
function rewritten(value: unknown, change: (text: string) => string): unknown {
  if (typeof value === 'string') return change(value)
  if (Array.isArray(value)) return value.map(item => rewritten(item, change))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, rewritten(item, change)]))
}

function concealedNote(note: ImportNote): ImportNote {
  return { ...note, text: told(note.text), place: concealedPlace(note.place) }
}

function concealedLeftOut({ what, why, place }: LeftOut): LeftOut {
  return { what: told(what), why: told(why), place: concealedPlace(place) }
}

function concealedPlace(place: SourcePlace | undefined): SourcePlace | undefined {
  return place?.path === undefined ? place : { ...place, path: told(place.path) }
}

function told(text: string): string {
  return text
    .replace(TOKENS_WITHIN, CONCEALED)
    .replace(/([?&])([^=&#\s]+)=[^&#\s]+/g, (pair, mark: string, name: string) =>
      isSecret(name, '') ? `${mark}${name}=${CONCEALED}` : pair,
    )
}
