import { bareName, type HintKind, hintKind } from '../../../rest/evidence/pagingHints.js'
import { pathOfKeys } from '../../../rest/list/answer/selector.js'
import { membersOf } from '../../sourceData.js'
import type { SchemaShape, Schemas } from './openapiSchemas.js'
import { elsewhere, isTabular, type Operation } from './operations.js'

/** Something beside the records whose name is about paging. */
export interface SchemaHint {
  readonly kind: HintKind
  readonly key: string
  readonly above: readonly string[]
  readonly path: string
  readonly shape: SchemaShape
}

/** The records of an answer, by its schema. */
export interface FoundRecords {
  readonly selector: string | undefined
  /** Shape of one record. */
  readonly record: SchemaShape
  /** The answer is a map, whose names go into this field. */
  readonly keyColumn?: string
  readonly hints: readonly SchemaHint[]
  /** Where the document leaves a choice: what was chosen, and why. */
  readonly assumed?: string
}

export type Records = FoundRecords | { readonly reason: string }

/** Names that lists of records have in answers. */
const ENVELOPES = [
  ...['data', 'items', 'results', 'records', 'value', 'values', 'entries', 'rows', 'content', 'contents', 'list'],
  ...[
    'objects',
    'elements',
    'members',
    'hits',
    'docs',
    'documents',
    'result',
    'entities',
    'collection',
    'payload',
    'nodes',
    'edges',
  ],
  ...['resources', 'response', 'member', 'embedded', 'body', 'resultlist', 'datalist', 'feed', 'matches'],
]

/** Lists that stand beside records and are none. */
const BESIDE =
  /^(?:errors?|warnings?|messages?|notices?|links?|included|includes|facets?|filters?|filtered|sorts?|sorting|orderby|aggregations?|aggs|buckets|columns?|fields?|headers?|schema|parameters?|suggestions?|validationerrors|metadata|meta|debug|notifications|breadcrumbs?)$/

const DEEPEST = 4
const MOST_VISITS = 2_000

interface Candidate {
  readonly keys: readonly string[]
  readonly record: SchemaShape
  readonly holder: SchemaShape
  /** Keys of the outermost object around it, the holder included, that has an id. Undefined: none has. */
  readonly entity: readonly string[] | undefined
}

/** Finds the list of records in the schema of an answer, or says why it has none. */
export function findRecords(operation: Operation, schemas: Schemas): Records {
  const { answer, path } = operation
  if (answer.problem !== undefined) return { reason: answer.problem }
  if (isTabular(answer)) return { selector: undefined, record: schemas.shape(undefined), hints: [] }
  const root = schemas.shape(answer.schema)
  if (root.missing !== undefined) return { reason: elsewhere(root.missing) }
  if (root.kind === 'array') return { selector: '$', record: schemas.shape(root.items), hints: [] }
  if (root.kind === 'scalar') return { reason: 'its answer is one value, not a list' }
  if (root.kind === 'unknown') return { reason: 'the document does not say what it answers' }
  const { candidates: found, hints } = new Search(schemas).of(root)
  const candidates = shownBy(answer.example, found)
  const isItem = endsInParameter(path)
  if (candidates.length === 0) {
    if (root.members !== undefined && root.properties.size === 0) return ofMap(root, schemas, isItem)
    if (root.properties.size === 0) return { reason: 'its answer is an object without named members' }
    return { reason: 'its answer is one object, not a list' }
  }
  const chosen = choose(candidates, operation, hints)
  if (chosen === undefined) {
    const shown = candidates.map(({ keys }) => pathOfKeys(keys))
    const [only] = shown
    return shown.length === 1
      ? { reason: `its answer is one object that has a list (${only}) among its fields` }
      : {
          reason: `its answer is one object with several lists (${shown.slice(0, 4).join(', ')}${shown.length > 4 ? ' …' : ''})`,
        }
  }
  const { found: list, assumed } = chosen
  const outside = hints.filter(hint => !startsWith(hint.above, list.keys))
  return {
    selector: pathOfKeys(list.keys),
    record: list.record,
    hints: outside,
    ...(assumed !== undefined && { assumed }),
  }
}

/** Without what is no list in the example of the document, and, where that shows one of them, without those it lacks. */
function shownBy(example: unknown, candidates: readonly Candidate[]): readonly Candidate[] {
  if (example == null || typeof example !== 'object' || Array.isArray(example)) return candidates
  const shown = candidates.map(candidate => ({
    candidate,
    value: candidate.keys.reduce<unknown>((value, key) => membersOf(value)[key], example),
  }))
  const lists = shown.filter(({ value }) => Array.isArray(value))
  return (lists.length > 0 ? lists : shown.filter(({ value }) => value == null)).map(({ candidate }) => candidate)
}

