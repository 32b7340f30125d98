import type { Importer } from './imported.js'

/** What can be imported. */
export type ImportKind = 'curl' | 'har' | 'openapi' | 'postman' | 'airbyte' | 'dlt'

interface ImporterEntry {
  /** What the source is, for messages. */
  readonly source: string
  /** Loads the importer with its parsers, only when it is asked for. */
  readonly load: () => Promise<Importer>
}

/** Every importer. A new one is its folder and a line here. */
export const importers: Readonly<Record<ImportKind, ImporterEntry>> = {
  airbyte: {
    source: 'a manifest of Airbyte',
    load: async () => (await import('./tools/airbyte/airbyte.js')).importAirbyte,
  },
  har: { source: 'a recording of a browser', load: async () => (await import('./tools/har/importHar.js')).importHar },
  dlt: { source: 'a script of dlt', load: async () => (await import('./tools/dlt/importDlt.js')).importDlt },
  postman: {
    source: 'a Postman collection',
    load: async () => (await import('./tools/postman/importPostman.js')).importPostman,
  },
  openapi: {
    source: 'an OpenAPI document',
    load: async () => (await import('./tools/openapi/openapi.js')).importOpenapi,
  },
  curl: { source: 'a command of curl', load: async () => (await import('./tools/curl/importCurl.js')).importCurl },
}
