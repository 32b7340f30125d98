import { readFile, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { parquetReadObjects } from 'hyparquet'
import type { Page } from 'playwright-core'
import { describe, expect, it, onTestFinished } from 'vitest'
import { systemClock } from '../../src/pipeline/clock.js'
import { startStudio } from '../../src/studio/startStudio.js'
import { hasBrowser, openPage, settled } from './browser.js'
import { onlyPipeline, openStudio, runToEnd, SECRET, shopsApi, shopsDocument } from './studioApi.js'

const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

describe.skipIf(!hasBrowser())('the page of the studio', { timeout: 300_000 }, () => {
  it('goes from nothing to rows, receipts, values and an answer in SQL', async () => {
    const shops = await shopsApi()
    const studio = await openStudio({ 'shops.yaml': shopsDocument(shops.origin) })
    const { page, problems, asked, bytes } = await openPage(studio.address)
    await page.getByText('Nothing was loaded yet.').waitFor()
    expect(page.url()).not.toContain(studio.token)
    expect(asked.length).toBeLessThanOrEqual(8)
    expect(await bytes()).toBeLessThan(200_000)

    await page.getByRole('link', { name: 'shops' }).click()
    await view(page, 'Run')
    await page.getByText('GET').first().waitFor()
    await page.getByText('It starts from the beginning.').waitFor()
    await page.getByLabel('keep the journal').check()
    await page.getByRole('button', { name: 'Start a run' }).click()
    await page.getByText('committed', { exact: true }).waitFor()
    await page.getByText('250 records, 3 pages').waitFor()
    await page.getByText('3 answered, 0 refused').waitFor()
    await page.getByText(/^It starts from the state of load \d/).waitFor()

    await view(page, 'Loads')
    await page.getByRole('cell', { name: 'complete' }).waitFor()
    await page.getByText('the API announced 250 records').waitFor()

    await view(page, 'Data')
    // Data is text, whatever it holds.
    await page.getByText('<img src=x onerror=alert(1)>').waitFor()
    await page.getByRole('button', { name: 'id', exact: true }).click()
    await page.getByRole('button', { name: 'id ↑' }).click()
    await settled(() => page.locator('.grid tbody tr').first().textContent()).toContain('shop 250')
    await page
      .getByRole('button', { name: /^trace row / })
      .first()
      .click()
    await page.getByText('bytes').first().waitFor()
    await page.getByRole('cell', { name: '"shop 250"' }).waitFor()
    await page.getByText('$.items[49].name', { exact: true }).waitFor()
    await page.getByRole('button', { name: 'Close' }).click()
    await page.getByLabel('Column').selectOption('city')
    await page.getByLabel('Value', { exact: true }).fill('Ulm')
    await page.getByRole('button', { name: 'Filter', exact: true }).click()
    await page.getByText('rows 1 to 49').waitFor()
    await page.getByRole('button', { name: 'Values of city' }).click()
    await page.getByText('250 rows: 3 distinct').waitFor()
    await page.locator('.lead a').first().click()
    await page.getByRole('heading', { name: 'shops__visits' }).waitFor()
    await page.getByText('rows 1 to 2').waitFor()

    await page.getByRole('link', { name: 'Ask in SQL' }).click()
    const current = page.locator('.menu [aria-current=page]')
    await settled(() => current.allTextContents()).toEqual(['Ask in SQL'])
    await page.getByLabel('One statement').fill('SELECT city, count(*) AS n FROM shops GROUP BY city ORDER BY n DESC')
    await page.keyboard.press('Control+Enter')
    await page.locator('.bars dt', { hasText: 'Bonn' }).waitFor()
    const [saved] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('button', { name: 'Download all rows as Parquet' }).click(),
    ])
    expect(saved.suggestedFilename()).toBe('rows.parquet')
    const file = await readFile(await saved.path())
    expect(await parquetReadObjects({ file: Uint8Array.from(file).buffer })).toContainEqual({ city: 'Bonn', n: 84n })
    await page.getByLabel('One statement').fill('DROP TABLE shops')
    await page.getByRole('button', { name: 'Run', exact: true }).click()
    await page.getByRole('alert').waitFor()
    // The line below points at the place of the fault.
    await page.getByLabel('One statement').fill('SELECT nope FROM shops')
    await page.keyboard.press('Control+Enter')
    await page.locator('.problem.mono', { hasText: 'LINE 1' }).waitFor()

    await view(page, 'Schema')
    await page.locator('.diagram', { hasText: 'shops__visits' }).waitFor()
    await page.reload()
    await page.locator('.diagram', { hasText: 'shops__visits' }).waitFor()
    expect(await page.content()).not.toContain(SECRET)
    expect(problems).toEqual([])
  })

  it('mends a file with problems', async () => {
    const text = shopsDocument('http://127.0.0.1:1')
    const studio = await openStudio({ 'shops.yaml': text.replace('limit: 100', 'limits: 100') })
    const { page, problems } = await openPage(studio.address)
    await page.getByText('did you mean `limit`?').waitFor()
    await page.getByRole('link', { name: 'shops.yaml' }).click()
    await page.locator('.cm-editor').waitFor()
    await page.getByText('client.paginator.limits').first().waitFor()
    await page.locator('.cm-content').click()
    await page.keyboard.press('Control+a')
    await page.keyboard.insertText(text)
    await page.getByText('None.').waitFor()
    await page.keyboard.press('Control+End')
    await page.keyboard.type('max_ta')
    await page.locator('.cm-tooltip-autocomplete', { hasText: 'max_table_nesting' }).waitFor()
    await page.keyboard.press('Control+a')
    await page.keyboard.insertText(text)
    await page.getByText('None.').waitFor()
    // Tab indents; whoever has no mouse is told how to get out, and gets out.
    await page.getByText('Esc, then Tab leaves the editor').waitFor()
    // The first Esc may close suggestions.
    await page.keyboard.press('Escape')
    await page.keyboard.press('Escape')
    await page.keyboard.press('Shift+Tab')
    await settled(() => page.locator('.cm-focused').count()).toBe(0)
    await page.locator('.cm-content').focus()
    await page.keyboard.press('Control+s')
    await page.getByRole('heading', { name: 'shops' }).waitFor()
    expect(await readFile(join(studio.folder, 'shops.yaml'), 'utf8')).toBe(text)
    expect(problems).toEqual([])
  })

  it('asks the API about the file, and says before it how many requests that may be', async () => {
    const shops = await shopsApi()
    const text = shopsDocument(shops.origin).replace('limit: 100', 'limit: 100, total_path: count')
    const studio = await openStudio({ 'shops.yaml': text })
    const { page, problems } = await openPage(studio.address)
    await page.getByRole('link', { name: 'shops' }).click()
    await view(page, 'Document')
    await page.getByRole('button', { name: 'Check', exact: true }).click()
    await page.getByText('total_path "count" must give a number').first().waitFor()
    expect(shops.asked).toHaveLength(1)
    await page.getByRole('button', { name: 'Prove…' }).click()
    await page.getByText('at most 12 requests to the API').waitFor()
    expect(shops.asked).toHaveLength(1)
    await page.getByRole('button', { name: 'Send them' }).click()
    await page.getByText('shops.yaml.proof.json').waitFor()
    await page.locator('.findings li', { hasText: 'client.paginator.total_path' }).getByText('wrong').waitFor()
    await page.locator('.cm-lint-marker-error').first().waitFor()
    expect(await faultsOf(page, 'Document')).toEqual([])
    await page.getByRole('button', { name: 'Plan', exact: true }).click()
    await page.getByRole('heading', { name: 'What a run does' }).waitFor()
    // What was shown is about another text.
    await page.locator('.cm-content').click()
    await page.keyboard.press('Control+End')
    await page.keyboard.type('# more')
    await page.getByText('Save first').waitFor()
    await settled(() => page.locator('.cm-lint-marker-error').count()).toBe(0)
    expect(problems).toEqual([])
  })

  it('keeps a text that was not saved while another view is shown, and drops it on demand', async () => {
    const text = shopsDocument('http://127.0.0.1:1')
    const studio = await openStudio({ 'shops.yaml': text })
    const { page, problems } = await openPage(studio.address)
    await page.getByRole('link', { name: 'shops' }).click()
    await view(page, 'Document')
    await page.locator('.cm-content').click()
    await page.keyboard.press('Control+End')
    await page.keyboard.type('# not yet')
    await page.getByText('changed, not saved').waitFor()
    await view(page, 'Run')
    await page.getByText('What a run does').waitFor()
    await view(page, 'Document')
    await page.getByText('changed, not saved').waitFor()
    await page.locator('.cm-line', { hasText: '# not yet' }).waitFor()

    // Somebody else changes the file: neither text is lost, and the newer one is there on demand.
    const newer = text.replace('of the town', 'of the country')
    await writeFile(join(studio.folder, 'shops.yaml'), newer)
    await page.getByRole('button', { name: 'Save shops.yaml' }).click()
    await page.getByRole('alert').filter({ hasText: 'was changed by somebody else' }).waitFor()
    await page.getByRole('button', { name: 'Discard changes' }).click()
    await page.getByText('as on disk').waitFor()
    await page.locator('.cm-line', { hasText: 'of the country' }).waitFor()
    expect(await readFile(join(studio.folder, 'shops.yaml'), 'utf8')).toBe(newer)
    expect(problems).toEqual([])
  })

  it('comes back when the studio is there again, also by its new address in another tab', async () => {
    const shops = await shopsApi()
    const files = { 'shops.yaml': shopsDocument(shops.origin) }
    const first = await openStudio(files)
    await runToEnd(first, (await onlyPipeline(first)).id)
    const { page } = await openPage(first.address)
    await page.getByText('complete').waitFor()
    await page.route('**/api/**', route => route.abort())
    await page.getByRole('link', { name: 'shops' }).click()
    await page.getByText('This page asks again until it does.').waitFor()
    await page.unroute('**/api/**')
    await page.getByRole('cell', { name: 'complete' }).waitFor()
    expect(await page.getByRole('alert').count()).toBe(0)

    // Started again at the same port, it has another token.
    const { port } = new URL(first.origin)
    await first.close()
    const paths = [first.folder]
    const second = await startStudio({
      paths,
      from: { cwd: first.folder, env: {} },
      port: Number(port),
      clock: systemClock,
    })
    onTestFinished(() => second.close())
    await view(page, 'Data')
    await page.getByText('of another start').waitFor()
    const other = await page.context().newPage()
    await other.goto(second.address)
    await page.locator('.grid td').first().waitFor()
  })

  it('says on the overview that a run has ended', async () => {
    let letGo = (): void => {}
    const held = new Promise<void>(resolve => {
      letGo = resolve
    })
    const shops = await shopsApi(() => held)
    const studio = await openStudio({ 'shops.yaml': shopsDocument(shops.origin) })
    const { id } = await onlyPipeline(studio)
    await studio.ask(`/api/pipelines/${id}/runs`, { body: {} })
    const { page, problems } = await openPage(studio.address)
    await page.getByText('running now').waitFor()
    letGo()
    await page.getByText('complete').waitFor()
    await settled(() => page.getByText('running now').count()).toBe(0)
    expect(problems).toEqual([])
  })

  it('says before a run which secret is missing', async () => {
    const text = shopsDocument('http://127.0.0.1:1').replace('secrets.api_key', 'secrets.key_of_nobody')
    const studio = await openStudio({ 'shops.yaml': text })
    const { page, problems } = await openPage(studio.address)
    await page.getByRole('link', { name: 'shops' }).click()
    await view(page, 'Run')
    const missing = page.getByRole('alert').filter({ hasText: 'A run would end at once' })
    await missing.filter({ hasText: 'KEY_OF_NOBODY' }).waitFor()
    expect(problems).toEqual([])
  })

  it('says what fails: the token, the run, the database', async () => {
    const shops = await shopsApi()
    const studio = await openStudio({ 'shops.yaml': shopsDocument(`${shops.origin}/nowhere`) })
    const { page } = await openPage(`${studio.origin}/#${'x'.repeat(32)}`)
    await page.getByText('the token is missing or of another start').waitFor()
    await page.goto('about:blank')
    await page.goto(studio.address)
    await page.getByRole('link', { name: 'shops' }).click()
    await view(page, 'Run')
    await page.getByRole('button', { name: 'Start a run' }).click()
    await page.getByText('failed', { exact: true }).waitFor()
    await page.getByRole('alert').filter({ hasText: '404' }).waitFor()
    await studio.close()
    await view(page, 'Data')
    await page.getByText('Is `sluice studio` still running?').waitFor()
  })

  it('says that the studio ended, wherever it is asked, and shows what is there for a wrong address', async () => {
    let answers = 0
    let letGo = (): void => {}
    const held = new Promise<void>(resolve => {
      letGo = resolve
    })
    const shops = await shopsApi(async () => {
      answers += 1
      if (answers > 3) await held
    })
    const studio = await openStudio({ 'shops.yaml': shopsDocument(shops.origin) })
    const { id } = await onlyPipeline(studio)
    await runToEnd(studio, id)
    const { page, problems } = await openPage(studio.address)
    await page.getByText('complete').waitFor()

    await page.goto(`${studio.origin}/#/p/${id}/data/100%/%zz`)
    await page.getByRole('heading', { name: 'shops', level: 2 }).waitFor()
    await page.goto(`${studio.origin}/#/p/nope/data`)
    await page.getByText('there is no such pipeline').waitFor()
    expect(await page.getByText('This file has problems').count()).toBe(0)

    await page.goto(`${studio.origin}/#/p/${id}/loads`)
    await page.getByRole('cell', { name: 'complete' }).waitFor()
    expect(await page.locator('canvas').count()).toBe(0)
    await view(page, 'Run')
    await page.getByRole('button', { name: 'Start a run' }).click()
    await page.getByText('running', { exact: true }).waitFor()
    // The studio is killed: nobody says that the run ended.
    await page.route('**/api/**', route => route.abort())
    await page.getByRole('button', { name: 'Stop' }).click()
    await page.getByRole('alert').filter({ hasText: 'Is `sluice studio` still running?' }).waitFor()
    await page.unroute('**/api/**')
    await view(page, 'Data')
    await page.locator('.grid td').first().waitFor()
    await page.route('**/api/**', route => route.abort())
    await page.getByRole('button', { name: 'Download the table as CSV' }).click()
    await page.getByRole('alert').filter({ hasText: 'Is `sluice studio` still running?' }).waitFor()
    letGo()
    expect(problems).toEqual([])
  })

  it.each([
    ['wide and light', { viewport: { width: 1280, height: 900 }, colorScheme: 'light' as const }],
    ['narrow and dark', { viewport: { width: 390, height: 800 }, colorScheme: 'dark' as const }],
  ])('everybody can read it: %s', async (_, options) => {
    const shops = await shopsApi()
    const studio = await openStudio({ 'shops.yaml': shopsDocument(shops.origin) })
    await runToEnd(studio, (await onlyPipeline(studio)).id)
    await runToEnd(studio, (await onlyPipeline(studio)).id, { fullRefresh: true })
    const { page, problems } = await openPage(studio.address, { ...options, bypassCSP: true })
    await page.getByText('complete').waitFor()
    const found = [...(await faultsOf(page, 'Overview'))]
    // The other colours cost no new page.
    const other = options.colorScheme === 'light' ? 'dark' : 'light'
    await page.getByRole('link', { name: 'shops' }).click()
    for (const [title, sign] of VIEWS) {
      await view(page, title)
      await page.locator(sign).first().waitFor()
      if (title === 'Data') {
        await page
          .getByRole('button', { name: /^trace row / })
          .first()
          .click()
        await page.getByText('The journal of this load was not kept').waitFor()
        await page.getByRole('button', { name: 'Values of rating' }).click()
        if (!(await isWithin(page, '.values'))) found.push('Data: values are cut')
      }
      found.push(...(await faultsOf(page, title)))
      await page.emulateMedia({ colorScheme: other })
      found.push(...(await faultsOf(page, `${title}, ${other}`)))
      await page.emulateMedia({ colorScheme: options.colorScheme })
      if (title === 'Loads' && !(await isWithin(page, 'main table:not(.u-legend)'))) found.push('Loads: loads are cut')
      if (title !== 'Data') continue
      await page.getByRole('link', { name: 'Ask in SQL' }).click()
      await page.getByLabel('One statement').fill('SELECT city, count(*) AS n FROM shops GROUP BY city')
      await page.keyboard.press('Control+Enter')
      await page.locator('.bars').waitFor()
      found.push(...(await faultsOf(page, 'Ask in SQL')))
    }
    expect(found).toEqual([])
    expect(problems).toEqual([])
  })
})

