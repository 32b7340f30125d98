import { bareName } from '../../../rest/evidence/pagingHints.js'
import type { FoundRecords, SchemaHint } from './findRecords.js'
import type { Schemas } from './openapiSchemas.js'
import type { Operation, Parameter } from './operations.js'

export interface FoundPaginator {
  /** Undefined: a run looks at the first page. */
  readonly config: Readonly<Record<string, unknown>> | undefined
  /** What a person reads of it. */
  readonly why: string
  readonly certainty: 'taken' | 'assumed' | 'open'
  /** Parameters that the paginator sends itself. */
  readonly sends: readonly string[]
  /** Parameter for the size of a page, which every request sends. */
  readonly size?: { readonly name: string; readonly value: number }
}

interface Position {
  readonly name: string
  readonly isBody: boolean
  readonly parameter: Pick<Parameter, 'shape' | 'description'>
}

const PAGE =
  /^(?:p|pg|page|pageno|pagenum|pageindex|pagenumber|currentpage|pageid|paginationpage|requestedpage|pagination(?:page|number))$/
const OFFSET =
  /^(?:(?:page|pagination|result|record|sysparm)?offset|skip|start|startat|startindex|startposition|startrow|startrecord|startfrom|from|firstresult|offsetrows|recordoffset|begin|fromindex|rowstart|skipcount)$/
const CURSOR =
  /^(?:cursor|nextcursor|pagecursor|cursormark|after|aftercursor|pageafter|pagetoken|nexttoken|nextpagetoken|continuationtoken|continuation|continue|continuetoken|marker|bookmark|pagebookmark|scrollid|startcursor|exclusivestartkey|pagestate|skiptoken|pagination(?:token|cursor)|synctoken|resumptiontoken|pageid|pagekey|startkey|token|key|nextpage|next|position|pit|pagemarker|startingtoken|lastkey|lastevaluatedkey|nextbatch|batch|stream_position|streamposition|nextrecordkey)$/
const KEYSET =
  /^(?:startingafter|startafter|after|afterid|sinceid|fromid|lastid|minid|startafterid|idafter|greaterthanid)$/
const SIZE =
  /^(?:limit|perpage|pagesize|pagelimit|pagelen|pagelength|size|count|top|take|max|maxresults|maxitems|maxrecords|maxentries|maxkeys|rows|rowcount|num|numresults|numitems|resultsperpage|itemsperpage|recordsperpage|recordlimit|resultlimit|sysparmlimit|hitsperpage|first|pagination(?:pagesize|limit|size)|pagecount|length|batchsize|maxpagesize|limitto|pp|n|maxrows|entriesperpage|maxreturn|perpagecount|pagesizelimit|nresults|resultcount|fetch|pagemaxsize)$/

/** The most records of a page, whatever the document allows. */
const LARGEST_PAGE = 1_000

/** How pages follow each other, from what may be sent and what is answered. */
export function findPaginator(operation: Operation, records: FoundRecords, schemas: Schemas): FoundPaginator {
  const sent = positions(operation, schemas)
  const { hints } = records
  const size = sizeOf(
    sent,
    sent.some(({ name }) => PAGE.test(bareName(name))),
  )
  const offset = byOffset(sent, hints, size)
  return (
    byCursor(sent, hints, size) ??
    // A total proves that all records came, which a link cannot.
    (size?.value === undefined || offset?.config?.total_path == null ? undefined : offset) ??
    byLink(hints, size) ??
    byHeader(operation, sent, size) ??
    byKeyset(sent, records, hints, schemas, size) ??
    byPage(sent, hints, size) ??
    offset ??
    unknown(sent, hints, size)
  )
}

function positions({ parameters, body }: Operation, schemas: Schemas): Position[] {
  const query = parameters.filter(parameter => parameter.in === 'query')
  const sent = query.map((parameter): Position => ({ name: parameter.name, isBody: false, parameter }))
  const members = [...schemas.shape(body).properties].map(([name, schema]): Position => {
    const shape = schemas.shape(schema)
    return { name, isBody: true, parameter: { shape, description: shape.description ?? '' } }
  })
  return [...sent, ...members]
}

