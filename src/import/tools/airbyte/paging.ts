import { expressionOf, isTemplate, type Syntax, Unsayable } from './jinja.js'
import { type Part, parametersOf, partOf, textOf, typeOf } from './manifestParts.js'
import { jsonPath, type Key, type Scene } from './rendering.js'

/** A place in a request: a parameter, or a path in the body. */
export interface RequestPlace {
  readonly into: 'request_parameter' | 'header' | 'body_json' | 'body_data' | 'path'
  readonly name: string
  /** Text around the value, as in `{offset},50`. */
  readonly template?: string
}

export interface StreamPaging {
  readonly paginator: Readonly<Record<string, unknown>> | 'single_page'
  /** Parts of the request that never change, such as the size of a page. */
  readonly fixed: readonly { readonly place: RequestPlace; readonly value: number | string }[]
}

export function requestPlace(option: Part | undefined, scene: Scene): RequestPlace | undefined {
  if (option === undefined) return undefined
  if (typeOf(option) === 'RequestPath') return { into: 'path', name: '' }
  const into = textOf(option.inject_into) as RequestPlace['into'] | undefined
  const path = Array.isArray(option.field_path) ? option.field_path : undefined
  const words = (path ?? [option.field_name]).map(word => {
    const value = scene.of(option).value(word, 'the name of a parameter')
    return value?.kind === 'known' ? String(value.value) : String(word)
  })
  if (into === undefined) return undefined
  return { into, name: into.startsWith('body') ? jsonPath(words) : words.join('.') }
}

/**
 * Translates a manifest's paginator. `selector` is the path of the records, `fields` are the fields in their schema.
 */
export function pagingOf(
  given: unknown,
  request: Part,
  { selector, fields }: Pick<CursorPlaces, 'selector' | 'fields'>,
  scene: Scene,
): StreamPaging {
  const part = partOf(given)
  const type = typeOf(part)
  if (part === undefined || type === 'NoPagination') return { paginator: 'single_page', fixed: [] }
  if (type !== 'DefaultPaginator') {
    scene.stop(
      `the paginator is a class of its own (${textOf(part.class_name) ?? type}); write what it does into \`paginator\``,
    )
    return { paginator: 'single_page', fixed: [] }
  }
  const strategy = partOf(part.pagination_strategy)
  const parameters = { ...parametersOf(part) }
  scene.of({ $parameters: parameters })
  const size = sizeOf(strategy?.page_size, scene)
  const sizePlace = requestPlace(partOf(part.page_size_option), scene)
  const token = requestPlace(partOf(part.page_token_option), scene) ?? tokenInRequest(request, part)
  const fixed = sizePlace === undefined || size === undefined ? [] : [{ place: sizePlace, value: size }]
  if (token === undefined && STRATEGIES.has(typeOf(strategy) ?? '') && !JSON.stringify(request).includes('next_page')) {
    scene.open(
      'no request carries the place of the next page, so that Airbyte asks for the first page alone; so does the document, until `sluice prove` finds a way',
      'endpoint.paginator',
    )
    return { paginator: 'single_page', fixed }
  }
  switch (typeOf(strategy)) {
    case 'PageIncrement':
      return { paginator: pageNumbers(strategy ?? {}, token, scene), fixed }
    case 'OffsetIncrement':
      return offsets(size, sizePlace, token, scene)
    case 'CursorPagination':
      return followed(new Cursor(strategy ?? {}, { token, selector, fields, scene }), { size, sizePlace, fixed })
    default:
      scene.stop(
        `the pagination is a class of its own (${textOf(strategy?.class_name) ?? '?'}); write what it does into \`paginator\``,
      )
      return { paginator: 'single_page', fixed }
  }
}

const STRATEGIES = new Set(['PageIncrement', 'OffsetIncrement', 'CursorPagination'])

function sizeOf(given: unknown, scene: Scene): number | undefined {
  if (given === undefined || given === null) return undefined
  const value = scene.value(given, 'the size of a page', false)
  const size = value?.kind === 'known' ? Number(value.value) : Number.NaN
  if (Number.isInteger(size) && size > 0) return size
  scene.open('the size of a page is an option of the connector; the API chooses one', 'endpoint.paginator')
  return undefined
}

