import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { describe, expect, it } from 'vitest'
import type { RowsGiven } from '../../src/studio/pageContract.js'
import { hasBrowser, openPage, settled } from './browser.js'
import { onlyPipeline, openStudio, runToEnd, shopsApi, shopsDocument } from './studioApi.js'

/** A studio whose shops got `more` rows, of a few cities and of one rating each. */
async function manyShops(more: number) {
  const shops = await shopsApi()
  const studio = await openStudio({ 'shops.yaml': shopsDocument(shops.origin) }, ['.'], 300_000)
  const { id } = await onlyPipeline(studio)
  await runToEnd(studio, id)
  const instance = await DuckDBInstance.fromCache(join(studio.folder, 'shops.duckdb'))
  const connection = await instance.connect()
  try {
    await connection.run(
      `INSERT INTO shops_dataset.shops BY NAME
      SELECT
        1000 + i AS id,
        'city ' || i % 3 AS city,
        i AS rating,
        '1' AS _dlt_load_id,
        'made ' || i AS _dlt_id
      FROM range(${more}) AS given(i)`,
    )
  } finally {
    connection.closeSync()
    instance.closeSync()
  }
  return { studio, id }
}

describe('pages of sorted rows', { timeout: 300_000 }, () => {
  it('hold each row once, also where many have the same value', async () => {
    // Enough for several threads of the database, which hand in rows of one value in any order.
    const { studio, id } = await manyShops(1_500_000)
    for (const descending of [false, true]) {
      const seen: unknown[] = []
      for (let offset = 0; offset < 490; offset += 49) {
        const body = { table: 'shops', orderBy: 'city', descending, offset, limit: 49 }
        const { columns, rows } = (await studio.ask(`/api/pipelines/${id}/rows`, { body })).json as RowsGiven
        const at = columns.findIndex(({ name }) => name === '_dlt_id')
        seen.push(...rows.map(row => row[at]))
      }
      expect(seen).toHaveLength(490)
      expect(new Set(seen).size, `descending: ${descending}`).toBe(490)
    }
  })

  it.skipIf(!hasBrowser())('go on where they are counted no further', async () => {
    const { studio, id } = await manyShops(20_000)
    const { page, problems } = await openPage(studio.address)
    await page.getByText('complete').waitFor()
    await page.goto(`${studio.origin}/#/p/${id}/data`)
    const first = page.locator('.grid tbody tr').first()
    await page.getByLabel('From row').fill('15001')
    await page.getByLabel('From row').press('Enter')
    await page.getByText('rows 15,001 to 15,049').waitFor()

    await page.getByRole('button', { name: 'rating', exact: true }).click()
    await page.getByRole('button', { name: 'rating ↑' }).waitFor()
    await page.getByLabel('From row').fill('10001')
    await page.getByLabel('From row').press('Enter')
    await page.getByText('rows 10,001 to 10,049').waitFor()
    await page.getByText('Sorted rows are counted up to 10,000.').waitFor()
    expect(await page.getByRole('button', { name: 'Next' }).isDisabled()).toBe(true)
    const last = await page.locator('.grid tbody tr').last().textContent()
    await page.getByRole('button', { name: 'Go on from the last value' }).click()
    await page.getByText('rows 1 to 49').waitFor()
    await settled(() => first.textContent()).toBe(last)

    // One city has no end within reach: its value leads nowhere else.
    await page.getByRole('button', { name: 'Remove the filter on rating' }).click()
    await page.getByRole('button', { name: 'city', exact: true }).click()
    await page.getByRole('button', { name: 'city ↑' }).click()
    await page.getByRole('button', { name: 'city ↓' }).waitFor()
    await page.getByLabel('From row').fill('9952')
    await page.getByLabel('From row').press('Enter')
    await page.getByText('rows 9,952 to 10,000').waitFor()
    await page.getByRole('button', { name: 'Next' }).click()
    await page.getByRole('button', { name: 'Go on from the last value' }).click()
    await page.getByText('rows 1 to 49').waitFor()
    expect(problems).toEqual([])
  })
})
