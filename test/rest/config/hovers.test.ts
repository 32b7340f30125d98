import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'
import { expect, expectTypeOf, test } from 'vitest'
import type { z } from 'zod'
import type { flatPipeline, wrappedPipeline } from '../../../src/config/pipelineDocument.js'
import type {
  DocumentPipelineConfig,
  EndpointConfig,
  JsonObject,
  JsonValue,
  PaginatorConfig,
  ResourceConfig,
  ResourceDefaultsConfig,
  RestApiConfig,
  SourcePipelineConfig,
} from '../../../src/index.js'
import type { restDocument } from '../../../src/rest/document/declaration/declaration.js'
import type { endpoint } from '../../../src/rest/document/declaration/endpointKeys.js'
import type { paginator } from '../../../src/rest/document/declaration/variants.js'
import { root } from '../../docs/blocks.js'
import { compilerOptions, typeErrors } from '../../docs/compile.js'

/** What editors and the compiler say of a document in TypeScript: asked of the compiler itself. */
const declared = join(root, 'src/rest/document/declaration/configTypes.ts')
const written = join(root, 'docs/hover.ts')
const paths = { sluice: ['./src/index.ts'] }

/** A document with keys of every map in it. The cases below look at the first place of a key. */
const document = `import { restApi, secret } from 'sluice'
restApi({
  client: {
    base_url: 'https://api.example.com',
    auth: { type: 'api_key', location: 'query', api_key: secret('key') },
    retry: { max_wait: 60 },
    rate_limit: { per: 60 },
  },
  resource_defaults: { max_table_nesting: 2 },
  resources: [
    'shops',
    {
      name: 'orders',
      endpoint: {
        paginator: { type: 'offset', limit: 100, maximum_offset: 5 },
        incremental: { cursor_path: 'at', last_value_func: 'max' },
        response_actions: [{ status_code: 404, action: 'ignore' }],
        batch_size: 2,
      },
      write_disposition: { disposition: 'merge', strategy: 'upsert' },
      schema_contract: { tables: 'freeze' },
      columns: { id: { data_type: 'bigint' } },
      nested_hints: { lines: { primary_key: 'id' } },
      processing_steps: [{ filter: order => order.id !== 1 }],
    },
  ],
})
`

const documentService = service({ [written]: document })

test.each<[key: string, text: RegExp]>([
  ['client', /^The API: what all resources have in common\. /],
  ['base_url', /^Address that paths are relative to\. .*Example: `https:\/\/api\.example\.com\/v1\/`\.$/s],
  ['auth', /Allowed: .*`oauth2_jwt`/s],
  ['location', /Allowed: `header`, `query`, `param`, `cookie`\.\n\nDefault: `header`\.$/],
  ['max_wait', /^Longest wait that the API may ask for .*Default: `900`\.$/s],
  ['per', /Default: `1`\.$/],
  ['max_table_nesting', /^How many levels of nested lists become/],
  ['resources', /^The lists to load\./],
  ['name', /^Name of the resource/],
  ['endpoint', /^Where the records are/],
  ['paginator', /^How to get from page to page\..*`page_number`, .*`{ type: 'offset' }`\.\n\nDefault: `auto`\.$/s],
  ["type: 'offset'", /^Counts records up to a total/],
  ['limit: 100', /^Records per page/],
  ['cursor_path', /Example: `updated_at`\.\n\nExample: `meta\.at`\.$/],
  ['last_value_func', /Allowed: `max`, `min`\.\n\nDefault: `max`\.$/],
  ['status_code', /Example: `404`\.\n\nExample: `5xx`\.\n\nExample: `500-503`\.$/],
  ['action', /Allowed: `ignore`, `skip_page`/],
  ['batch_size', /Default: `1`\.\n\nExample: `50`\.$/],
  ['write_disposition', /^What happens to rows that are there already\..*Default: `append`\.$/s],
  ['strategy', /Default: `delete-insert`\.$/],
  ['tables', /Default: `evolve`\.$/],
  ['data_type', /Allowed: `text`/],
  ['primary_key', /^Columns that identify a row/],
  ['filter', /^Keeps records for which it returns true\.$/],
])('over `%s` an editor shows what the declaration says', (key, text) => {
  const at = document.indexOf(key.includes(':') ? key : `${key}:`)
  expect(hover(documentService, at)).toMatch(text)
})

test('every key of every map has a text', () => {
  const source = ts.createSourceFile(declared, readFileSync(declared, 'utf8'), ts.ScriptTarget.ES2022)
  const keys = source.statements
    .filter(ts.isInterfaceDeclaration)
    .flatMap(({ name, members }) =>
      members.filter(ts.isPropertySignature).map(member => [name.text, member.name.getText(source)] as const),
    )
  expect(keys.length).toBeGreaterThan(200)
  const maps = [...new Set(keys.map(([map]) => map))]
  const lines = keys.map(([map, key], at) => `export const x${at}: ${map} = { ${key}: undefined! } as never\n`)
  const text = `import type { ${maps.join(', ')} } from '${declared.replace(/\.ts$/, '.js')}'\n`
  const literals = lines.map(line => line.replace(' as never', '')).join('')
  const asked = service({ [written]: text + literals })
  let from = text.length
  const silent = keys.filter(([, key]) => {
    const at = (text + literals).indexOf(`{ ${key}:`, from) + 2
    from = at
    return (hover(asked, at) ?? '').length < 8
  })
  expect(silent).toEqual([])
})