interface Size {
  readonly position: Position
  /** Undefined: the document names no size. */
  readonly value: number | undefined
}

function sizeOf(sent: readonly Position[], isPaged: boolean): Size | undefined {
  const found = sent.filter(({ name, parameter }) => {
    const bare = bareName(name)
    if (!SIZE.test(bare) || !isNumeric(parameter)) return false
    return bare !== 'n' && bare !== 'num' && bare !== 'count' && bare !== 'max' && bare !== 'length'
      ? true
      : isPaged || /page|return|result|maximum|number of/i.test(parameter.description)
  })
  const [position] = found
  if (position === undefined) return undefined
  return { position, value: largest(position.parameter) }
}

/** The greatest page that the document allows: by its schema, its words, its default or its example. */
function largest({ shape, description }: Pick<Parameter, 'shape' | 'description'>): number | undefined {
  const allowed = shape.enum.map(Number).filter(Number.isInteger)
  const said = [
    shape.maximum,
    allowed.length > 0 ? Math.max(...allowed) : undefined,
    inWords(description),
    Number(shape.default ?? Number.NaN),
    defaultInWords(description),
    Number(shape.example ?? Number.NaN),
  ]
  const value = said.find((number): number is number => number !== undefined && Number.isInteger(number) && number > 0)
  return value === undefined ? undefined : Math.min(value, LARGEST_PAGE)
}