/** A map whose members are objects. */
function ofMap(root: SchemaShape, schemas: Schemas, isItem: boolean): Records {
  const record = schemas.shape(root.members)
  if (record.kind !== 'object' || record.properties.size === 0 || isItem) {
    return { reason: 'its answer is an object without named members' }
  }
  const keyColumn = ['key', 'map_key', 'member_key'].find(name => !record.properties.has(name)) ?? 'key'
  return { selector: '$', record, hints: [], keyColumn, assumed: 'the answer is a map; each member is a record' }
}

/** Whether the path names one thing: `/users/{id}`. */
function endsInParameter(path: string): boolean {
  return /\}[^/]*\/?$/.test(path)
}

function choose(
  all: readonly Candidate[],
  operation: Operation,
  hints: readonly SchemaHint[],
): { readonly found: Candidate; readonly assumed?: string } | undefined {
  const candidates = all.filter(candidate => !isPartOfEntity(candidate, operation, hints))
  const isPaged =
    hints.some(({ kind }) => kind !== 'page' && kind !== 'limit' && kind !== 'offset') ||
    hints.length > 1 ||
    operation.parameters.some(isPagingName)
  const isItem = endsInParameter(operation.path)
  const words = nounsOf(operation)
  const named = candidates.filter(({ keys }) => words.has(bareName(keys.at(-1) ?? '')))
  const shallow = candidates.filter(({ keys }) => ENVELOPES.includes(bareName(keys.at(-1) ?? '')))
  const first = <T extends Candidate>(list: readonly T[]) => [...list].sort((a, b) => a.keys.length - b.keys.length)[0]
  const byName = first(named)
  const byEnvelope = first(shallow)
  if (isItem && !isPaged) {
    const only =
      candidates.length === 1 &&
      byEnvelope !== undefined &&
      byEnvelope.holder.properties.size <= 3 &&
      !hasIdentity(byEnvelope.holder)
    return only ? { found: byEnvelope } : undefined
  }
  if (byName !== undefined && (byEnvelope === undefined || byName.keys.length <= byEnvelope.keys.length))
    return { found: byName }
  if (byEnvelope !== undefined) return { found: byEnvelope }
  const [only] = candidates
  if (only === undefined) return undefined
  const objects = candidates.filter(({ record }) => record.kind === 'object')
  const [single] = objects.length > 0 ? objects : candidates
  if (single === undefined || objects.length > 1 || (objects.length === 0 && candidates.length > 1)) return undefined
  const others = [...single.holder.properties.keys()].filter(
    name => hintKind(name) === undefined && !BESIDE.test(bareName(name)),
  )
  // The list is what the answer is about, if hardly anything else stands beside it.
  if (!isPaged && others.length > MOST_BESIDE) return undefined
  if (!isPaged && single.record.kind !== 'object' && others.length > 1) return undefined
  return { found: single, assumed: `the records are in ${pathOfKeys(single.keys)}, the only list of the answer` }
}

const MOST_BESIDE = 4

/**
 * An entity has an id, and its lists are fields of it, whatever they say of pages of their own. What is asked page by
 * page is an envelope all the same, as `{ id, page, results, total_pages }`.
 */
function isPartOfEntity({ entity, keys }: Candidate, { path, parameters }: Operation, hints: readonly SchemaHint[]) {
  if (entity === undefined) return false
  const isHolder = entity.length === keys.length - 1
  const beside = hints.filter(({ above }) => above.length === entity.length && startsWith(above, entity))
  const saysPages =
    isHolder && (beside.length > 1 || beside.some(({ kind }) => /^(?:next|more|pages|position)$/.test(kind)))
  const isAsked = parameters.some(isPagingName)
  return endsInParameter(path) ? !(saysPages && isAsked) : !(saysPages || (isHolder && isAsked))
}

function isPagingName({ name, in: place }: Operation['parameters'][number]): boolean {
  if (place !== 'query') return false
  const bare = bareName(name)
  return /^(?:page|pageno|pagenumber|pageindex|pagesize|perpage|limit|offset|skip|top|cursor|after|startingafter|pagetoken|nexttoken|maxresults|startat|startindex|marker|continuationtoken|maxitems|maxrecords|pagelen|page(?:size|number|offset|limit|cursor|after))$/.test(
    bare,
  )
}

