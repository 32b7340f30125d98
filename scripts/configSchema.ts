import { z } from 'zod'
import { flatPipeline, wrappedPipeline } from '../src/config/pipelineDocument.js'
import { restDocument } from '../src/rest/document/declaration/declaration.js'
import { configExamples } from './configExamples.js'
import { configTypes } from './configTypes.js'
import { destinationsReference } from './destinationsReference.js'
import { llmsText } from './llmsText.js'
import { type Definition, defaultOf, definitionOf, literalOf } from './schemaDefinition.js'

type Json = Record<string, unknown>

/** Texts of the generated files, by path from the root of the repository. */
export function generatedFiles(): ReadonlyMap<string, string> {
  const document = jsonSchema(restDocument, 'rest_api document', 'What to load from a REST API.')
  const pipeline = jsonSchema(
    z.union([wrappedPipeline, flatPipeline]),
    'Sluice pipeline file',
    'A rest_api document under `source`, beside the keys of its pipeline, or alone.',
  )
  return new Map([
    ['schema/rest_api.schema.json', `${JSON.stringify(document, null, 2)}\n`],
    ['schema/pipeline.schema.json', `${JSON.stringify(pipeline, null, 2)}\n`],
    ['src/rest/document/declaration/configTypes.ts', configTypes()],
    ['docs/config.md', configReference()],
    ['docs/destinations.md', destinationsReference()],
    ['docs/llms.txt', llmsText()],
  ])
}

function jsonSchema(schema: z.ZodType, title: string, description: string): Json {
  const made = z.toJSONSchema(schema, {
    io: 'input',
    unrepresentable: 'any',
    reused: 'inline',
    override: ({ zodSchema, jsonSchema: json }) => {
      const { type } = zodSchema._zod.def
      const { definition } = (definitionOf(zodSchema as unknown as z.ZodType).params ?? {}) as { definition?: unknown }
      if (typeof definition === 'string') json.$ref = `#/$defs/${definition}`
      else if (type === 'custom') json.not = {}
      if (type === 'bigint') json.type = 'integer'
      if (json.minimum === Number.MIN_SAFE_INTEGER) delete json.minimum
      if (json.maximum === Number.MAX_SAFE_INTEGER) delete json.maximum
    },
  }) as Json
  const { $schema, ...rest } = pruned(made, made) as Json
  return withUsedDefinitions({ $schema, title, description, ...rest })
}

/** Values that only TypeScript can hold are marked as impossible; here they vanish, with the keys that hold no other. */
function pruned(value: unknown, root: Json): unknown {
  if (Array.isArray(value)) return value.map(item => pruned(item, root))
  if (typeof value !== 'object' || value === null) return value
  const result: Json = {}
  for (const [key, item] of Object.entries(value)) {
    if ((key === 'anyOf' || key === 'oneOf') && Array.isArray(item)) {
      result[key] = item.filter(option => !isImpossible(option, root)).map(option => pruned(option, root))
    } else if (key === 'properties') {
      const possible = Object.entries(item as Json).filter(([, property]) => !isImpossible(property, root))
      result[key] = Object.fromEntries(possible.map(([name, property]) => [name, pruned(property, root)]))
    } else result[key] = pruned(item, root)
  }
  return result
}

function isImpossible(schema: unknown, root: Json): boolean {
  if (typeof schema !== 'object' || schema === null) return false
  const { not, $ref, anyOf, type, items } = schema as Json
  if (typeof $ref === 'string') return isImpossible(definition($ref, root), root)
  if (type === 'array') return items !== undefined && isImpossible(items, root)
  if (Array.isArray(anyOf)) return anyOf.every(option => isImpossible(option, root) || (option as Json).type === 'null')
  return not !== undefined
}

function definition(ref: string, root: Json): unknown {
  const name = ref.replace('#/$defs/', '')
  return (root.$defs as Json | undefined)?.[name]
}

function withUsedDefinitions(schema: Json): Json {
  const definitions = schema.$defs as Json | undefined
  if (definitions === undefined) return schema
  const used = new Set<string>()
  const visit = (value: unknown): void => {
    for (const [, name = ''] of JSON.stringify(value).matchAll(/"#\/\$defs\/([^"]+)"/g)) {
      if (used.has(name)) continue
      used.add(name)
      visit(definitions[name])
    }
  }
  visit({ ...schema, $defs: undefined })
  const kept = Object.entries(definitions).filter(([name]) => used.has(name))
  return { ...schema, $defs: Object.fromEntries(kept) }
}