/** A cursor that is the offset plus the size of the page is an offset. */
function followed(
  cursor: Cursor,
  {
    size,
    sizePlace,
    fixed,
  }: { size: number | undefined; sizePlace: RequestPlace | undefined; fixed: StreamPaging['fixed'] },
): StreamPaging {
  const ends = cursor.endsOfOffset(sizePlace)
  if (ends === undefined) return { paginator: cursor.paginator(), fixed }
  const { token, scene } = cursor.places
  const paging = offsets(size, sizePlace, token, scene)
  scene.assume(
    'the offset grows by the records of a page; Airbyte adds the size that the answer names',
    'endpoint.paginator',
  )
  const { total_path: _none, ...paginator } = paging.paginator as Readonly<Record<string, unknown>>
  return { ...paging, paginator: { ...paginator, ...ends } }
}

function pageNumbers(strategy: Part, token: RequestPlace | undefined, scene: Scene): StreamPaging['paginator'] {
  const start = Number(strategy.start_from_page ?? 0)
  return {
    type: 'page_number',
    base_page: Number.isInteger(start) ? start : 0,
    ...placed(token, 'page_param', 'page_body_path', scene),
    total_path: null,
  }
}

function offsets(
  size: number | undefined,
  sizePlace: RequestPlace | undefined,
  token: RequestPlace | undefined,
  scene: Scene,
): StreamPaging {
  const isPlain = sizePlace !== undefined && ['request_parameter', 'body_json', 'body_data'].includes(sizePlace.into)
  return {
    paginator: {
      type: 'offset',
      limit: isPlain ? (size ?? 0) : 0,
      ...placed(token, 'offset_param', 'offset_body_path', scene),
      ...(token?.template !== undefined && { offset_template: token.template }),
      ...(isPlain && size !== undefined && placed(sizePlace, 'limit_param', 'limit_body_path', scene)),
      total_path: null,
    },
    fixed: isPlain || sizePlace === undefined || size === undefined ? [] : [{ place: sizePlace, value: size }],
  }
}

function placed(
  place: RequestPlace | undefined,
  param: string,
  body: string,
  scene: Scene,
): Readonly<Record<string, string>> {
  if (place?.into === 'request_parameter') return { [param]: place.name }
  if (place?.into === 'body_json' || place?.into === 'body_data') return { [body]: place.name }
  scene.stop(
    place === undefined
      ? 'nothing says where the request carries the place of the next page'
      : `the next page is asked for in ${place.into === 'path' ? 'the path' : 'a header'}, which no paginator of this kind does`,
    'endpoint.paginator',
  )
  return { [param]: place?.name === undefined || place.name === '' ? 'page' : place.name }
}

/** The parameter that carries the token of the next page. */
function tokenInRequest(request: Part, paginator: Part): RequestPlace | undefined {
  const places = [
    ['request_parameters', 'request_parameter'],
    ['request_body_json', 'body_json'],
    ['request_body_data', 'body_data'],
  ] as const
  for (const [key, into] of places) {
    for (const [name, text] of Object.entries(partOf(request[key]) ?? {})) {
      if (typeof text === 'string' && isToken(text))
        return { into, name: into === 'request_parameter' ? name : jsonPath([name]) }
      if (into === 'request_parameter' && isOffsetText(text, paginator)) {
        const [, , before = '', , after = ''] = OFFSET_TEXT.exec(text.trim()) ?? []
        return { into, name, template: `${before}{offset}${after}` }
      }
    }
  }
  return undefined
}

/** An offset within a text, as in `'{{ next_page_token['next_page_token'] or '0' }},50'`. */
const OFFSET_TEXT =
  /^(['"]?)([^{}'"]*)\{\{\s*next_page_token(?:\.next_page_token|\[['"]next_page_token['"]\])\s+or\s+(['"]?)0\3\s*\}\}([^{}'"]*)\1$/

