import type { Destination } from '../model/destination.js'

/** A case without its destination. */
type CaseBody = (destination: Destination) => Promise<void>
export type CaseTable = Readonly<Record<string, CaseBody>>
