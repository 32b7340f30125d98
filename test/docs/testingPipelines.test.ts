import { readFile, writeFile } from 'node:fs/promises'
import { expect, onTestFinished, test } from 'vitest'
import { recordPipeline } from '../../src/recording/recordPipeline.js'
import { testPipeline } from '../../src/recording/testRecording.js'
import { pipelineFolder } from '../recording/recordedApi.js'
import { serve } from '../rest/clientServer.js'
import { blocksOf } from './blocks.js'

test('the example of the page on tests is recorded and tested as the page says', async () => {
  const blocks = await blocksOf('docs/testing-pipelines.md')
  const [document = '', shown = ''] = blocks.map(({ text }) => text)
  const { origin, close } = await serve(({ url }, response) => {
    const rows = [
      { id: 1, email: 'ann@example.com', total: 9.5 },
      { id: 2, email: 'bob@example.com', total: 12 },
      { id: 3, email: 'eve@example.com', total: 3.25 },
    ]
    const body = url.includes('cursor=p2') ? { data: rows.slice(2) } : { data: rows.slice(0, 2), next: 'p2' }
    response.setHeader('content-type', 'application/json').end(JSON.stringify(body))
  })
  onTestFinished(() => close())
  const { file } = await pipelineFolder(document.replace('https://api.example.com', origin), 'orders.yaml')
  await recordPipeline(file, { env: { ORDERS_TOKEN: 'token-of-the-page' } })
  await close()
  const [tested] = await testPipeline(file, { update: true })
  const written = await readFile(tested?.snapshot ?? '', 'utf8')
  const plain = (text: string): string =>
    text
      .replaceAll(origin, 'https://api.example.com')
      .replace(/recorded \S+/, 'recorded')
      .replace(/digest \w+/g, 'digest')
  expect(plain(written)).toBe(plain(shown))
  expect(await testPipeline(file, { faults: true })).toMatchObject([{ outcome: 'same' }])
  await writeFile(
    file,
    (await readFile(file, 'utf8')).replace('    primary_key: id\n    write_disposition: merge\n', ''),
  )
  expect(await testPipeline(file)).toMatchObject([{ outcome: 'different' }])
})
