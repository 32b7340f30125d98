/** What a short run is held against: a process that opens and closes a database, `openDatabase.mjs <file or server>`. */
const [database = ''] = process.argv.slice(2)
if (database.startsWith('postgres:')) {
  const { Client } = await import('pg')
  const client = new Client({ connectionString: database })
  await client.connect()
  await client.end()
} else {
  const { DuckDBInstance } = await import('@duckdb/node-api')
  const instance = await DuckDBInstance.create(database)
  const connection = await instance.connect()
  connection.closeSync()
  instance.closeSync()
}
