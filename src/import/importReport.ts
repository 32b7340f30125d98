import type { ImportNote, LeftOut, SourcePlace } from './imported.js'
import type { ImportedFile } from './importPipeline.js'

/** What became of one thing in the source. */
export interface ReportLine {
  readonly kind: ImportNote['kind'] | 'left out'
  /** `line 12` or a path, if it is known. */
  readonly place: string | undefined
  readonly text: string
}

const ORDER = ['taken', 'assumed', 'open'] as const

/** What was taken of the source, what is assumed and what is open, in this order, each in the order of the source. */
export function reportOf({ notes }: Pick<ImportedFile, 'notes'>): ReportLine[] {
  return ORDER.flatMap(kind =>
    notes
      .filter(note => note.kind === kind)
      .map(({ resource, place, text, stopsRun }) => ({
        kind,
        place: placeText(place),
        text: `${resource === undefined ? '' : `${resource}: `}${text}${stopsRun === true ? ' (before the first run)' : ''}`,
      })),
  )
}

export function reportOfLeftOut(leftOut: readonly LeftOut[]): ReportLine[] {
  return leftOut.map(({ what, place, why }) => ({ kind: 'left out', place: placeText(place), text: `${what}: ${why}` }))
}

function placeText(place: SourcePlace | undefined): string | undefined {
  if (place?.line === undefined) return place?.path
  return place.path === undefined ? `line ${place.line}` : `line ${place.line}, ${place.path}`
}