function defaultInWords(text: string): number | undefined {
  const [, found] =
    /\bdefault(?:s| value| page size| limit| size)?\s*(?:is|to|of|:|=)?\s*[`'"(]*(\d+)\b(?!\.\d)/i.exec(
      text.slice(0, 1_000),
    ) ?? []
  return found === undefined ? undefined : Number(found)
}

function inWords(text: string): number | undefined {
  const number = String.raw`\`*(\d{1,3}(?:,\d{3})+|\d+)`
  const patterns = [
    String.raw`(?:between|range(?: from| of)?|from)\s+\`*\d+\`*\s*(?:and|to|-|–)\s*${number}`,
    String.raw`\bmax(?:imum)?(?:imum|\.)?(?:\s+(?:value|limit|page size|number|is|of|allowed|size|per page))*\s*[:=(]?\s*${number}`,
    String.raw`(?:up to|at most|no more than|not exceed|cannot exceed|capped at|less than or equal to|limit(?:ed)? (?:of|to))\s+(?:a maximum of\s+)?${number}`,
    String.raw`\(\s*(?:1|0)\s*(?:-|–|to)\s*${number}\s*\)`,
  ]
  for (const pattern of patterns) {
    const [, found] = new RegExp(pattern, 'i').exec(text.slice(0, 1_000)) ?? []
    if (found !== undefined) return Number(found.replaceAll(',', ''))
  }
  return undefined
}

function isNumeric({ shape }: Pick<Parameter, 'shape'>): boolean {
  return (
    shape.kind === 'unknown' ||
    (shape.kind === 'scalar' && shape.type !== 'boolean' && shape.format !== 'date-time' && shape.format !== 'date')
  )
}

function isWhole({ shape, description }: Pick<Parameter, 'shape' | 'description'>): boolean {
  if (!isNumeric({ shape })) return false
  // A token that an answer gave is often called an offset.
  if (shape.type === 'string' && /\b(?:token|opaque|returned|encoded)\b/i.test(description)) return false
  return (
    shape.type !== 'string' ||
    /^\d+$/.test(String(shape.default ?? shape.example ?? '')) ||
    /\b(?:page number|number of|offset|which page|zero-based|0-based|1-based)\b/i.test(description)
  )
}

/** Without the words that only say that it is the next one. */
function core(name: string): string {
  return bareName(name)
    .replace(/^(?:next|page|pagination|start|starting|continuation)+/, '')
    .replace(/^(?:page)?(?:token|cursor)$/, 'token')
}

function isLinkHint({ key, above, shape }: SchemaHint): boolean {
  const bare = bareName(key)
  if (/link|ur[li]|href/.test(bare) || shape.format === 'uri' || shape.format === 'url') return true
  if (above.some(name => /^_?links?$/i.test(name))) return true
  return /^(?:https?:|\/)/.test(String(shape.example ?? '')) || /\b(?:url|uri|link)\b/i.test(shape.description ?? '')
}

function byCursor(
  sent: readonly Position[],
  hints: readonly SchemaHint[],
  size: Size | undefined,
): FoundPaginator | undefined {
  const answered = hints.filter(
    ({ kind, shape }) => (kind === 'next' || kind === 'position') && shape.type !== 'boolean',
  )
  for (const isStrict of [true, false]) {
    for (const hint of answered) {
      if (isLinkHint(hint) && !/token|cursor|marker/.test(bareName(hint.key))) continue
      const position = sent.find(({ name, parameter }) => {
        if (parameter.shape.type === 'boolean' || size?.position.name === name) return false
        const [param, key] = [bareName(name), bareName(hint.key)]
        if (isStrict) return (param === key && (CURSOR.test(param) || key.startsWith('next'))) || `next${param}` === key
        if (!CURSOR.test(param) && !OFFSET.test(param) && !PAGE.test(param)) return false
        if (OFFSET.test(param) || PAGE.test(param))
          return core(name) === core(hint.key) || bareName(hint.key) === `next${param}`
        return (
          (param !== 'key' && param !== 'next' && param !== 'position' && param !== 'token') ||
          core(name) === core(hint.key)
        )
      })
      if (position === undefined) continue
      const config = {
        type: 'cursor',
        cursor_path: hint.path,
        ...(position.isBody ? { cursor_body_path: position.name } : { cursor_param: position.name }),
        ...more(hints),
      }
      const why = `the answer has ${hint.path}, which goes into ${position.name}`
      return { config, why, certainty: 'taken', sends: [position.name], ...asSize(size) }
    }
  }
  return undefined
}

function byLink(hints: readonly SchemaHint[], size: Size | undefined): FoundPaginator | undefined {
  const link = hints.find(
    hint =>
      hint.kind === 'next' &&
      hint.shape.type !== 'boolean' &&
      hint.shape.type !== 'integer' &&
      (isLinkHint(hint) || bareName(hint.key) === 'next'),
  )
  if (link === undefined) return undefined
  const isSure = isLinkHint(link)
  return {
    config: { type: 'json_link', next_url_path: link.path },
    why: `the answer has the address of the next page in ${link.path}`,
    certainty: isSure ? 'taken' : 'assumed',
    sends: [],
    ...asSize(size),
  }
}

function byHeader(
  { answer }: Operation,
  sent: readonly Position[],
  size: Size | undefined,
): FoundPaginator | undefined {
  if (answer.headers.includes('link')) {
    return {
      config: { type: 'header_link' },
      why: 'the answer has the header Link',
      certainty: 'taken',
      sends: [],
      ...asSize(size),
    }
  }
  const header = answer.headers.find(name =>
    /^(?:x-)?(?:next-?(?:cursor|token|page-?token|page-?cursor)|pagination-next|continuation-?token|.*-continuation(?:token)?)$/.test(
      name,
    ),
  )
  const position = sent.find(({ name }) => CURSOR.test(bareName(name)))
  if (header === undefined || position === undefined || position.isBody) return undefined
  const config = { type: 'header_cursor', cursor_key: header, cursor_param: position.name }
  return {
    config,
    why: `the answer has the header ${header}, which goes into ${position.name}`,
    certainty: 'taken',
    sends: [position.name],
    ...asSize(size),
  }
}

function byKeyset(
  sent: readonly Position[],
  { record }: FoundRecords,
  hints: readonly SchemaHint[],
  schemas: Schemas,
  size: Size | undefined,
): FoundPaginator | undefined {
  const position = sent.find(
    ({ name, parameter }) => KEYSET.test(bareName(name)) && !/date|time/.test(parameter.shape.format ?? ''),
  )
  if (position === undefined) return undefined
  const isById =
    /id$/.test(bareName(position.name)) ||
    /\b(?:object|record|item)?\s*ID\b/i.test(position.parameter.description) ||
    bareName(position.name).startsWith('start')
  const field = ['id', 'Id', 'ID'].find(name => schemas.shape(record.properties.get(name)).kind === 'scalar')
  if (!isById || field === undefined) return undefined
  const isAscending = /^(?:sinceid|minid|greaterthanid|idafter)$/.test(bareName(position.name))
  const config = {
    type: 'keyset',
    field,
    ...(position.isBody ? { body_path: position.name } : { param: position.name }),
    ...(isAscending && { pick: 'greatest' }),
    ...asLimit(size),
    ...more(hints),
  }
  const why = `${position.name} takes the ${field} of the last record`
  return {
    config,
    why,
    certainty: more(hints).has_more_path === undefined ? 'assumed' : 'taken',
    sends: sendsOf(position, size),
  }
}

function byPage(
  sent: readonly Position[],
  hints: readonly SchemaHint[],
  size: Size | undefined,
): FoundPaginator | undefined {
  const position = sent.find(
    ({ name, parameter }) =>
      PAGE.test(bareName(name)) && isWhole(parameter) && (bareName(name) !== 'p' || size !== undefined),
  )
  if (position === undefined) return undefined
  const { base, says } = firstPage(position, hints)
  const pages = hints.find(
    hint => hint.kind === 'pages' && hint.shape.type !== 'boolean' && hint.shape.type !== 'string',
  )
  const config = {
    type: 'page_number',
    base_page: base,
    ...(position.isBody && { page_body_path: position.name }),
    ...(!position.isBody && position.name !== 'page' && { page_param: position.name }),
    total_path: base === 1 && pages !== undefined ? pages.path : null,
    ...more(hints),
  }
  const why = `${position.name} counts pages from ${base}${says ? '' : ', as usual; the document does not say it'}`
  return { config, why, certainty: says ? 'taken' : 'assumed', sends: [position.name], ...asSize(size) }
}

/** The number of the first page. Where the document allows 0, page 0 is asked for, so that none is missed. */
function firstPage({ name, parameter }: Position, hints: readonly SchemaHint[]): { base: 0 | 1; says: boolean } {
  const { shape, description } = parameter
  for (const value of [shape.default, shape.minimum]) {
    if (value === 0 || value === '0') return { base: 0, says: true }
    if (value === 1 || value === '1') return { base: 1, says: true }
  }
  const text = `${description} ${hints
    .filter(({ kind }) => kind === 'page')
    .map(hint => hint.shape.description ?? '')
    .join(' ')}`
  if (
    /\b(?:0|zero)[- ](?:based|indexed)|(?:start|begin|count)\w*\s+(?:at|from|with)\s+[`'"]?(?:0|zero)\b|\(0\b|default\w*\s*(?:is|:|=|to)?\s*[`'"]?0\b|first page is [`'"]?0/i.test(
      text,
    )
  )
    return { base: 0, says: true }
  if (
    /\b(?:1|one)[- ](?:based|indexed)|(?:start|begin|count)\w*\s+(?:at|from|with)\s+[`'"]?(?:1|one)\b|default\w*\s*(?:is|:|=|to)?\s*[`'"]?1\b|first page is [`'"]?1/i.test(
      text,
    )
  )
    return { base: 1, says: true }
  return { base: /index/i.test(name) ? 0 : 1, says: false }
}

function byOffset(
  sent: readonly Position[],
  hints: readonly SchemaHint[],
  size: Size | undefined,
): FoundPaginator | undefined {
  const position = sent.find(({ name, parameter }) => {
    const bare = bareName(name)
    if (!OFFSET.test(bare) || !isWhole(parameter)) return false
    // `from` and `start` are also moments.
    return (
      !/^(?:from|start|begin)$/.test(bare) ||
      (size !== undefined && !/date|time|timestamp|epoch|unix/i.test(parameter.description))
    )
  })
  if (position === undefined) return undefined
  const { shape, description } = position.parameter
  const first = [shape.default, shape.minimum]
    .map(Number)
    .find((value, index) => [shape.default, shape.minimum][index] !== undefined && (value === 0 || value === 1))
  const start =
    first ??
    (/^start(?:index|record|position|row)$/.test(bareName(position.name)) && !/zero|\b0\b/i.test(description) ? 1 : 0)
  const total = hints.find(
    hint =>
      hint.kind === 'total' &&
      (hint.shape.type === 'integer' || hint.shape.type === 'number') &&
      bareName(hint.key) !== 'count',
  )
  const config = {
    type: 'offset',
    ...(start === 0 ? {} : { offset: start }),
    ...asLimit(size),
    ...(position.isBody && { offset_body_path: position.name }),
    ...(!position.isBody && position.name !== 'offset' && { offset_param: position.name }),
    total_path: start === 0 && total !== undefined ? total.path : null,
    ...more(hints),
  }
  const why = `${position.name} counts records from ${start}`
  return { config, why, certainty: size === undefined ? 'assumed' : 'taken', sends: sendsOf(position, size) }
}

function unknown(sent: readonly Position[], hints: readonly SchemaHint[], size: Size | undefined): FoundPaginator {
  const firm = hints.filter(({ kind }) => kind === 'next' || kind === 'more' || kind === 'pages' || kind === 'position')
  const cursor = sent.find(
    ({ name, parameter }) =>
      /cursor|pagetoken|nexttoken|continuation|marker|bookmark/.test(bareName(name)) &&
      parameter.shape.type !== 'boolean',
  )
  if (cursor !== undefined) {
    const why = `${cursor.name} takes a cursor, but the document does not say where it comes from; a run looks at the first page`
    return { config: undefined, why, certainty: 'open', sends: [cursor.name], ...asSize(size) }
  }
  if (firm.length > 0) {
    const why = `the answer has ${firm
      .map(({ path }) => path)
      .slice(0, 3)
      .join(', ')}, but no parameter for it; a run looks at the first page`
    return { config: undefined, why, certainty: 'open', sends: [], ...asSize(size) }
  }
  const why =
    size === undefined
      ? 'the document names no pages; a run looks at the first answer'
      : 'the document names a size, but no pages; a run looks at the first answer'
  return { config: undefined, why, certainty: 'assumed', sends: [], ...asSize(size) }
}

function more(hints: readonly SchemaHint[]): { readonly has_more_path?: string } {
  const found = hints.find(
    ({ kind, key, shape }) => kind === 'more' && shape.type === 'boolean' && !isCut(key, shape.description),
  )
  return found === undefined ? {} : { has_more_path: found.path }
}

/** An answer that was cut short need not have a next page, as a tree of files at Gitea. */
function isCut(key: string, description = ''): boolean {
  return (
    /truncated|incomplete/.test(bareName(key)) && !/\b(?:more|next|further|additional|remaining)\b/i.test(description)
  )
}

/** A size that the paginator sends itself. 0: the API decides, where the document names none. */
function asLimit(size: Size | undefined): Readonly<Record<string, unknown>> {
  if (size?.value === undefined) return { limit: 0 }
  const { position, value } = size
  if (position.isBody) return { limit: value, limit_body_path: position.name }
  return { limit: value, ...(position.name === 'limit' ? {} : { limit_param: position.name }) }
}

function sendsOf(position: Position, size: Size | undefined): string[] {
  return [position.name, ...(size === undefined ? [] : [size.position.name])]
}

function asSize(size: Size | undefined): { readonly size?: { readonly name: string; readonly value: number } } {
  if (size?.value === undefined || size.position.isBody) return {}
  return { size: { name: size.position.name, value: size.value } }
}
