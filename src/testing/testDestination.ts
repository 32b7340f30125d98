import type { Destination } from '../model/destination.js'
import { commitCases } from './cases/commit.js'
import { dispositionCases } from './cases/disposition.js'
import { growthCases } from './cases/growth.js'
import { mergeCases } from './cases/merge.js'
import { mergeOptionCases } from './cases/mergeOptions.js'
import { queryCases } from './cases/queries.js'
import { readCases } from './cases/read.js'
import { strategyCases } from './cases/strategies.js'
import type { CaseTable } from './testDataset.js'

/** The destination to test, and how to create a fresh one. */
export interface DestinationUnderTest {
  readonly name: string
  /** Creates a new, empty place. `dispose` removes it. */
  create(): Promise<{ readonly destination: Destination; dispose(): Promise<void> }>
}

/** One test, for any test runner. It passes when `run` resolves. */
export interface DestinationCase {
  readonly name: string
  run(): Promise<void>
}

/**
 * What every destination must do, as named cases: dispositions and merge strategies over nested tables, growing
 * schemas, atomic commits, state, queries where the destination has SQL. Omits merge cases if the capabilities have no
 * merge strategies, and the cases of a strategy's options if they do not have it.
 *
 * ```ts
 * for (const { name, run } of await testDestination({ name: 'duckdb', create })) test(name, run)
 * ```
 */
export async function testDestination(subject: DestinationUnderTest): Promise<readonly DestinationCase[]> {
  const sample = await subject.create()
  const { capabilities } = sample.destination
  await sample.dispose()
  const merges = capabilities.mergeStrategies.length > 0
  const tables: readonly CaseTable[] = [
    dispositionCases,
    growthCases,
    commitCases,
    readCases,
    queryCases,
    ...(merges ? [mergeCases, strategyCases] : []),
    ...capabilities.mergeStrategies.map(strategy => mergeOptionCases[strategy] ?? {}),
  ]
  return tables.flatMap(table =>
    Object.entries(table).map(([name, body]) => ({
      name: `${subject.name}: ${name}`,
      async run() {
        const { destination, dispose } = await subject.create()
        try {
          await body(destination)
        } finally {
          await dispose()
        }
      },
    })),
  )
}
