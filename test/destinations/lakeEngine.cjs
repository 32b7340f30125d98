/**
 * Loads DuckDB from the folder of the extensions, where the one of this package is another version than they are for.
 * Loaded before anything else loads DuckDB, here or by `node --require` in a process that a test starts.
 */
const { existsSync } = require('node:fs')
const { createRequire, Module } = require('node:module')
const { join } = require('node:path')

const DRIVER = '@duckdb/node-api'
const folder = process.env.SLUICE_DUCKDB_EXTENSIONS ?? ''
if (existsSync(join(folder, 'node_modules', DRIVER))) {
  const fitting = createRequire(join(folder, 'engine.cjs')).resolve(DRIVER)
  const resolve = Module._resolveFilename
  Module._resolveFilename = (request, ...others) => (request === DRIVER ? fitting : resolve(request, ...others))
}