/** Whether a parameter holds the offset of the next page within a text, and nothing else carries it. */
export function isOffsetText(text: unknown, paginator: Part | undefined): text is string {
  const isCounted = typeOf(partOf(paginator?.pagination_strategy)) === 'OffsetIncrement'
  return (
    isCounted && paginator?.page_token_option === undefined && typeof text === 'string' && OFFSET_TEXT.test(text.trim())
  )
}

/** Whether a template is only the token of the next page. */
export function isToken(text: string): boolean {
  return /^\s*\{\{[^{}]*\bnext_page_token\b[^{}]*\}\}\s*$/.test(text)
}

interface CursorPlaces {
  readonly token: RequestPlace | undefined
  readonly selector: string
  readonly fields: ReadonlySet<string> | undefined
  readonly scene: Scene
}

/** The meaning of a stop condition. */
type Stop =
  | { readonly kind: 'missing' | 'empty' }
  | { readonly kind: 'more' | 'done' | 'pages' | 'total'; readonly path: string }

interface Place {
  readonly root: string
  readonly keys: readonly Key[]
}

class Cursor {
  private readonly value: Place | undefined
  private readonly next: Syntax | undefined

  private readonly strategy: Part
  readonly places: CursorPlaces

  constructor(strategy: Part, places: CursorPlaces) {
    this.strategy = strategy
    const { scene } = places
    const what = 'the cursor of the next page'
    const next = scene.attempt(what, strategy.cursor_value, () => expressionOf(String(strategy.cursor_value ?? '')))
    const wrapped = next && places.token?.into === 'body_json' ? wrappedCursor(next) : undefined
    this.next = wrapped?.cursor ?? next
    this.places =
      wrapped === undefined || places.token === undefined
        ? places
        : { ...places, token: { into: 'body_json', name: `${places.token.name}.${jsonPath(wrapped.keys)}` } }
    const node = this.next
    this.value =
      node &&
      scene.attempt(what, strategy.cursor_value, () => {
        const value = this.place(node)
        if (value === undefined && this.counted() === undefined && this.sum(node) === undefined)
          throw new Unsayable('it is computed')
        return value
      })
  }

  /** Where a list ends whose cursor is the offset plus the size of the page, as the answer names both. Else undefined. */
  endsOfOffset(size: RequestPlace | undefined): Readonly<Record<string, unknown>> | undefined {
    const places = this.next && this.sum(this.next)
    if (places === undefined) return undefined
    const names = places.map(({ keys }) => String(keys.at(-1)))
    const isOffset = (name: string): boolean => name === this.places.token?.name || OFFSET_NAME.test(name)
    const isSize = (name: string): boolean => name === size?.name || SIZE_NAME.test(name)
    const { scene } = this.places
    if (!names.some((name, index) => isOffset(name) && isSize(names[1 - index] ?? ''))) {
      scene.stop(`the cursor of the next page is the sum of ${names.join(' and ')}`, 'endpoint.paginator')
      return undefined
    }
    const stops = this.stops()
    const total = stops.find(stop => stop.kind === 'total')
    const { stop_when_missing: _missing, ...ends } = Object.assign({}, ...stops.map(endOf)) as Record<string, unknown>
    if (total?.kind !== 'total') return { total_path: null, ...ends }
    // Answers may lack a total under the default path.
    return total.path === 'total' ? ends : { total_path: total.path, ...ends }
  }

  /** The two places of `{{ response.startAt + response.maxResults }}`. */
  private sum(node: Syntax): readonly [Place, Place] | undefined {
    if (node.type !== 'BinaryExpression' || (node.operator as Syntax).value !== '+') return undefined
    const [left, right] = [node.left as Syntax, node.right as Syntax].map(side => this.place(unwrapped(side)))
    return left?.root === 'response' && right?.root === 'response' ? [left, right] : undefined
  }

