import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import type { Page } from 'playwright-core'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { TableList } from '../../src/studio/pageContract.js'
import { api } from '../rest/listServer.js'
import { hasBrowser, openPage, settled } from './browser.js'
import { onlyPipeline, openStudio, runToEnd, shopsApi, shopsDocument } from './studioApi.js'

describe.skipIf(!hasBrowser())(
  'the page of the studio, where much is there or something is wrong',
  {
    timeout: 400_000,
  },
  () => {
    it('shows a thousand pipelines by a few requests', async () => {
      const text = shopsDocument('http://127.0.0.1:1')
      const names = Array.from({ length: 1_000 }, (_, index) => `p${String(index).padStart(4, '0')}`)
      const studio = await openStudio(Object.fromEntries(names.map(name => [`${name}.yaml`, text])))
      const { page, asked, bytes, problems } = await openPage(studio.address)
      await page.getByText('1,000 files').waitFor()
      await settled(() => page.getByText('Nothing was loaded yet.').count()).toBe(25)
      // The list, the last loads of those that are shown, and the page itself.
      expect(asked.filter(path => path.startsWith('/api/'))).toHaveLength(26)
      expect(asked.length).toBeLessThanOrEqual(32)
      expect(await bytes()).toBeLessThan(200_000)

      const before = { asked: asked.length, bytes: await bytes() }
      await page.getByLabel('Find a file').fill('p0777')
      await page.getByText('1 file', { exact: true }).waitFor()
      await page.getByRole('link', { name: 'p0777' }).waitFor()
      expect(asked.length - before.asked).toBeLessThanOrEqual(2)
      expect((await bytes()) - before.bytes).toBeLessThan(2_000)
      await page.getByLabel('Find a file').fill('')
      await page.getByRole('button', { name: 'Show more' }).click()
      await settled(() => page.getByText('Nothing was loaded yet.').count()).toBe(50)
      await page.getByRole('link', { name: 'p0049' }).click()
      await page.getByText('Nothing was loaded yet. The view Run starts a load.').waitFor()
      expect(problems).toEqual([])
    })

    it('says who holds the database, and goes on when it is free', async () => {
      const shops = await shopsApi()
      const studio = await openStudio({ 'shops.yaml': shopsDocument(shops.origin) })
      const { id } = await onlyPipeline(studio)
      await runToEnd(studio, id)
      const { page, problems } = await openPage(studio.address)
      await page.getByText('complete').waitFor()

      const release = await held(join(studio.folder, 'shops.duckdb'))
      for (const view of ['', `p/${id}/loads`, `p/${id}/data`, `p/${id}/schema`, `p/${id}/run`]) {
        await page.goto('about:blank')
        await page.goto(`${studio.origin}/#/${view}`)
        await page.getByRole('alert').filter({ hasText: 'is in use by process' }).first().waitFor()
        await page.getByText('This page asks again until it is free.').first().waitFor()
        // What needs no database is there, and nothing is waited for.
        await settled(() => page.getByText('Loading…').count()).toBe(0)
      }
      // The file of the pipeline can be read and changed meanwhile.
      await page.goto(`${studio.origin}/#/p/${id}/document`)
      await page.locator('.cm-content').waitFor()
      await page.goto(`${studio.origin}/#/p/${id}/data`)
      await page.getByText('This page asks again until it is free.').waitFor()
      await release()
      await page.getByText('rows 1 to 49').waitFor()
      expect(await page.getByRole('alert').count()).toBe(0)
      expect(problems).toEqual([])
    })

    it('takes no name and no value for a part of the page', async () => {
      const hostile = [
        '<img src=/stolen onerror=alert(1)>',
        '</script><script>alert(2)</script>',
        'javascript:alert(3)',
        '"><svg onload=alert(4)>',
      ]
      const [image = '', script = ''] = hostile
      const served = await api(async () => ({
        json: [
          { id: 1, ...Object.fromEntries(hostile.map(text => [text, text])), [`${image}s`]: [{ [script]: image }] },
        ],
      }))
      onTestFinished(() => served.close())
      const module = `import { duckdb, pipeline, restApi } from 'sluice'
const source = restApi({
  client: { base_url: '${served.origin}', paginator: 'single_page' },
  resources: ${JSON.stringify(hostile)}.map(name => ({
    name, primary_key: 'id', endpoint: { path: 'odd', data_selector: '$' },
  })),
})
const destination = duckdb(new URL('odd.duckdb', import.meta.url).pathname)
export default pipeline({ name: ${JSON.stringify(image.replaceAll('/', ''))}, source, destination, naming: 'direct' })`
      const file = `${image.replaceAll('/', '')}.ts`
      const studio = await openStudio({ [file]: module, '"><svg onload=alert(5)>.yaml': 'client: 3\n' }, ['.', file])
      const { id } = await onlyPipeline(studio)
      await runToEnd(studio, id, { keepJournal: true })
      const { page, problems, asked } = await openPage(studio.address)
      await page.getByRole('alert').filter({ hasText: 'svg onload' }).waitFor()
      await page.getByText('complete').waitFor()
      const foreign = 'main img, main script, main svg[onload], a[href^="javascript:" i], [onerror]'
      for (const [view, sign] of [
        ['loads', '<img src=/stolen'],
        ['schema', 'Versions'],
        ['run', 'What a run does'],
        ['document', 'Problems'],
        ['data', 'rows 1 to 1'],
      ]) {
        await page.goto(`${studio.origin}/#/p/${id}/${view}`)
        await page
          .getByText(sign ?? '')
          .first()
          .waitFor()
        expect(await page.locator(foreign).count(), view).toBe(0)
      }
      const { tables } = (await studio.ask(`/api/pipelines/${id}/tables`)).json as TableList
      const own = tables.filter(({ isSystem, parent }) => !isSystem && parent === undefined).map(({ name }) => name)
      expect(own).toHaveLength(hostile.length)
      for (const table of own) {
        await page.goto(`${studio.origin}/#/p/${id}/data/${encodeURIComponent(table)}`)
        await page.getByRole('heading', { name: table, level: 2 }).waitFor()
        await page.getByRole('button', { name: `Values of ${image}`, exact: true }).click()
        await page.locator('.top-values').waitFor()
        expect(await page.locator(foreign).count(), table).toBe(0)
      }
      await page
        .getByRole('button', { name: /^trace row / })
        .first()
        .click()
      await page.getByText('as the API sent it').waitFor()
      await page.getByText('All of its values').click()
      expect(await page.locator(foreign).count()).toBe(0)
      await page.getByRole('link', { name: 'Ask in SQL' }).click()
      await page.getByLabel('One statement').fill(`SELECT '${image}' AS "${script}", 2 AS n UNION ALL SELECT 'x', 1`)
      await page.keyboard.press('Control+Enter')
      await page.locator('.bars dt').first().waitFor()
      expect(await page.locator(foreign).count()).toBe(0)
      expect(asked).not.toContain('/stolen')
      expect(problems).toEqual([])
    })

    it('shows ten million rows by a few small answers', async () => {
      const shops = await shopsApi()
      const studio = await openStudio({ 'shops.yaml': shopsDocument(shops.origin) }, ['.'], 300_000)
      const { id } = await onlyPipeline(studio)
      await runToEnd(studio, id)
      await grown(join(studio.folder, 'shops.duckdb'))
      const { page, asked, bytes, problems } = await openPage(`${studio.address}`)
      await page.getByText('complete').waitFor()
      const cost = async (work: () => Promise<void>): Promise<readonly [requests: number, bytes: number]> => {
        const before = [asked.length, await bytes()] as const
        await work()
        return [asked.length - before[0], (await bytes()) - before[1]]
      }
      const opened = await cost(async () => {
        await page.goto(`${studio.origin}/#/p/${id}/data`)
        await page.getByText('rows 1 to 49').waitFor()
      })
      // The pipeline, its tables, their counts, and one page of rows.
      expect(opened[0]).toBeLessThanOrEqual(10)
      expect(opened[1]).toBeLessThan(60_000)
      const sorted = await cost(async () => {
        await page.getByRole('button', { name: 'id', exact: true }).click()
        await page.getByRole('button', { name: 'id ↑' }).click()
        await settled(() => page.locator('.grid tbody tr').first().textContent()).toContain('10000249')
        await page.getByRole('button', { name: 'Next' }).click()
        await page.getByText('rows 50 to 98').waitFor()
      })
      expect(sorted[0]).toBeLessThanOrEqual(3)
      expect(sorted[1]).toBeLessThan(60_000)
      const looked = await cost(async () => {
        await page.getByRole('button', { name: 'Values of city' }).click()
        await page.getByText('Of the first 100,000 rows').waitFor()
      })
      expect(looked[0]).toBe(1)
      expect(looked[1]).toBeLessThan(5_000)
      // To sort what lies far behind, an engine sorts the whole table.
      const far = (offset: number, orderBy?: string) =>
        studio.ask(`/api/pipelines/${id}/rows`, { body: { table: 'shops', offset, orderBy, limit: 49 } })
      expect(await far(10_000, 'id')).toMatchObject({ status: 200, json: { rows: { length: 49 } } })
      expect(await far(10_001, 'id')).toMatchObject({
        status: 400,
        json: { message: expect.stringContaining('filter') },
      })
      expect(await far(9_000_000)).toMatchObject({ status: 200, json: { rows: { length: 49 } } })
      expect(problems).toEqual([])
    })

    it('makes no view wider than the screen for a long name', async () => {
      const shops = await shopsApi()
      const text = shopsDocument(shops.origin).replace('name: shops', `name: ${'s'.repeat(180)}`)
      const studio = await openStudio({ 'shops.yaml': text })
      const { id } = await onlyPipeline(studio)
      await runToEnd(studio, id)
      const { page, problems } = await openPage(studio.address, { viewport: { width: 390, height: 800 } })
      await page.getByText('complete').first().waitFor()
      const views = [
        ['loads', page.getByRole('heading', { name: /^Receipts of load/ })],
        ['data', page.locator('.grid td')],
        ['schema', page.locator('.diagram')],
        ['run', page.getByText('merge by id')],
      ] as const
      for (const [view, sign] of views) {
        await page.goto(`${studio.origin}/#/p/${id}/${view}`)
        await sign.first().waitFor()
        expect(await page.evaluate('document.documentElement.scrollWidth'), view).toBe(390)
      }
      expect(problems).toEqual([])
    })

    it('says which rows are there, not which it waits for', async () => {
      const shops = await shopsApi()
      const studio = await openStudio({ 'shops.yaml': shopsDocument(shops.origin) })
      const { id } = await onlyPipeline(studio)
      await runToEnd(studio, id)
      const { page, problems } = await openPage(studio.address)
      await page.getByText('complete').waitFor()
      await page.goto(`${studio.origin}/#/p/${id}/data/shops`)
      const shown = page.locator('.bar').getByRole('status')
      await shown.getByText('rows 1 to 49').waitFor()
      let release = (): void => {}
      const held = new Promise<void>(resolve => {
        release = resolve
      })
      await page.route('**/rows', async route => {
        await held
        await route.continue()
      })
      const next = page.getByRole('button', { name: 'Next' })
      await next.click()
      await shown.getByText('Loading…').waitFor()
      await next.click()
      release()
      await shown.getByText('rows 50 to 98').waitFor()
      expect(problems).toEqual([])
    })

    it('stops a statement without end, by its button and by its time', async () => {
      const endless = 'SELECT count(*) FROM range(1000000000) AS a, range(1000000000) AS b'
      const shops = await shopsApi()
      const studio = await openStudio({ 'shops.yaml': shopsDocument(shops.origin) }, ['.'], 2_000)
      const { id } = await onlyPipeline(studio)
      await runToEnd(studio, id)
      const { page, problems } = await openPage(`${studio.origin}/#${studio.token}`)
      await page.getByText('complete').waitFor()
      await page.goto(`${studio.origin}/#/p/${id}/data/*sql`)
      await page.getByLabel('One statement').fill(endless)
      await page.keyboard.press('Control+Enter')
      await page.getByRole('button', { name: 'Stop' }).click()
      await page.getByRole('button', { name: 'Run', exact: true }).click()
      await page.getByRole('alert').filter({ hasText: 'the database was stopped after 2 s' }).waitFor()
      await page.getByLabel('One statement').fill('SELECT 4711 AS n')
      await page.keyboard.press('Control+Enter')
      await page.getByRole('cell', { name: '4711' }).waitFor()
      expect(problems).toEqual([])
    })
  },
)

