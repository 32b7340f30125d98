import { describe, expect, it } from 'vitest'
import { parseJson } from '../../src/json/parse.js'
import { pieces } from '../../src/json/records.js'
import type { Load } from '../../src/model/destination.js'
import { FilledColumns } from '../../src/pipeline/run/gone/fieldsGone.js'
import { writer } from '../../src/pipeline/run/writer.js'
import { openLoad } from '../normalize/harness.js'
import fc from '../properties.js'

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString()

describe('pieces of a page', () => {
  const spaces = fc.constantFrom('', ' ', '\n\t')
  const page = fc.tuple(fc.array(fc.tuple(spaces, fc.jsonValue(), spaces)), spaces).map(([records, end]) => {
    const parts = records.map(([before, record, after]) => `${before}${JSON.stringify(record)}${after}`)
    return `[${parts.join(',')}${end}]`
  })

  it('hold its records, each once and in order, and are no longer than they should be by more than one', () => {
    fc.assert(
      fc.property(page, fc.integer({ min: 1, max: 60 }), (records, pieceBytes) => {
        const all: unknown[] = JSON.parse(records)
        const parts = [...pieces(Buffer.from(records), pieceBytes)].map(text)
        expect(parts.flatMap(part => JSON.parse(part) as unknown[])).toEqual(all)
        const longest = Math.max(0, ...all.map(record => JSON.stringify(record).length))
        for (const part of parts.slice(0, -1)) expect(part.length).toBeLessThan(pieceBytes + longest + 10)
      }),
    )
  })

  it.each(['[1,2,]', '[1,,2]', '[1 2]', '[1,2', '[1,{"a":]', '[[1,2]', '[1,2]]', '[1,2] 3', '[1,"a', '[nul,1,2]'])(
    'of %s are not JSON either, wherever it is cut',
    broken => {
      for (let pieceBytes = 1; pieceBytes < broken.length; pieceBytes++) {
        const judged = [...pieces(Buffer.from(broken), pieceBytes)].map(piece => () => parseJson(piece))
        expect(() => {
          for (const judge of judged) judge()
        }).toThrow(SyntaxError)
      }
    },
  )
})

describe('a large page', () => {
  const records = 50_000
  const page = Buffer.from(
    JSON.stringify(Array.from({ length: records }, (_, id) => ({ id, text: 'a text of some length'.repeat(3) }))),
  )

  it('is staged while it is normalised: its rows do not wait for each other', async () => {
    const { normalizer, schema } = openLoad({ batchRows: 1000 })
    const rowsBefore: number[] = []
    const staged: number[] = []
    const load: Load = {
      async stage(batch) {
        if (staged.length === 0) rowsBefore.push(normalizer.rows().get('items') ?? 0)
        staged.push(batch.rows)
      },
      async commit() {},
      async abort() {},
    }
    const opened = writer(normalizer, load, schema, new FilledColumns())
    await opened.write('items', page)
    await opened.finish()
    expect(rowsBefore[0]).toBeLessThan(records / 2)
    expect(staged.reduce((sum, rows) => sum + rows, 0)).toBe(records)
  })

  it('is told of by the number of the record in the page', async () => {
    const broken = Buffer.from(text(page).replace(`{"id":${records - 7},`, '{'))
    const { normalizer, schema } = openLoad({ hints: { primaryKey: ['id'] } })
    const opened = writer(
      normalizer,
      { stage: async () => {}, commit: async () => {}, abort: async () => {} },
      schema,
      new FilledColumns(),
    )
    await expect(opened.write('items', broken)).rejects.toThrow(`record ${records - 6} of the page has no value for it`)
  })
})
