/** What a user expects of the records of one run. A run that breaks it is `incomplete`. */
export interface Expectations {
  /** Fewest records that must arrive. */
  readonly minRecords?: number | undefined
  /** Greatest share by which their number may differ from that of the last committed load. */
  readonly maxChange?: number | undefined
  /** How old the newest time at a JSONPath may be. `text` is the duration as written. */
  readonly maxAge?: { readonly path: string; readonly ms: number; readonly text: string } | undefined
  /** JSONPaths at which every record must have a value other than null. */
  readonly notNull: readonly string[]
  /** Groups of JSONPaths whose values together occur once. */
  readonly unique: readonly (readonly string[])[]
}

const DURATION =
  /^P(?=[\dT])(?:(\d+(?:\.\d+)?)W)?(?:(\d+(?:\.\d+)?)D)?(?:T(?=\d)(?:(\d+(?:\.\d+)?)H)?(?:(\d+(?:\.\d+)?)M)?(?:(\d+(?:\.\d+)?)S)?)?$/
const UNITS_MS = [604_800_000, 86_400_000, 3_600_000, 60_000, 1_000]

/** Milliseconds of an ISO 8601 duration. Undefined if it is none, or has years or months, whose lengths differ. */
export function durationMs(text: string): number | undefined {
  const match = DURATION.exec(text.trim().toUpperCase())
  if (match === null) return undefined
  return UNITS_MS.reduce((sum, unit, index) => sum + Number(match[index + 1] ?? 0) * unit, 0)
}
