import { DuckDBInstance } from '@duckdb/node-api'

/** What a short run is held against: a process that opens and closes a database, `openDatabase.mjs <file>`. */
const [database = ''] = process.argv.slice(2)
const instance = await DuckDBInstance.create(database)
const connection = await instance.connect()
connection.closeSync()
instance.closeSync()