  paginator(): StreamPaging['paginator'] {
    const { scene, token } = this.places
    const counted = this.counted()
    if (counted !== undefined) return this.numbers()
    const { value } = this
    if (value === undefined) return 'single_page'
    const stops: Stop[] = [...this.stops(), ...(this.endsEmpty ? [{ kind: 'empty' } as const] : [])]
    const ends = Object.assign({}, ...stops.map(endOf)) as Record<string, unknown>
    if (value.root === 'last_record') {
      const mayLack = this.mayLack(value)
      if (mayLack)
        scene.open(
          `the schema has no ${String(value.keys[0])}, by which the next page is asked for: where the last record has none, the list ends, as with Airbyte`,
          'endpoint.paginator',
        )
      if (token?.into !== 'path' && (mayLack || stops.some(({ kind }) => kind === 'more' || kind === 'done'))) {
        return {
          type: 'cursor',
          cursor_path: this.inLastRecord(value),
          ...placed(token, 'cursor_param', 'cursor_body_path', scene),
          ...(mayLack && { stop_when_missing: true }),
          ...ends,
        }
      }
      if (token?.into === 'path') {
        return { type: 'json_link', next_url_path: this.inLastRecord(value), stop_when_missing: true, ...ends }
      }
      const { stop_when_missing: _missing, ...others } = ends
      return {
        type: 'keyset',
        field: jsonPath(value.keys),
        ...placed(token, 'param', 'body_path', scene),
        limit: 0,
        ...others,
      }
    }
    if (value.root === 'headers') return this.inHeader(value, ends)
    const isLink = token?.into === 'path'
    if (isLink || this.isQueryOfLink) {
      if (!isLink)
        scene.assume(
          'the next page is the link of the answer, of which Airbyte takes a parameter',
          'endpoint.paginator',
        )
      return { type: 'json_link', next_url_path: jsonPath(value.keys), stop_when_missing: true, ...ends }
    }
    return {
      type: 'cursor',
      cursor_path: jsonPath(value.keys),
      ...placed(token, 'cursor_param', 'cursor_body_path', scene),
      stop_when_missing: true,
      ...ends,
    }
  }

  /** The JSONPath of a place in the last record, from the root of the answer. */
  private inLastRecord({ keys }: Place): string {
    const { scene, selector } = this.places
    if (selector.includes('*'))
      scene.stop('the next page follows from the last of records that lie apart', 'endpoint.paginator')
    return `${selector === '$' ? '$' : selector}[-1]${jsonPath(keys).replace(/^(?=[^[])/, '.')}`
  }

  /** Whether records may lack the field that leads to the next page. Airbyte ends the list at such a record. */
  private mayLack({ keys }: Place): boolean {
    const { fields, selector } = this.places
    return fields !== undefined && !fields.has(String(keys[0])) && !selector.includes('*')
  }

  private inHeader({ keys }: Place, ends: Readonly<Record<string, unknown>>): StreamPaging['paginator'] {
    const { scene, token } = this.places
    const [name, relation] = keys.map(String)
    const missing = { stop_when_missing: true, ...ends }
    if (name?.toLowerCase() === 'link' && relation !== undefined) {
      return { type: 'header_link', ...(relation !== 'next' && { links_next_key: relation }), ...missing }
    }
    if (name === undefined) return 'single_page'
    if (token?.into === 'path') return { type: 'header_link', header: name, ...missing }
    return {
      type: 'header_cursor',
      cursor_key: name,
      cursor_param: placed(token, 'cursor_param', 'cursor_param', scene).cursor_param,
      ...missing,
    }
  }

  /** The page number in `{{ response.page + 1 }}`. */
  private counted(): Place | undefined {
    const node = this.next
    if (node?.type !== 'BinaryExpression' || (node.operator as Syntax).value !== '+') return undefined
    const [left, right] = [node.left as Syntax, node.right as Syntax]
    const one = [left, right].find(side => side.type === 'IntegerLiteral' && side.value === 1)
    const other = [left, right].find(side => side !== one)
    if (one === undefined || other === undefined) return undefined
    return this.place(unwrapped(other), true)
  }

  private numbers(): StreamPaging['paginator'] {
    const { scene, token } = this.places
    const stops = this.stops()
    const pages = stops.find(stop => stop.kind === 'pages')
    const ends = Object.assign({}, ...stops.map(endOf)) as Record<string, unknown>
    const { stop_when_missing: _missing, ...others } = ends
    scene.assume('the first page has the number 1', 'endpoint.paginator')
    return {
      type: 'page_number',
      base_page: 1,
      ...placed(token, 'page_param', 'page_body_path', scene),
      total_path: pages?.kind === 'pages' ? pages.path : null,
      ...others,
    }
  }

