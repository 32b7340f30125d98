import { existsSync } from 'node:fs'
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core'
import { expect, onTestFinished } from 'vitest'

const PROGRAM = process.env.SLUICE_CHROMIUM ?? '/usr/bin/chromium'

const LONGEST_WAIT_MS = 90_000

/** Whether there is a browser. Where a package can be installed, a run of CI never goes without it. */
export function hasBrowser(): boolean {
  if (existsSync(PROGRAM)) return true
  const missing = `Chromium is not at ${PROGRAM} (SLUICE_CHROMIUM)`
  if (process.env.CI === 'true' && existsSync('/usr/bin/apt-get'))
    throw new Error(`${missing}: apt-get install chromium`)
  console.warn(`${missing}: the tests of the page are skipped`)
  return false
}

export interface OpenPage {
  readonly page: Page
  /** Requests of the page, as their paths. */
  readonly asked: string[]
  /** Bytes of the bodies that were answered, once all of those are read. */
  readonly bytes: () => Promise<number>
  /** What the browser complains about, and requests to anywhere else. */
  readonly problems: string[]
}

/** The page at `address`, in a browser of its own. */
export async function openPage(address: string, options: Parameters<Browser['newContext']>[0] = {}): Promise<OpenPage> {
  const browser = await chromium.launch({ executablePath: PROGRAM, args: ['--no-sandbox'] })
  onTestFinished(() => browser.close())
  const context: BrowserContext = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options })
  const page = await context.newPage()
  // A slow machine is no fault.
  page.setDefaultTimeout(LONGEST_WAIT_MS)
  const asked: string[] = []
  const problems: string[] = []
  const { origin } = new URL(address)
  let bodies: Promise<number> = Promise.resolve(0)
  page.on('request', request => {
    const url = new URL(request.url())
    if (url.origin !== origin && url.protocol !== 'data:') problems.push(`asks ${url.href}`)
    asked.push(url.pathname)
  })
  page.on('response', response => {
    const body = response.body().catch(() => Buffer.alloc(0))
    bodies = bodies.then(async sum => sum + (await body).length)
  })
  page.on('pageerror', error => problems.push(error.message))
  page.on('console', message => {
    // The page shows what the studio refuses; the browser says it too.
    if (message.type() === 'error' && !message.text().startsWith('Failed to load resource'))
      problems.push(message.text())
  })
  page.on('dialog', dialog => {
    problems.push(`dialog ${dialog.message()}`)
    void dialog.dismiss()
  })
  await page.goto(address)
  return { page, asked, problems, bytes: () => bodies }
}

/** Expects of what is looked at again and again, for as long as a slow machine may need. */
export function settled<Seen>(look: () => Seen | Promise<Seen>) {
  return expect.poll(look, { timeout: LONGEST_WAIT_MS })
}
