import { expect, test } from 'vitest'
import { command } from '../import/importing.js'
import { provenApi, type Traits } from '../import/provenApis.js'
import { testApi } from '../rest/loading.js'
import { pipelineFolder } from './recordedApi.js'

test.each<[way: Traits['way'], paginator: string]>([
  ['whole', 'single_page'],
  ['page0', '{ type: page_number, base_page: 0, total_path: null }'],
  ['page1', '{ type: page_number, base_page: 1, total_path: null }'],
  ['offset', '{ type: offset, limit: 5, total_path: null }'],
  ['cursor', '{ type: cursor, cursor_path: next }'],
  ['cursor_in_header', '{ type: header_cursor, cursor_key: X-Next-Cursor }'],
  ['next_url', '{ type: json_link, next_url_path: next }'],
  ['link', 'header_link'],
  ['keyset', '{ type: keyset, field: id, param: after, limit: 5 }'],
])('the faults of a network change no table of a recorded list by %s', async (way, paginator) => {
  const server = await testApi(provenApi({ way, records: 12 }))
  const { file } = await pipelineFolder(`client:
  base_url: "${server.origin}"
resources:
  - name: things
    primary_key: id
    endpoint: { path: things, data_selector: items, paginator: ${paginator} }
`)
  const recorded = await command(['record', file, '--pages', '3'])
  expect(recorded.exitCode, recorded.err + recorded.out).toBe(0)
  const asked = server.asked.length
  const tested = await command(['test', file, '--faults'])
  expect(tested.exitCode, tested.err + tested.out).toBe(0)
  expect(tested.out).toContain('cut body: the same tables')
  expect(server.asked.length).toBe(asked)
})