  private stops(): Stop[] {
    const { scene } = this.places
    const given = this.strategy.stop_condition
    if (given === undefined || given === null || given === '') return []
    const text = String(given)
    if (!isTemplate(text)) return []
    // A missing cursor ends the list anyway, and a cursor that does not change ends the run.
    const isSafe = this.value !== undefined && this.value.root !== 'last_record'
    const stops = scene.attempt(
      'the condition that ends the list',
      given,
      () => this.stopsOf(expressionOf(text)),
      !isSafe,
    )
    return stops ?? []
  }

  private stopsOf(node: Syntax): Stop[] {
    if (node.type === 'BinaryExpression') {
      const operator = String((node.operator as Syntax).value)
      if (operator === 'or') return [...this.stopsOf(node.left as Syntax), ...this.stopsOf(node.right as Syntax)]
      if (operator === 'and') {
        const both = [...this.stopsOf(node.left as Syntax), ...this.stopsOf(node.right as Syntax)]
        if (both.every(({ kind }) => kind === 'missing')) return both
        // If one of the two is the missing cursor, that one is enough.
        if (both.some(({ kind }) => kind === 'missing')) return both.filter(({ kind }) => kind === 'missing')
        throw new Unsayable('two conditions at once')
      }
    }
    return [this.stopOf(node)]
  }

  private stopOf(node: Syntax): Stop {
    if (node.type === 'UnaryExpression') {
      const inner = node.argument as Syntax
      const place = this.place(inner)
      if (place !== undefined) return this.unless(place)
      const isIn = inner.type === 'BinaryExpression' && (inner.operator as Syntax).value === 'in'
      if (isIn) return this.without(inner)
      const opposite = this.stopOf(inner)
      if (opposite.kind === 'done') return { kind: 'more', path: opposite.path }
      if (opposite.kind === 'more') return { kind: 'done', path: opposite.path }
      throw new Unsayable('`not` of this')
    }
    const place = this.place(node)
    if (place !== undefined) return this.flag('done', place)
    if (node.type === 'TestExpression') {
      const on = this.place(node.operand as Syntax)
      const test = String((node.test as Syntax).value)
      if (on !== undefined) {
        if (test === 'defined' && node.negate === true) return this.unless(on)
        if ((test === 'none' || test === 'undefined') && node.negate !== true) return this.unless(on)
        if (test === 'false' || test === 'true') {
          return this.flag((test === 'true') === (node.negate !== true) ? 'done' : 'more', on)
        }
      }
      throw new Unsayable(`the test \`${test}\``)
    }
    if (node.type === 'BinaryExpression') return this.comparison(node)
    throw new Unsayable(`a condition of the kind ${node.type}`)
  }

  private comparison(node: Syntax): Stop {
    const operator = String((node.operator as Syntax).value)
    const [leftNode, rightNode] = [node.left as Syntax, node.right as Syntax]
    if (operator === 'not in') return this.without(node)
    const size = sizeNode(leftNode)
    const literal = literalOf(rightNode)
    if (size !== undefined && this.isRecords(size)) {
      if ((operator === '==' && literal === 0) || (operator === '<' && literal === 1)) return { kind: 'empty' }
      // Airbyte stops at a short page. The page after it would be empty.
      if (operator === '<') return { kind: 'empty' }
    }
    const [left, right] = [this.place(leftNode), this.place(rightNode)]
    if (operator === '>=' && right?.root === 'response' && this.sum(leftNode) !== undefined)
      return { kind: 'total', path: jsonPath(right.keys) }
    if (left !== undefined && literal !== undefined) {
      if (operator === '==' && (literal === null || literal === '' || literal === 'null' || literal === 0)) {
        const stop = this.unless(left)
        // A value that is compared with a text, a number or null is not a flag.
        if (stop.kind === 'more') throw new Unsayable('a condition that is not a boolean')
        return stop
      }
      if (typeof literal === 'boolean' && (operator === '==' || operator === '!=')) {
        return this.flag(literal === (operator === '==') ? 'done' : 'more', left)
      }
    }
    if (left !== undefined && right !== undefined && /^(>=|==)$/.test(operator) && right.root === 'response') {
      return { kind: 'pages', path: jsonPath(right.keys) }
    }
    if (left !== undefined && right !== undefined && /^(<=|==)$/.test(operator) && left.root === 'response') {
      return { kind: 'pages', path: jsonPath(left.keys) }
    }
    throw new Unsayable(`\`${operator}\` in a condition`)
  }