interface Section {
  readonly title: string
  readonly schema: z.ZodType
}

/** `docs/config.md`: one table for each map of the document, in the order they are met. */
function configReference(): string {
  const sections = collectSections([{ title: 'Pipeline file', schema: wrappedPipeline }])
  const head = [
    '# Configuration reference',
    '',
    '<!-- Generated from the declaration by `npx tsx scripts/generate-docs.ts`; edits here are lost. -->',
    '',
    'Every key of a pipeline file. It holds a `rest_api` document, whose keys are those of dlt with the same meaning. Its keys stand beside the',
    'keys of the pipeline, or under `source`. The pages [pagination](pagination.md), [authentication](authentication.md),',
    '[incremental loading](incremental.md) and [write dispositions](write-dispositions.md) explain how to use them.',
    '',
    '- `null` means the same as a missing key. It also cancels a default from `resource_defaults`. In `auth` it means: no authentication.',
    '- `${secrets.name}` and `${env.NAME}` may stand in every text; secrets only in `auth`, `headers`, `params`, `destination` and `notify`. Both come',
    '  from the environment and from a `.env` beside the file; the environment wins. An empty variable counts as not set.',
    '- Relative paths begin at the file.',
    '',
    'As with dlt, an empty text is as good as `null` in `total_path`, `has_more_path`, `data_selector`, `table_name`, `primary_key`,',
    '`merge_key`, `start_param` and `end_param`, and in the name of a parameter beside a place in the body, or the reverse.',
    '',
    'Editors check and complete a file that begins with',
    '`# yaml-language-server: $schema=…/node_modules/sluice/schema/pipeline.schema.json`.',
  ]
  return [...head, ...sectionTexts(sections)].join('\n').concat('\n')
}

function collectSections(queue: Section[]): Section[] {
  const sections: Section[] = []
  const seen = new Set<unknown>()
  for (let section = queue.shift(); section !== undefined; section = queue.shift()) {
    const found: Section[] = []
    visitObjects(section.schema, section.title, (title, schema) => {
      const shape = JSON.stringify(Object.keys((schema as z.ZodObject).shape))
      const { type } = (schema as z.ZodObject).shape as { type?: z.ZodType }
      const id = shape + typeText(type)
      if (seen.has(id)) return false
      seen.add(id)
      found.push({ title, schema })
      return true
    })
    sections.push(...found)
  }
  return sections
}

/** Objects in a schema, each before those in it; goes into an object when `visit` says so. */
function visitObjects(schema: z.ZodType, title: string, visit: (title: string, schema: z.ZodType) => boolean): void {
  const { def } = schema._zod as unknown as { def: Definition }
  if (def.type === 'object') {
    const literal = literalOf(def.shape?.type)
    const name = literal === undefined ? title : `${title}: \`${literal}\``
    if (!visit(name, schema)) return
    for (const [key, value] of Object.entries(def.shape ?? {})) {
      visitObjects(value, shortTitle(title, key), visit)
    }
    if (def.catchall !== undefined) visitObjects(def.catchall, title, visit)
  }
  for (const option of def.options ?? []) visitObjects(option, title, visit)
  if (def.innerType !== undefined) visitObjects(def.innerType, title, visit)
  if (def.in !== undefined) visitObjects(def.in, title, visit)
  if (def.element !== undefined) visitObjects(def.element, `${title}[]`, visit)
  if (def.valueType !== undefined) visitObjects(def.valueType, `${title}.<name>`, visit)
}

/** Maps that may stand in several places are named by themselves. */
function shortTitle(title: string, key: string): string {
  const path = title === 'Pipeline file' || title === 'source' ? key : `${title}.${key}`
  return path
    .replace(/^resources\[\]/, 'resource')
    .replace(/^resource\.endpoint/, 'endpoint')
    .replace(/^(?:client|endpoint)\.(retry|auth|paginator)/, '$1')
}

/** Sections of this many equal rows refer to the section that had them first. */
const FEW_ROWS = 4