const VIEWS = [
  ['Loads', 'canvas'],
  ['Data', '.grid td'],
  ['Schema', '.diagram'],
  ['Run', 'code'],
  ['Document', '.cm-content'],
] as const

async function view(page: Page, title: string): Promise<void> {
  await page.getByRole('navigation', { name: 'Views of the pipeline' }).getByRole('link', { name: title }).click()
}

/** Whether all of the width of something is on the screen. */
async function isWithin(page: Page, selector: string): Promise<boolean> {
  const box = await page.locator(selector).first().boundingBox()
  const { width = 0 } = page.viewportSize() ?? {}
  return box !== null && box.x >= 0 && box.x + box.width <= width + 1
}

/** What axe finds against WCAG 2.1 A and AA, and whether the page is wider than the screen. */
async function faultsOf(page: Page, where: string): Promise<readonly string[]> {
  await page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
  await page.evaluate(axe)
  const violations = await page.evaluate(async () => {
    const { axe } = globalThis as unknown as { axe: { run(options: object): Promise<{ violations: Violation[] }> } }
    const { violations } = await axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa'] })
    return violations.map(({ id, nodes }) => `${id}: ${nodes.map(node => node.html.slice(0, 200)).join(' | ')}`)
  })
  const isTooWide = await page.evaluate('document.documentElement.scrollWidth > document.documentElement.clientWidth')
  return [...violations.map(one => `${where}: ${one}`), ...(isTooWide ? [`${where}: wider than the screen`] : [])]
}

interface Violation {
  readonly id: string
  readonly nodes: readonly { readonly html: string }[]
}
