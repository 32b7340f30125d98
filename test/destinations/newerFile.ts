import { readFile, writeFile } from 'node:fs/promises'
import { driver } from '../../src/destinations/duckdb/database.js'

/** A file that says of itself that its format is that of DuckDB 2. */
export async function newerFile(path: string): Promise<void> {
  const instance = await driver().DuckDBInstance.create(path)
  instance.closeSync()
  const file = await readFile(path)
  // The version is behind the checksum and `DUCK`; the engine itself says what the checksum would be then.
  file.writeBigUInt64LE(69n, 12)
  await writeFile(path, file)
  const refused = await driver()
    .DuckDBInstance.create(path)
    .catch((error: Error) => error.message)
  file.writeBigUInt64LE(BigInt(/computed checksum (\d+)/.exec(String(refused))?.[1] ?? 0))
  await writeFile(path, file)
}