/** The table of each section, with an example. A row that an earlier section has is not repeated. */
function sectionTexts(sections: readonly Section[]): string[] {
  const seen: { readonly heading: string; readonly rows: ReadonlySet<string> }[] = []
  let group = ''
  return sections.flatMap(section => {
    const { level, heading, above } = headingOf(section.title)
    const rows = sectionRows(section)
    const earlier = seen.find(other => rows.filter(row => other.rows.has(row.text)).length > FEW_ROWS)
    const repeated = rows.filter(row => earlier?.rows.has(row.text))
    const own = rows.filter(row => !repeated.includes(row))
    seen.push({ heading, rows: new Set(rows.map(row => row.text)) })
    const opening = above === group || above === '' ? [] : ['', `## ${above}`]
    group = above
    const description = section.schema.meta()?.description
    const example = configExamples[heading.replaceAll('`', '')]
    return [
      ...opening,
      '',
      `${level} ${heading}`,
      '',
      ...(description === undefined ? [] : [description, '']),
      ...(example === undefined
        ? []
        : [`\`\`\`yaml${/^ *resources:/m.test(example) ? '' : ' fragment'}`, example, '```', '']),
      ...(own.length === 0
        ? []
        : ['| Key | Type | Default | Meaning |', '|---|---|---|---|', ...own.map(row => row.text)]),
      ...(earlier === undefined
        ? []
        : [
            '',
            `As in [${earlier.heading}](#${anchor(earlier.heading)}): ${repeated.map(row => `\`${row.key}\``).join(', ')}.`,
          ]),
    ]
  })
}

function sectionRows({ title, schema }: Section): { readonly key: string; readonly text: string }[] {
  return Object.entries((schema as z.ZodObject).shape as Record<string, z.ZodType>).map(([key, value]) => {
    const meta = value.meta() as { description?: string; default?: unknown; examples?: unknown[] } | undefined
    const example = meta?.examples?.[0]
    const meaning = `${meta?.description ?? ''}${example === undefined ? '' : ` Example: \`${JSON.stringify(example)}\``}`
    const standard = meta?.default ?? defaultOf(value)
    // The keys of a source may stand in the file itself.
    const isNeeded = !value.safeParse(undefined).success && !(title === 'Pipeline file' && key === 'source')
    const cells = [
      `\`${key}\`${isNeeded ? ' (required)' : ''}`,
      typeText(value),
      standard === undefined ? '' : `\`${JSON.stringify(standard)}\``,
      meaning,
    ]
    return { key, text: `| ${cells.map(cell => cell.replaceAll('|', '\\|').replaceAll('\n', ' ')).join(' | ')} |` }
  })
}

/** The heading of a section, its level, and the heading that it stands under, if any. */
function headingOf(title: string): { readonly level: string; readonly heading: string; readonly above: string } {
  const [, family, kind] = /^(auth|paginator): `(.+)`$/.exec(title) ?? []
  if (kind !== undefined) {
    return { level: '###', heading: `\`${kind}\``, above: family === 'auth' ? 'Authentication' : 'Paginators' }
  }
  const named = NAMED[title]
  const [, path, type] = /^(.+)\.<name>: `(.+)`$/.exec(title) ?? []
  const heading = named ?? (path === undefined ? `\`${title}\`` : `\`${path}\`: \`type: ${type}\``)
  return { level: '##', heading, above: '' }
}

const NAMED: Readonly<Record<string, string>> = {
  'Pipeline file': 'Pipeline file',
  'resource.columns.<name>': 'Column hints',
  'resource.nested_hints.<name>': 'Nested hints',
}

function anchor(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\w -]/g, '')
    .replaceAll(' ', '-')
}

/** Types with sections of their own. */
const LINKS: Readonly<Record<string, string>> = {
  paginator: 'one of the [paginators](#paginators), as a name or a map, or TypeScript',
  auth: 'one of the [types](#authentication), as a name or a map, or TypeScript',
}

/** The type in words, as short as a table wants it. */
function typeText(schema: z.ZodType | undefined): string {
  if (schema === undefined) return ''
  const def = definitionOf(schema)
  const link = LINKS[String(schema.meta()?.id)]
  if (link !== undefined) return link
  switch (def.type) {
    case 'string':
      return 'text'
    case 'number':
    case 'bigint':
      return 'number'
    case 'boolean':
      return 'boolean'
    case 'enum':
      return Object.values(def.entries ?? {})
        .map(value => `\`${value}\``)
        .join(', ')
    case 'literal':
      return (def.values ?? []).map(value => `\`${String(value)}\``).join(', ')
    case 'array':
      return `list of ${typeText(def.element)}`
    case 'tuple':
      return 'list'
    case 'record':
    case 'object':
      return 'map'
    case 'null':
      return 'null'
    case 'custom':
      return def.params?.definition === undefined ? 'TypeScript' : 'map'
    case 'union':
      return [...new Set((def.options ?? []).map(typeText))].filter(text => text !== '').join(' or ')
    default: {
      const inner = def.innerType ?? def.in
      return inner === undefined ? 'any' : typeText(inner)
    }
  }
}
