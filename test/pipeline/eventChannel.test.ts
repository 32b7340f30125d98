import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { duckdb, type EventMessage, type Pipeline, pipeline, type RunEvent, restApi } from '../../src/index.js'
import { testApi, testFolder } from './api.js'

async function shops(name: string, token = 'tok-4711-secret'): Promise<Pipeline> {
  const folder = await testFolder()
  const { url } = await testApi((_, { headers }) =>
    name === 'refused' ? { status: 500, json: { you_sent: headers.authorization } } : { json: [{ id: 1 }] },
  )
  return pipeline({
    name,
    source: restApi({
      client: { base_url: url, retry: { attempts: 1 }, auth: { type: 'bearer', token }, paginator: 'single_page' },
      resources: ['shops'],
    }),
    destination: duckdb(join(folder, 'shops.duckdb')),
    home: folder,
  })
}

function subscribed(): EventMessage[] {
  const messages: EventMessage[] = []
  const hear = (message: unknown): void => void messages.push(message as EventMessage)
  subscribe('sluice:event', hear)
  onTestFinished(() => void unsubscribe('sluice:event', hear))
  return messages
}

test('a channel carries the events of every pipeline, each run told apart', async () => {
  const messages = subscribed()
  const heard: RunEvent[] = []
  const [one, other] = [await shops('one'), await shops('other')]
  await Promise.all([one.run({ onEvent: event => void heard.push(event) }), other.run()])
  const ofOne = messages.filter(({ pipeline: name }) => name === 'one')
  expect(ofOne.map(({ event }) => event)).toEqual(heard)
  expect(messages.filter(({ event }) => event.type === 'committed')).toHaveLength(2)
  expect(new Set(messages.map(({ work }) => work)).size).toBe(2)
  await one.run()
  expect(new Set(messages.map(({ work }) => work)).size).toBe(3)
})

test('a channel carries no secret', async () => {
  const messages = subscribed()
  await (await shops('refused')).run().catch(() => {})
  expect(messages.at(-1)?.event).toMatchObject({ type: 'run_failed', message: expect.stringContaining('you_sent') })
  expect(JSON.stringify(messages)).not.toContain('4711')
})

test('a channel carries no secret of a source that lets one out in its own events', async () => {
  const messages = subscribed()
  const works: unknown[] = []
  const hear = (message: unknown): void => void works.push(message)
  subscribe('sluice:work', hear)
  onTestFinished(() => void unsubscribe('sluice:work', hear))
  const made = await shops('one')
  const folder = await testFolder()
  // Nothing of the source is scrubbed by what reads HTTP: only the pipeline stands between it and the channel.
  const talkative = pipeline({
    name: 'talkative',
    source: {
      ...made.source,
      resources: made.source.resources.map(resource => ({
        ...resource,
        // biome-ignore lint/correctness/useYield: it fails before its first page
        async *pages() {
          throw new Error('refused tok-4711-secret')
        },
      })),
    },
    destination: duckdb(join(folder, 'shops.duckdb')),
    home: folder,
  })
  await talkative.run().catch(() => {})
  expect(messages.at(-1)?.event).toMatchObject({ type: 'run_failed', message: expect.stringContaining('refused') })
  expect(works.at(-1)).toMatchObject({ state: 'ended', failure: { message: expect.stringContaining('refused') } })
  expect(JSON.stringify([messages, works])).not.toContain('4711')
})