  /** `'next' not in response` and `not 'next' in response`: stops if there is no such member. */
  private without(node: Syntax): Stop {
    const [member, within] = [node.left as Syntax, node.right as Syntax]
    const on = member.type === 'StringLiteral' ? this.place(within, true) : undefined
    if (on === undefined) throw new Unsayable('`not in` of this')
    return this.unless({ root: on.root, keys: [...on.keys, String(member.value)] })
  }

  /** Stops if there is no value. */
  private unless(place: Place): Stop {
    const { value } = this
    if (value !== undefined && value.root === place.root && isAbove(place.keys, value.keys)) return { kind: 'missing' }
    if (place.root === 'headers' && value?.root === 'headers') return { kind: 'missing' }
    if (place.root === 'last_record') return { kind: 'empty' }
    if (place.root === 'headers' && value?.root === 'last_record') {
      this.places.scene.assume(
        'the page after the last one has no records; Airbyte looks at a header',
        'endpoint.paginator',
      )
      return { kind: 'empty' }
    }
    if (this.isRecords(place)) return { kind: 'empty' }
    return this.flag('more', place)
  }

  private flag(kind: 'more' | 'done', place: Place): Stop {
    if (place.root !== 'response' || place.keys.length === 0) throw new Unsayable(`a condition on \`${place.root}\``)
    return { kind, path: jsonPath(place.keys) }
  }

  /** Whether a place is the list of records, or their number. */
  private isRecords({ root, keys }: Place): boolean {
    return root === 'last_page_size' || (root === 'response' && jsonPath(keys) === this.places.selector)
  }

  private isQueryOfLink = false
  private endsEmpty = false

  /** The place in the answer, if the node is only that. */
  private place(node: Syntax, isWhole = false): Place | undefined {
    if (node.type === 'Identifier') {
      const name = String(node.value)
      if (name === 'decoded_response') return { root: 'response', keys: [] }
      return ['response', 'headers', 'last_record', 'last_page_size', 'next_page_token'].includes(name)
        ? { root: name, keys: [] }
        : undefined
    }
    if (node.type === 'MemberExpression') {
      const above = this.place(node.object as Syntax, true)
      const property = node.property as Syntax
      if (above === undefined || property.type === 'SliceExpression') return this.firstLink(node) ?? this.queryOf(node)
      if (node.computed === true && !/^(String|Integer)Literal$/.test(property.type))
        throw new Unsayable('a key that is computed')
      return { root: above.root, keys: [...above.keys, property.value as Key] }
    }
    const callee = node.callee as Syntax | undefined
    if (
      node.type === 'CallExpression' &&
      callee?.type === 'MemberExpression' &&
      (callee.property as Syntax).value === 'get'
    ) {
      const [key] = node.args as Syntax[]
      const above = this.place(callee.object as Syntax, true)
      return above === undefined || key?.type !== 'StringLiteral'
        ? undefined
        : { root: above.root, keys: [...above.keys, key.value as string] }
    }
    if (
      node.type === 'BinaryExpression' &&
      (node.operator as Syntax).value === 'or' &&
      (isWhole || isEmptyNode(node.right as Syntax))
    ) {
      return this.place(node.left as Syntax, true)
    }
    // `x if x else none` is `x`, because a missing value ends the list.
    if (node.type === 'Ternary' && isEmptyNode(node.falseExpr as Syntax)) {
      const place = this.place(node.trueExpr as Syntax)
      const asked = this.conditionOn(node.condition as Syntax)
      if (place !== undefined && asked !== undefined && asked.root === place.root && isAbove(asked.keys, place.keys))
        return place
      return undefined
    }
    // The same without an `else`. If the condition asks for records, an empty page ends the list.
    if (node.type === 'SelectExpression') {
      const place = this.place(node.lhs as Syntax)
      const asked = this.conditionOn(node.test as Syntax)
      if (place === undefined || asked === undefined) return undefined
      if (asked.root === place.root && isAbove(asked.keys, place.keys)) return place
      if (!this.isRecords(asked)) return undefined
      this.endsEmpty = true
      return place
    }
    if (node.type === 'FilterExpression') return this.filteredPlace(node)
    return undefined
  }

