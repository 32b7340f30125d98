import { readdir, readFile } from 'node:fs/promises'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { reportFailure } from '../../src/cli/failure.js'
import { duckdb, pipeline, type RestApiConfig, restApi } from '../../src/index.js'
import { testFolder } from '../pipeline/api.js'
import fc from '../properties.js'
import { ENCODERS, traces } from './spellings.js'

/**
 * An API that says the key it was given wherever it can, written in any way. Afterwards the key is looked for, as it was
 * written and as it is, in all that a run throws, tells, prints or leaves behind.
 */
const RUNS = Number(process.env.SLUICE_PROPERTY_RUNS ?? 6)

const secrets = fc
  .array(fc.constantFrom(...`abcdefgXYZ019!'()*~"\\%&<>+/=?#:;-_.üéß日本😀`), { minLength: 12, maxLength: 40 })
  .map(parts => `k${parts.join('')}e`)
  // What is left of a secret of ten equal characters could be anything.
  .filter(text => new Set(text).size > 6)

interface Said {
  /** As the echo is written. */
  readonly echo: string
  readonly url: URL
  readonly response: ServerResponse
  readonly origin: string
}

interface Place {
  readonly answer: (said: Said) => void
  readonly resource?: object
  readonly client?: object
  /** The rows hold it: the tables are not looked into. */
  readonly isData?: boolean
}

function answerJson(
  response: ServerResponse,
  value: unknown,
  status = 200,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers })
  response.end(JSON.stringify(value))
}

/** A header holds only some characters: the rest goes as UTF-8, as careless servers send it. */
const headerText = (text: string): string => Buffer.from(text.replace(/[\r\n]/g, ' ')).toString('latin1')

const PLACES: Readonly<Record<string, Place>> = {
  'an error in JSON': {
    answer: ({ echo, response }) => answerJson(response, { error: `wrong key ${echo}`, again: [echo] }, 403),
  },
  'an error as text, cut in the middle': {
    answer: ({ echo, response }) => {
      response.writeHead(500, { 'content-type': 'text/html' })
      response.end(`<html>${' .'.repeat(80)} ${echo} ${echo}</html>`)
    },
  },
  'a body that is no JSON': {
    answer: ({ echo, response }) => {
      response.setHeader('content-type', 'application/json')
      response.end(`{"key": "x", ${echo}`)
    },
  },
  'a next link that leads nowhere': {
    answer: ({ echo, url, response, origin }) =>
      url.searchParams.has('other')
        ? answerJson(response, {}, 404)
        : answerJson(response, { items: [{ id: 1 }], next: `${origin}/items?other=${echo.replaceAll('#', '%23')}` }),
    resource: { endpoint: { data_selector: 'items', paginator: { type: 'json_link', next_url_path: 'next' } } },
  },
  'a redirect that leads nowhere': {
    answer: ({ echo, url, response, origin }) =>
      url.searchParams.has('other')
        ? answerJson(response, {}, 404)
        : answerJson(response, {}, 302, { location: `${origin}/items?other=${headerText(echo)}` }),
  },
  'a selector that matches nothing': {
    answer: ({ echo, response }) => answerJson(response, { [echo]: [], [`x${echo}`]: 1 }),
    resource: { endpoint: { data_selector: 'nowhere' } },
  },
  'a cursor that is given twice': {
    answer: ({ echo, response }) => answerJson(response, { items: [{ id: 1 }], cursor: echo }),
    resource: {
      endpoint: { data_selector: 'items', paginator: { type: 'cursor', cursor_path: 'cursor', cursor_param: 'after' } },
    },
  },
  'a Link header that cannot be used': {
    answer: ({ echo, response }) =>
      answerJson(response, [{ id: 1 }], 200, { link: `<http://[${headerText(echo)}>; rel="next"` }),
    resource: { endpoint: { paginator: { type: 'header_link' } } },
  },
  'a value that does not fit': {
    answer: ({ echo, response }) => answerJson(response, [{ id: echo }]),
    resource: { columns: { id: { data_type: 'bigint' } }, schema_contract: 'freeze' },
    isData: true,
  },
  'a key that is a column twice': {
    answer: ({ echo, response }) => answerJson(response, [{ [`${echo}!`]: 1, [`${echo}?`]: 2 }]),
    isData: true,
  },
  'a cursor field': {
    answer: ({ echo, response }) => answerJson(response, [{ id: 1, at: echo }]),
    resource: { endpoint: { incremental: { cursor_path: 'at', initial_value: '0' } } },
  },
  'a journal that is kept': {
    answer: ({ echo, response }) =>
      answerJson(response, { items: [{ id: 1 }], you: echo }, 200, { 'x-you': headerText(echo) }),
    resource: { endpoint: { data_selector: 'items', paginator: 'single_page' } },
  },
  'a step that fails': {
    answer: ({ echo, response }) => answerJson(response, [{ id: echo }]),
    resource: {
      processing_steps: [
        {
          map: (record: object) => {
            throw new Error(`cannot use ${JSON.stringify(record)}`, { cause: { record } })
          },
        },
      ],
    },
  },
}