/** Widths of a desk and of a phone. */
const SCREENS = [1280, 390]

describe.skipIf(!hasBrowser())('without a mouse', { timeout: 400_000 }, () => {
  it.each(SCREENS)('everything is reached, shows that it is, and gives the focus back, at %s pixels', async width => {
    const shops = await shopsApi()
    const studio = await openStudio({ 'shops.yaml': shopsDocument(shops.origin) })
    const { id } = await onlyPipeline(studio)
    await runToEnd(studio, id)
    const { page, problems } = await openPage(studio.address, { viewport: { width, height: 900 } })
    await page.getByText('complete').waitFor()
    await tabTo(page, 'shops')
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { name: 'Receipts of load' }).waitFor()

    await tabTo(page, 'Run')
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { name: 'What a run does' }).waitFor()
    await tabTo(page, 'Start a run')
    await page.keyboard.press('Enter')
    await page.getByText('committed', { exact: true }).waitFor()
    await tabTo(page, 'Each request and wait')
    await page.keyboard.press('Enter')
    await page
      .getByRole('cell', { name: /^GET .*: 200, / })
      .first()
      .waitFor()
    expect(await unseen(page)).toEqual([])

    await tabTo(page, 'Data')
    await page.keyboard.press('Enter')
    await page.locator('.grid td').first().waitFor()
    await tabTo(page, 'name')
    await page.keyboard.press('Enter')
    await page.getByRole('button', { name: 'name ↑' }).waitFor()
    // The rows come after the mark. Until then a row that has the focus may become another one.
    await page.locator('.grid tbody tr').first().filter({ hasText: 'onerror' }).waitFor()
    await tabTo(page, 'trace')
    const row = await focused(page)
    await page.keyboard.press('Enter')
    await settled(() => focused(page)).toContain('Where row')
    await page.keyboard.press('Escape')
    await settled(() => focused(page)).toBe(row)
    expect(await unseen(page)).toEqual([])

    await tabTo(page, 'Schema')
    await page.keyboard.press('Enter')
    await page.locator('.diagram').waitFor()
    expect(await unseen(page)).toEqual([])

    await tabTo(page, 'Document')
    await page.keyboard.press('Enter')
    await page.locator('.cm-content').waitFor()
    await page.getByRole('button', { name: 'Prove…' }).focus()
    await page.keyboard.press('Enter')
    await settled(() => focused(page)).toContain('Requests for each list')
    await page.keyboard.press('Escape')
    await settled(() => focused(page)).toContain('Prove…')
    expect(problems).toEqual([])
  })

  it('two loads are seen side by side', async () => {
    const shops = await shopsApi()
    const studio = await openStudio({ 'shops.yaml': shopsDocument(shops.origin) })
    const { id } = await onlyPipeline(studio)
    await runToEnd(studio, id)
    await runToEnd(studio, id)
    const { page, problems } = await openPage(studio.address)
    await page.getByText('complete').first().waitFor()
    await page.goto(`${studio.origin}/#/p/${id}/loads`)
    const receipts = page.getByRole('heading', { name: /^Receipts of load / })
    await receipts.first().waitFor()
    expect(await receipts.count()).toBe(1)
    await page.getByRole('checkbox').first().focus()
    await page.keyboard.press('Space')
    await page.keyboard.press('Tab')
    await page.keyboard.press('Space')
    await settled(() => receipts.count()).toBe(2)
    const [left, right] = await Promise.all([receipts.first().boundingBox(), receipts.last().boundingBox()])
    expect([left?.y === right?.y, (left?.x ?? 0) < (right?.x ?? 0)]).toEqual([true, true])
    expect(problems).toEqual([])
  })

  it.each(SCREENS)('the windows of a backfill can be read, one by one, at %s pixels', async width => {
    const shops = await shopsApi()
    const incremental =
      '{ cursor_path: id, initial_value: 0, end_value: 250, start_param: from, end_param: to, window: { step: 100 } }'
    const text = shopsDocument(shops.origin).replace(
      'data_selector: items',
      `data_selector: items, incremental: ${incremental}`,
    )
    const studio = await openStudio({ 'shops.yaml': text })
    const { id } = await onlyPipeline(studio)
    const { page, problems } = await openPage(studio.address, { viewport: { width, height: 900 } })
    await page.getByText('Nothing was loaded yet.').waitFor()
    await page.goto(`${studio.origin}/#/p/${id}/run`)
    await page.getByRole('img', { name: '3 windows of shops' }).waitFor()
    await tabTo(page, 'Each window of shops')
    await page.keyboard.press('Enter')
    await page.getByText('200 to 250: missing').waitFor()
    expect(problems).toEqual([])
  })
})