/** Slips, and what the compiler says of them. Each message names what would be right. */
const slips: readonly (readonly [slip: string, error: RegExp])[] = [
  [
    "client: { base_url: '', paginator: { type: 'ofset' } }, resources: ['x']",
    /"page_number" \| "keyset" \| "offset".*Did you mean '"offset"'\?$/,
  ],
  ["client: { base_url: '', paginator: 'ofset' }, resources: ['x']", /"single_page" \| .* \| "page_number"/],
  ["client: { base_url: '', auth: { type: 'barer', token: 'x' } }, resources: ['x']", /Did you mean '"bearer"'\?$/],
  ["client: { base_url: '', auth: 'barer' }, resources: ['x']", /"bearer" \| "api_key" \| "http_basic"/],
  ["client: { base_url: '' }, resource: ['x']", /Did you mean to write 'resources'\?$/],
  ...(
    [
      ["endpoint: { paginator: { type: 'ofset', limit: 5 } }", /Did you mean '"offset"'\?$/],
      ["endpoint: { paginator: { type: 'offset' } }", /Property 'limit' is missing in type/],
      [
        "endpoint: { paginator: { type: 'offset', limit: '5' } }",
        /Type 'string' is not assignable to type 'number'\.$/,
      ],
      [
        "endpoint: { paginator: { type: 'offset', limit: 5, ofset_param: 'o' } }",
        /'ofset_param' does not exist in type 'OffsetPaginatorConfig/,
      ],
      ["endpoint: { response_actions: [{ status_code: 404, action: 'skip' }] }", /"skip_page"/],
      ["endpoint: { method: 'DELETE' }", /"GET" \| "POST" \| "PUT" \| "PATCH"/],
      ["columns: { id: { data_type: 'integer' } }", /"bigint"/],
      ["columns: { id: { data_typ: 'bigint' } }", /Did you mean to write 'data_type'\?$/],
      ["write_disposition: 'update'", /(?=.*"append")(?=.*"replace")(?=.*"merge")(?=.*"skip")/],
      ["write_disposition: { disposition: 'merge', strategy: 'upset' }", /Did you mean '"upsert"'\?$/],
      ["path: 'x'", /'path' does not exist in type .*ResourceConfig/],
    ] as const
  ).map(
    ([slip, error]) => [`client: { base_url: '' }, resources: [{ name: 'x', ${slip} }]`, error] as [string, RegExp],
  ),
]

const refused = typeErrors(
  slips.map(([slip], at) => ({ place: `slip${at}`, text: `import { restApi } from 'sluice'\nrestApi({ ${slip} })\n` })),
)

test.each(slips.map(([slip, error], at) => [slip, error, at] as const))(
  '%s is refused in at most three lines',
  (_slip, error, at) => {
    const errors = refused.filter(text => text.startsWith(`docs/slip${at}.ts`))
    expect(errors).toHaveLength(1)
    expect(errors[0]).toMatch(error)
    expect(errors[0]?.split('\n').length).toBeLessThanOrEqual(3)
  },
)

/** The checker changes nothing, so what is written may be read-only. */
type Read<Value> = Value extends (...of: never) => unknown
  ? Value
  : Value extends readonly JsonValue[]
    ? Readonly<Value>
    : string extends keyof Value & (Value extends JsonObject ? string : never)
      ? Value
      : { readonly [key in keyof Value]: Read<Value[key]> }

test('the types are those of the declaration', () => {
  type Written = z.input<typeof restDocument>
  // Whatever the checker takes compiles. The other direction: hints of a column have no keys but the known ones and `x-`.
  expectTypeOf<Written>().toExtend<RestApiConfig>()
  expectTypeOf<z.input<typeof flatPipeline>>().toExtend<DocumentPipelineConfig>()
  expectTypeOf<z.input<typeof wrappedPipeline>>().toExtend<SourcePipelineConfig>()
  expectTypeOf<Read<Omit<EndpointConfig, 'auth'>>>().toEqualTypeOf<Read<Omit<z.input<typeof endpoint>, 'auth'>>>()
  expectTypeOf<PaginatorConfig>().toEqualTypeOf<z.input<typeof paginator>>()
  type Resource = Exclude<Extract<Written['resources'][number], { name: string }>, (...of: never) => unknown>
  type Hints = 'endpoint' | 'complete_nested' | 'columns' | 'nested_hints' | 'name'
  expectTypeOf<Read<Omit<ResourceConfig, Hints>>>().toEqualTypeOf<Read<Omit<Resource, Hints>>>()
  type Defaults = NonNullable<Written['resource_defaults']>
  expectTypeOf<Read<Omit<ResourceDefaultsConfig, Hints>>>().toEqualTypeOf<Read<Omit<Defaults, Hints>>>()
})

function hover(asked: ts.LanguageService, at: number): string | undefined {
  const info = asked.getQuickInfoAtPosition(written, at)
  return info === undefined ? undefined : ts.displayPartsToString(info.documentation)
}

function service(files: Readonly<Record<string, string>>): ts.LanguageService {
  const options = compilerOptions({ paths })
  return ts.createLanguageService({
    getCompilationSettings: () => options,
    getScriptFileNames: () => Object.keys(files),
    getScriptVersion: () => '1',
    getScriptSnapshot(path) {
      const text = files[path] ?? ts.sys.readFile(path)
      return text === undefined ? undefined : ts.ScriptSnapshot.fromString(text)
    },
    getCurrentDirectory: () => root,
    getDefaultLibFileName: ts.getDefaultLibFilePath,
    fileExists: path => path in files || ts.sys.fileExists(path),
    readFile: path => files[path] ?? ts.sys.readFile(path),
    readDirectory: ts.sys.readDirectory,
    directoryExists: ts.sys.directoryExists,
  })
}