  private filteredPlace(node: Syntax): Place | undefined {
    const name = filterName(node)
    const filter = node.filter as Syntax
    const [given] = filter.type === 'CallExpression' ? (filter.args as Syntax[]) : []
    const on = this.place(node.operand as Syntax)
    if (/^(string|tojson|int|trim)$/.test(name)) return on
    if (name === 'default' && (given === undefined || isEmptyNode(given))) return on
    // `regex_search('cursor=(.*)')`: a parameter of a link.
    if (on === undefined || name !== 'regex_search' || !/^[\\$?&[\]\w.-]+=\(/.test(String(given?.value ?? '')))
      return undefined
    this.isQueryOfLink = true
    return on
  }

  private conditionOn(node: Syntax): Place | undefined {
    if (node.type === 'TestExpression') return this.place(node.operand as Syntax)
    if (node.type === 'BinaryExpression' && (node.operator as Syntax).value === 'and')
      return this.conditionOn(node.right as Syntax)
    if (
      node.type === 'BinaryExpression' &&
      (node.operator as Syntax).value === 'in' &&
      (node.left as Syntax).type === 'StringLiteral'
    ) {
      const on = this.place(node.right as Syntax, true)
      return on && { root: on.root, keys: [...on.keys, String((node.left as Syntax).value)] }
    }
    return this.place(node)
  }

  /** `headers.get('Link').split(';')[0][1:-1]`: the first link. The list ends if there is no link with `rel="next"`. */
  private firstLink(node: Syntax): Place | undefined {
    const first = node.object as Syntax
    const call = first.type === 'MemberExpression' ? (first.object as Syntax) : undefined
    const callee = call?.callee as Syntax | undefined
    if (call?.type !== 'CallExpression' || callee?.type !== 'MemberExpression') return undefined
    if (!/\bnext\b/.test(String(this.strategy.stop_condition ?? ''))) return undefined
    const [by] = call.args as Syntax[]
    const on = (callee.property as Syntax).value === 'split' ? this.place(callee.object as Syntax, true) : undefined
    if (on?.root !== 'headers' || on.keys.length !== 1 || !/^link$/i.test(String(on.keys[0])) || by?.value !== ';')
      return undefined
    this.places.scene.assume('the first link of the header is the one with the relation `next`', 'endpoint.paginator')
    return { root: 'headers', keys: [...on.keys, 'next'] }
  }

  /** `response.next.split('cursor=')[1]`: a part of a link. */
  private queryOf(node: Syntax): Place | undefined {
    const call = node.object as Syntax
    const callee = call.callee as Syntax | undefined
    if (
      call.type !== 'CallExpression' ||
      callee?.type !== 'MemberExpression' ||
      (callee.property as Syntax).value !== 'split'
    )
      return undefined
    const [by] = call.args as Syntax[]
    const inner = callee.object as Syntax
    const on = this.place(inner, true)
    if (on === undefined || by?.type !== 'StringLiteral') return undefined
    if (!/[?&=]/.test(String(by.value)) && !this.isQueryOfLink) return undefined
    this.isQueryOfLink = true
    return on
  }
}

function endOf(stop: Stop): Readonly<Record<string, unknown>> {
  switch (stop.kind) {
    case 'missing':
      return { stop_when_missing: true }
    case 'empty':
      return { stop_after_empty_page: true }
    case 'more':
      return { has_more_path: stop.path }
    case 'done':
      return { done_path: stop.path }
    case 'pages':
    case 'total':
      return {}
  }
}

const OFFSET_NAME = /^(?:offset|skip|start(?:_?at)?)$/i
const SIZE_NAME = /^(?:limit|max_?results|per_?page|page_?size)$/i

/**
 * `'{"after": "' + response.end + '"}'`: a cursor within a JSON object, which Airbyte writes as an object. `keys` lead to
 * it. Undefined for anything else.
 */
function wrappedCursor(node: Syntax): { readonly keys: readonly Key[]; readonly cursor: Syntax } | undefined {
  const text = node.type === 'Ternary' && isEmptyNode(node.falseExpr as Syntax) ? (node.trueExpr as Syntax) : node
  const [before, cursor, after, ...others] = summands(text)
  if (before?.type !== 'StringLiteral' || cursor === undefined || after?.type !== 'StringLiteral') return undefined
  if (others.length > 0) return undefined
  const keys = keysTo('\uE000', `${String(before.value)}\uE000${String(after.value)}`)
  return keys === undefined ? undefined : { keys, cursor: text === node ? cursor : { ...node, trueExpr: cursor } }
}

function summands(node: Syntax): readonly Syntax[] {
  const isSum = node.type === 'BinaryExpression' && /^[+~]$/.test(String((node.operator as Syntax).value))
  return isSum ? [...summands(node.left as Syntax), ...summands(node.right as Syntax)] : [node]
}

/** The keys that lead to a text in a JSON object that holds nothing else. */
function keysTo(text: string, json: string): readonly Key[] | undefined {
  const keys: Key[] = []
  let at: unknown
  try {
    at = JSON.parse(json)
  } catch {
    return undefined
  }
  for (let members = Object.entries(partOf(at) ?? {}); at !== text; members = Object.entries(partOf(at) ?? {})) {
    const [only, ...others] = members
    if (only === undefined || others.length > 0) return undefined
    keys.push(only[0])
    at = only[1]
  }
  return keys.length === 0 ? undefined : keys
}

function isAbove(keys: readonly Key[], of: readonly Key[]): boolean {
  return keys.length <= of.length && keys.every((key, index) => key === of[index])
}

function unwrapped(node: Syntax): Syntax {
  return node.type === 'FilterExpression' && (node.filter as Syntax).value === 'int'
    ? unwrapped(node.operand as Syntax)
    : node
}

function filterName(node: Syntax): string {
  const filter = node.filter as Syntax
  return String((filter.type === 'CallExpression' ? (filter.callee as Syntax) : filter).value)
}

function isEmptyNode(node: Syntax): boolean {
  const literal = literalOf(node)
  return (
    literal === null ||
    literal === '' ||
    literal === 0 ||
    (node.type === 'ObjectLiteral' && (node.value as Map<unknown, unknown>).size === 0)
  )
}

/** The place whose length is taken (`… | length`), or the number of records. */
function sizeNode(node: Syntax): Place | undefined {
  if (node.type === 'Identifier' && node.value === 'last_page_size') return { root: 'last_page_size', keys: [] }
  const filter = node.filter as Syntax | undefined
  if (node.type !== 'FilterExpression' || !/^(length|count)$/.test(String(filter?.value))) return undefined
  const keys: Key[] = []
  for (let at = node.operand as Syntax; ; ) {
    if (at.type === 'Identifier') return { root: String(at.value), keys }
    const callee = at.callee as Syntax | undefined
    const first =
      at.type === 'CallExpression' && callee?.type === 'MemberExpression' ? (at.args as Syntax[])[0] : undefined
    const key = first ?? (at.type === 'MemberExpression' ? (at.property as Syntax) : undefined)
    if (key === undefined) return undefined
    keys.unshift(key.value as Key)
    at = (first === undefined ? at.object : callee?.object) as Syntax
  }
}

function literalOf(node: Syntax): string | number | boolean | null | undefined {
  if (/Literal$/.test(node.type)) return typeof node.value === 'object' ? undefined : (node.value as string | number)
  const word = node.type === 'Identifier' ? String(node.value).toLowerCase() : ''
  if (word === 'none') return null
  return word === 'true' || word === 'false' ? word === 'true' : undefined
}
