/**
 * Keeps tokens between runs, for machines and processes that share them. Texts are secrets: nothing of them is printed,
 * and nobody else can read where they are kept.
 */
export interface TokenStore {
  /** What was kept last under this name. */
  read(name: string): Promise<string | undefined>
  /**
   * Runs the work while nobody else does so for this name: in this process, in others, and on machines that share the
   * place. `keep` replaces what is kept, whole or not at all, and resolves when it would survive a power cut.
   */
  alone<Result>(
    name: string,
    signal: AbortSignal,
    work: (kept: string | undefined, keep: (text: string) => Promise<void>) => Promise<Result>,
  ): Promise<Result>
  /** Where it is, for messages. */
  readonly place: string
}