/** Another process has the file open until it is told to end. */
async function held(path: string): Promise<() => Promise<void>> {
  const script = `const { DuckDBInstance } = require('@duckdb/node-api')
DuckDBInstance.create(process.argv[1]).then(async instance => {
  globalThis.kept = [instance, await instance.connect()]
  console.log('held')
  setInterval(() => {}, 1_000_000)
})`
  const holder = spawn(process.execPath, ['-e', script, path], { stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = once(holder, 'exit')
  onTestFinished(async () => {
    holder.kill('SIGKILL')
    await ended
  })
  await once(holder.stdout, 'data')
  return async () => {
    holder.kill('SIGKILL')
    await ended
  }
}

/** Gives the table ten million rows more. */
async function grown(path: string): Promise<void> {
  const instance = await DuckDBInstance.fromCache(path)
  const connection = await instance.connect()
  try {
    await connection.run(
      `INSERT INTO shops_dataset.shops BY NAME
      SELECT
        250 + i AS id,
        'city ' || i % 100 AS city,
        i % 50 / 10 AS rating,
        '1' AS _dlt_load_id,
        'made' AS _dlt_id
      FROM range(10000000) AS given(i)`,
    )
  } finally {
    connection.closeSync()
    instance.closeSync()
  }
}

/** What has the focus, in words. */
async function focused(page: Page): Promise<string> {
  return await page.evaluate(`(() => {
    const { activeElement } = document
    const label = activeElement?.getAttribute('aria-label') ?? activeElement?.closest('label')?.textContent
    return (label ?? activeElement?.textContent ?? '').trim()
  })()`)
}

/** Presses Tab until something of this text has the focus. */
async function tabTo(page: Page, text: string): Promise<void> {
  const look = 'document.activeElement?.textContent?.trim()'
  for (let presses = 0; (await page.evaluate(look)) !== text; presses++) {
    if (presses > 300) throw new Error(`Tab does not reach ${text}`)
    await page.keyboard.press('Tab')
  }
}

/** Empty at the end of the page; otherwise what has the focus, and whether that is seen. */
const LOOK = `(() => {
  const { activeElement } = document
  if (activeElement === null || activeElement === document.body || activeElement.matches('.brand')) return undefined
  const { outlineStyle, outlineWidth } = getComputedStyle(activeElement)
  const { width, height } = activeElement.getBoundingClientRect()
  const isSeen = outlineStyle !== 'none' && Number.parseFloat(outlineWidth) >= 1 && width > 0 && height > 0
  return { isSeen, html: activeElement.outerHTML.slice(0, 120) }
})()`

/** Places that Tab reaches from the first one on and that do not show it. */
async function unseen(page: Page): Promise<readonly string[]> {
  const found: string[] = []
  await page.locator('.brand').focus()
  for (let presses = 0; presses < 300; presses++) {
    await page.keyboard.press('Tab')
    const seen = await page.evaluate<{ readonly isSeen: boolean; readonly html: string } | undefined>(LOOK)
    if (seen === undefined) return found
    if (!seen.isSeen) found.push(seen.html)
  }
  return [...found, 'Tab comes to no end']
}