function hasIdentity({ properties }: SchemaShape): boolean {
  return ['id', 'Id', 'ID', '_id', 'uuid', 'guid', 'sid', 'self_link'].some(name => properties.has(name))
}

function isWritten(record: SchemaShape): boolean {
  return (
    hasIdentity(record) ||
    ['ts', 'message_id', 'messageId', 'created_at', 'createdAt'].some(name => record.properties.has(name))
  )
}

/** What the operation is about: `users` of `/v1/users` and `listUsers`. */
function nounsOf({ path, id }: Operation): ReadonlySet<string> {
  const last =
    path
      .split('/')
      .filter(part => part !== '' && !part.includes('{'))
      .at(-1) ?? ''
  const words = [
    last,
    ...last.split(/[.:]/),
    (id ?? '').replace(/^.*[./]/, '').replace(/^(?:get|list|search|query|find|fetch|all)_?/i, ''),
  ]
  return new Set(
    words.flatMap(word => {
      const bare = bareName(word.replace(/\.json$/, ''))
      return bare === ''
        ? []
        : [
            bare,
            `${bare}s`,
            `${bare}list`,
            bare.replace(/ies$/, 'y'),
            bare.replace(/y$/, 'ies'),
            bare.replace(/s$/, ''),
            `${bare}es`,
          ]
    }),
  )
}

function startsWith(keys: readonly string[], start: readonly string[]): boolean {
  return start.length <= keys.length && start.every((key, index) => keys[index] === key)
}

interface Entered {
  readonly shape: SchemaShape
  readonly keys: readonly string[]
  readonly entity: readonly string[] | undefined
}

/** Looks through the objects of an answer, nearest first, for lists and for what is said about paging. */
class Search {
  readonly #schemas: Schemas
  readonly #candidates: Candidate[] = []
  readonly #hints: SchemaHint[] = []
  #left = MOST_VISITS

  constructor(schemas: Schemas) {
    this.#schemas = schemas
  }

  of(root: SchemaShape): { readonly candidates: readonly Candidate[]; readonly hints: readonly SchemaHint[] } {
    let level: readonly Entered[] = [{ shape: root, keys: [], entity: undefined }]
    for (let depth = 0; depth < DEEPEST && level.length > 0; depth++) {
      level = level.flatMap(entered => this.#enter(entered))
      // An object inside an entity is part of it.
      if (this.#candidates.some(({ keys }) => ENVELOPES.includes(bareName(keys.at(-1) ?? ''))) && depth >= 2) break
    }
    return { candidates: this.#candidates, hints: this.#hints }
  }

  #enter({ shape, keys: above, entity: outer }: Entered): Entered[] {
    const inside: Entered[] = []
    const entity = outer ?? (hasIdentity(shape) ? above : undefined)
    for (const [key, schema] of shape.properties) {
      if (--this.#left < 0) return inside
      const inner = this.#schemas.shape(schema)
      const keys = [...above, key]
      if (inner.kind === 'array') {
        const record = this.#schemas.shape(inner.items)
        // Messages of people have an id; those about the answer have none.
        const isBeside = BESIDE.test(bareName(key)) && !(/^messages?$/i.test(key) && isWritten(record))
        if (!isBeside || bareName(key) === bareName(above.at(-1) ?? ''))
          this.#candidates.push({ keys, record, holder: shape, entity })
        continue
      }
      const kind = hintKind(key)
      if (inner.kind === 'object') {
        // An entity's own objects are no place of the list, except under `data` and the like.
        const isOpen =
          above.length === 0 ||
          ENVELOPES.includes(bareName(key)) ||
          /^(?:_?embedded|_?links?|meta(?:data)?|pag(?:e|ing|ination|er|einfo)|page_?info|cursors?|response_?metadata|next|collection|\w*list|\w*response|\w*result|\w*wrapper)$/i.test(
            key,
          )
        if (kind === 'next' && this.#schemas.shape(schema).properties.has('href')) {
          const href = this.#schemas.shape(inner.properties.get('href'))
          this.#hints.push({ kind, key: 'href', above: keys, path: pathOfKeys([...keys, 'href']), shape: href })
        } else if (isOpen) inside.push({ shape: inner, keys, entity })
        continue
      }
      if (kind !== undefined) this.#hints.push({ kind, key, above, path: pathOfKeys(keys), shape: inner })
    }
    return inside
  }
}
