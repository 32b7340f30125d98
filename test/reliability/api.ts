import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

/**
 * A small shop's API for tests of interruptions, the same data for every account: `/<account>/orders` counts pages and
 * knows the total, `/<account>/shops` is one page, `/<account>/shops/<id>/staff` has cursors, `/<account>/visits` is
 * large. An account is moved to another day by `setDay`: there are more orders, and some have changed.
 */
export interface ShopApi {
  url(account: string): string
  setDay(account: string, day: number): void
  /** Paths with query that the account was asked for, in order. */
  asked(account: string): readonly string[]
  /** Keeps the answers to these paths of an account back until they are released. */
  hold(account: string, isHeld: (path: string) => boolean): { release(): void }
  close(): Promise<void>
}

const ORDERS_A_PAGE = 20
export const VISITS_PAGES = 14
export const VISITS_A_PAGE = 60_000

export async function shopApi(): Promise<ShopApi> {
  const days = new Map<string, number>()
  const asked = new Map<string, string[]>()
  const gates = new Map<string, { readonly isHeld: (path: string) => boolean; readonly released: Promise<void> }>()
  const server = createServer(async (request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost')
    const [, account = '', list = '', id = ''] = pathname.split('/')
    const log = asked.get(account) ?? []
    const path = (request.url ?? '').slice(account.length + 1)
    log.push(path)
    asked.set(account, log)
    const gate = gates.get(account)
    if (gate?.isHeld(path) === true) await gate.released
    const day = days.get(account) ?? 1
    const body =
      list === 'orders'
        ? ordersPage(day, searchParams)
        : list === 'visits'
          ? visitsPage(searchParams)
          : id === ''
            ? { shops: shops() }
            : staffPage(Number(id), searchParams)
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify(body))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: account => `http://127.0.0.1:${port}/${account}/`,
    setDay: (account, day) => void days.set(account, day),
    asked: account => asked.get(account) ?? [],
    hold: (account, isHeld) => {
      let release = (): void => {}
      const released = new Promise<void>(resolve => {
        release = resolve
      })
      gates.set(account, { isHeld, released })
      return { release }
    },
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function ordersPage(day: number, query: URLSearchParams) {
  const since = Number(query.get('since') ?? 0)
  const page = Number(query.get('page') ?? 1)
  const orders = ordersOn(day).filter(order => order.changed >= since)
  return {
    pages: Math.ceil(orders.length / ORDERS_A_PAGE),
    orders: orders.slice((page - 1) * ORDERS_A_PAGE, page * ORDERS_A_PAGE),
  }
}

/** Every tenth order changes on the second day, and sixty are new. */
function ordersOn(day: number) {
  return Array.from({ length: 60 + 60 * day }, (_, id) => {
    const changed = id >= 120 ? 2000 + id : day > 1 && id % 10 === 0 ? 3000 + id : 1000 + id
    const items = Array.from({ length: id % 3 }, (_, n) => ({ order: id, sku: `${id}-${n}`, changed }))
    return { id, changed, price: id / 4, customer: { name: `customer ${id % 17}` }, items }
  })
}

function visitsPage(query: URLSearchParams) {
  const first = (Number(query.get('page') ?? 1) - 1) * VISITS_A_PAGE
  return { pages: VISITS_PAGES, visits: Array.from({ length: VISITS_A_PAGE }, (_, n) => ({ id: first + n })) }
}

function shops() {
  return [1, 2, 3].map(id => ({ id, city: `city ${id}` }))
}

function staffPage(shop: number, query: URLSearchParams) {
  const from = Number(query.get('cursor') ?? 0)
  const staff = [0, 1, 2].map(n => ({ id: shop * 100 + from + n, shop, name: `person ${from + n}` }))
  return { staff, cursors: { next: from < 6 ? from + 3 : null } }
}
