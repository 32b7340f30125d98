import { describe, expect, test } from 'vitest'
import { parseJson } from '../../src/json/parse.js'
import { type JsonValue, numberLiteral } from '../../src/json/value.js'
import { stringifyJson } from '../../src/json/write.js'
import { sha3Base64 } from '../../src/model/cursors/boundaryHashes.js'
import { SchemaError } from '../../src/model/errors.js'
import type { CursorState, PipelineState } from '../../src/model/pipelineState.js'
import {
  bumpState,
  cursorState,
  decodeState,
  encodeState,
  newState,
  stateHash,
  stateValue,
  withCursorState,
  withoutCursors,
  withoutResource,
  withoutSource,
  withStateValue,
} from '../../src/model/pipelineState.js'
import fc from '../properties.js'

const fresh = (): PipelineState =>
  newState('p', { datasetName: 'data', schemaName: 's', destinationType: 'dlt.destinations.duckdb' })
const cursor: CursorState = { initial_value: 0, last_value: 5, unique_hashes: ['669czW83KR00ut4bv/U5'], start_value: 0 }

describe('the document', () => {
  test('has the keys of dlt, in its order', () => {
    const state = bumpState(withCursorState(fresh(), 's', 'posts', 'at', cursor))
    expect(Object.keys(state)).toEqual([
      '_state_version',
      '_state_engine_version',
      'pipeline_name',
      'default_schema_name',
      'dataset_name',
      'schema_names',
      'destination_type',
      'destination_name',
      '_version_hash',
      'sources',
    ])
    expect(state.sources).toEqual({ s: { resources: { posts: { incremental: { at: cursor } } } } })
  })

  test('hashes its content with sorted keys and without its versions', () => {
    const text =
      '{"dataset_name":"data","default_schema_name":"s","destination_name":null,' +
      '"destination_type":"dlt.destinations.duckdb","pipeline_name":"p","schema_names":["s"]}'
    expect(stateHash(fresh())).toBe(sha3Base64(text))
    expect(stateHash({ ...fresh(), _state_version: 7, _version_hash: 'x', _local: { first_run: true } })).toBe(
      sha3Base64(text),
    )
  })

  test('a new version comes with new content only', () => {
    const first = bumpState(fresh())
    expect(first._state_version).toBe(1)
    expect(bumpState(first)).toBe(first)
    const second = bumpState(withCursorState(first, 's', 'posts', 'at', cursor))
    expect(second).toMatchObject({ _state_version: 2, _version_hash: stateHash(second) })
  })
})

describe('the stored text', () => {
  test('keeps digits, typed marks and names of any kind', () => {
    const marked = '\u{F027}2024-01-01T00:00:00+00:00'
    const text =
      '{"_state_version":3,"_state_engine_version":4,"pipeline_name":"p","sources":{"s":{"ratio":1.0,"big":' +
      `9007199254740993,"resources":{"__proto__":{"incremental":{"constructor":{"last_value":"${marked}",` +
      '"unique_hashes":[]}}}}}}}'
    const state = decodeState(text)
    expect(cursorState(state, 's', '__proto__', 'constructor')).toEqual({ last_value: marked, unique_hashes: [] })
    expect(stateValue(state, 'big', { source: 's' })).toBe(9007199254740993n)
    const moved = withCursorState(state, 's', '__proto__', 'constructor', { last_value: 2, unique_hashes: [] })
    const again = encodeState(moved)
    expect(stringifyJson(decodeState(again))).toBe(text.replace(`"${marked}"`, '2'))
    expect(cursorState(state, 's', '__proto__', 'constructor')?.last_value).toBe(marked)
  })

  test('leaves out what is local', () => {
    const text = encodeState({ ...fresh(), _local: { first_run: true } })
    expect(decodeState(text)).toEqual(fresh())
  })

  test('a cursor keeps the digits of its last value', () => {
    const cursors = '{"at":{"last_value":1.50,"unique_hashes":["a"]}}'
    const state = decodeState(
      `{"_state_version":1,"pipeline_name":"p","sources":{"s":{"resources":{"r":{"incremental":${cursors}}}}}}`,
    )
    const read = cursorState(state, 's', 'r', 'at')
    expect(read && numberLiteral(read, 'last_value')).toBe('1.50')
  })

  test.each([
    ['nothing', ''],
    ['no JSON', 'hello!'],
    ['a list', '[]'],
    ['no pipeline', '{"_state_version":1}'],
    ['a newer engine', '{"pipeline_name":"p","_state_engine_version":5}'],
  ])('%s is refused', (_, text) => {
    expect(() => decodeState(text)).toThrow(SchemaError)
  })

  test('any user value comes back', () => {
    fc.assert(
      fc.property(fc.string(), fc.jsonValue(), (key, value) => {
        fc.pre(key !== 'resources')
        const parsed = parseJson(JSON.stringify(value)) as JsonValue
        const state = decodeState(encodeState(withStateValue(fresh(), key, parsed, { source: 's' })))
        expect(stateValue(state, key, { source: 's' })).toEqual(parsed)
      }),
    )
  })
})

describe('changes', () => {
  const filled = (): PipelineState => {
    const posts = withCursorState(fresh(), 's', 'posts', 'at', cursor)
    const both = withCursorState(posts, 's', 'users', 'at', { ...cursor, last_value: 9 })
    return withStateValue(both, 'seen', 1, { source: 's', resource: 'posts' })
  }

  test('touch only what they name', () => {
    const state = filled()
    const changed = withCursorState(state, 's', 'posts', 'id', { unique_hashes: [] })
    expect(cursorState(changed, 's', 'posts', 'at')).toEqual(cursor)
    expect(changed.sources?.s?.resources?.users).toBe(state.sources?.s?.resources?.users)
    expect(cursorState(state, 's', 'posts', 'id')).toBeUndefined()
  })

  test('a resource, its cursors or its source can be forgotten', () => {
    const state = filled()
    expect(withoutResource(state, 's', 'posts').sources).toEqual({
      s: { resources: { users: { incremental: { at: { ...cursor, last_value: 9 } } } } },
    })
    const cursorless = withoutCursors(state, 's', 'posts')
    expect(cursorState(cursorless, 's', 'posts', 'at')).toBeUndefined()
    expect(stateValue(cursorless, 'seen', { source: 's', resource: 'posts' })).toBe(1)
    expect(withoutSource(state, 's').sources).toEqual({})
    for (const forget of [withoutResource, withoutCursors]) expect(forget(state, 's', 'nobody')).toBe(state)
    expect(withoutSource(state, 'nobody')).toBe(state)
  })

  test('values of the user come and go, the keys of the pipeline are refused', () => {
    const state = withStateValue(filled(), 'seen', undefined, { source: 's', resource: 'posts' })
    expect(stateValue(state, 'seen', { source: 's', resource: 'posts' })).toBeUndefined()
    expect(() => withStateValue(state, 'resources', 1, { source: 's' })).toThrow(/resources/)
    expect(() => withStateValue(state, 'incremental', 1, { source: 's', resource: 'posts' })).toThrow(/incremental/)
  })
})
