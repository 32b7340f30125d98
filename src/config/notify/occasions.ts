/** Why somebody is told about a run. */
export type Occasion = 'failure' | 'incomplete' | 'late' | 'drift' | 'success'
export const OCCASIONS = ['failure', 'incomplete', 'late', 'drift', 'success'] as const satisfies readonly Occasion[]

export const DEFAULT_OCCASIONS: readonly Occasion[] = ['failure', 'incomplete', 'late', 'drift']

export const DEFAULT_NOTIFYING_SECONDS = 10
export const LONGEST_NOTIFYING_SECONDS = 300
