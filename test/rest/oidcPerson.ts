/** A person with a browser: opens a page, fills in its forms, and agrees to everything. Says where it ended. */
export async function person(start: string): Promise<string> {
  const cookies = new Map<string, string>()
  let url = start
  let init: RequestInit = {}
  for (let steps = 0; steps < 30; steps++) {
    const headers = { cookie: [...cookies].map(pair => pair.join('=')).join('; ') }
    const answer = await fetch(url, { ...init, headers: { ...init.headers, ...headers }, redirect: 'manual' })
    for (const cookie of answer.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(cookie) ?? []
      if (value === '') cookies.delete(name)
      else cookies.set(name, value)
    }
    const text = await answer.text()
    const location = answer.headers.get('location')
    if (location !== null) {
      url = new URL(location, url).href
      init = {}
      continue
    }
    const form = /<form[^>]*action="([^"]+)"[^>]*>([\s\S]*?)<\/form>/.exec(text)
    if (form === null) return text
    const fields = new URLSearchParams({ login: 'ann', password: 'open-sesame' })
    for (const [input] of (form[2] ?? '').matchAll(/<input[^>]*>/g)) {
      const [, name = ''] = /name="([^"]*)"/.exec(input) ?? []
      const [, value] = /value="([^"]*)"/.exec(input) ?? []
      if (value !== undefined) fields.set(name, value)
    }
    url = new URL((form[1] ?? '').replaceAll('&amp;', '&'), url).href
    init = { method: 'POST', body: fields }
  }
  throw new Error(`a person has filled in thirty forms and is at ${url}`)
}