let origin: string
let close: () => Promise<void>
/** What the API of this moment does; runs follow each other. */
let place: Place
let encode: (text: string) => string
let issued: string | undefined

beforeAll(async () => {
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', origin)
    if (url.pathname === '/token') {
      answerJson(response, { access_token: issued, expires_in: 3600 })
      return
    }
    const key = issued ?? url.searchParams.get('key')
    // What an API leads to is asked without the key again: it is the parameter that has it.
    const echo = key === null ? '' : encode(key)
    place.answer({ echo, url, response, origin })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  close = () =>
    new Promise(resolve => {
      server.close(() => resolve())
      server.closeAllConnections()
    })
})

afterAll(() => close())

async function everything(auth: object): Promise<string> {
  const folder = await testFolder()
  const document = {
    client: { base_url: origin, auth, retry: { attempts: 1 }, ...place.client },
    resources: [{ name: 'items', ...place.resource }],
  } as RestApiConfig
  const made = pipeline({
    name: 'p',
    source: restApi(document, { env: {}, cwd: folder, warn: () => {} }),
    destination: duckdb(join(folder, 'p.duckdb')),
    home: join(folder, 'work'),
  })
  const parts: string[] = []
  const end = await made
    .run({ keepJournal: true, onEvent: event => parts.push(JSON.stringify(event), inspect(event, { depth: 9 })) })
    .catch((error: unknown) => error)
  parts.push(inspect(end, { depth: 20 }), JSON.stringify(end))
  if (end instanceof Error) {
    parts.push(end.message, end.stack ?? '', String(end.cause))
    const line = (text: string): void => void parts.push(text)
    reportFailure(
      end,
      { line, write: line, isTerminal: false, columns: () => 80, rows: () => 24, styled: (_, text) => text },
      { debug: true },
    )
  }
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || (place.isData === true && entry.name.startsWith('p.duckdb'))) continue
    parts.push((await readFile(join(entry.parentPath, entry.name))).toString('latin1'))
  }
  return parts.join('\n')
}

describe.each(Object.entries(PLACES))('%s', (_name, where) => {
  test('shows no key, however it is written', { timeout: 60_000 + RUNS * 2_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(secrets, fc.constantFrom(...ENCODERS), fc.boolean(), async (secret, spell, isToken) => {
        place = where
        encode = spell
        const token = `t${Buffer.from(secret).toString('base64url')}`
        issued = isToken ? token : undefined
        const auth = isToken
          ? {
              type: 'oauth2_client_credentials',
              access_token_url: `${origin}/token`,
              client_id: 'client',
              client_secret: secret,
            }
          : { type: 'api_key', name: 'key', api_key: secret, location: 'query' }
        const found = await everything(auth)
        expect(found).toContain('***')
        const known = isToken ? token : secret
        for (const trace of traces(known, spell(known))) {
          const at = found.indexOf(trace)
          expect(at < 0 ? '' : found.slice(Math.max(0, at - 200), at + trace.length + 20), `as ${trace}`).toBe('')
        }
      }),
      { numRuns: RUNS },
    )
    onTestFinished(() => {
      issued = undefined
    })
  })
})
