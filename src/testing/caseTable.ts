import type { Destination } from '../model/destination.js'

/** A case before it is given a destination. */
type CaseBody = (destination: Destination) => Promise<void>
export type CaseTable = Readonly<Record<string, CaseBody>>
