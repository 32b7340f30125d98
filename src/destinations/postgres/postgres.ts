import type { Destination } from '../../model/destination.js'
import { anything, checkOptions, isObject, needed, optionsOf, secretText, text } from '../../model/optionKinds.js'
import { reveal, type Secret } from '../../model/secrets/secret.js'
import { addressOf, type PostgresAddress, type PostgresOptions } from './postgresAddress.js'
import { postgresCapabilities } from './postgresDialect.js'

export type { PostgresOptions, TlsMode } from './postgresAddress.js'

/**
 * Loads into a Postgres database, version 15 or later. A dataset is a schema. Rows are staged in temporary tables of
 * the load's own session and become visible in one transaction. Readers see the old rows, or all new ones.
 *
 * Needs the package `pg`. Throws a ConfigError if the connection string is invalid.
 *
 * @example
 * ```ts
 * import { pipeline, postgres, restApi } from 'sluice'
 *
 * const source = restApi({ client: { base_url: 'https://api.example.com' }, resources: ['shops'] })
 * const destination = postgres('postgres://localhost/warehouse')
 * await pipeline({ name: 'shops', source, destination, dataset: 'crm' }).run() // into the table crm.shops
 * ```
 */
export function postgres(target: string | Secret | PostgresOptions): Destination {
  const options = isOptions(target) ? target : { connectionString: target }
  checkOptions(forPostgres, options)
  const address = addressOf(options)
  return {
    name: address.name,
    capabilities: postgresCapabilities,
    secrets: secretsOf(address),
    async connect(dataset, signal) {
      signal?.throwIfAborted()
      const { postgresConnection } = await import('./postgresConnection.js')
      return await postgresConnection(address, dataset, signal)
    },
  }
}

const forPostgres = optionsOf<PostgresOptions>('a connection string', {
  connectionString: needed(secretText),
  password: secretText,
  ssl: optionsOf<NonNullable<PostgresOptions['ssl']>>('settings of TLS', {
    mode: text,
    ca: text,
    cert: text,
    key: secretText,
  }),
  // Checked with those of the connection string.
  lockTimeoutMs: anything,
  statementTimeoutMs: anything,
  connectTimeoutMs: anything,
})

/** A password equal to the name of user, host or database is no secret: messages contain these names. */
function secretsOf({ password, user = '', name }: PostgresAddress): readonly Secret[] {
  return password === undefined || user === reveal(password) || name.includes(reveal(password)) ? [] : [password]
}

function isOptions(target: string | Secret | PostgresOptions): target is PostgresOptions {
  return isObject(target) && 'connectionString' in target
}
