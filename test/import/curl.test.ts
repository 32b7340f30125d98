import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it, vi } from 'vitest'
import { ConfigError, importPipeline } from '../../src/index.js'
import { testApi } from '../rest/loading.js'
import { command, emptyFolder, importAndRun, imported } from './importing.js'

vi.setConfig({ testTimeout: 60_000 })

const URL_OF_LIST = 'https://api.example.com/v1/orders'

interface Case {
  readonly title: string
  readonly line: string
  /** What the document has. */
  readonly client?: object
  readonly endpoint?: object
  /** Texts that may be nowhere. */
  readonly hidden?: readonly string[]
}

const CASES: readonly Case[] = [
  {
    title: 'an address',
    line: `curl ${URL_OF_LIST}`,
    client: { base_url: 'https://api.example.com/v1' },
    endpoint: { path: 'orders' },
  },
  { title: '--url', line: `curl -s --url '${URL_OF_LIST}'`, endpoint: { path: 'orders' } },
  {
    title: 'a line that a browser copied for cmd of Windows',
    line:
      'curl ^"https://api.example.com/v1/orders?status=open^&q=50^%^25^" ^\r\n  -X ^"POST^" ^\r\n' +
      '  -H ^"sec-ch-ua: ^\\^"Chromium^\\^";v=^\\^"130^\\^"^" ^\r\n  -H ^"authorization: Bearer s3cret^" ^\r\n' +
      '  --data-raw ^"^{^\\^"name^\\^":^\\^"a^\\^\\nb^\\^"^}^"',
    client: { auth: { type: 'bearer', token: '${secrets.token}' } },
    endpoint: { params: { status: 'open', q: '50%' }, json: { name: 'a\nb' } },
    hidden: ['s3cret', 'Chromium'],
  },
  {
    title: 'a line that somebody wrote for cmd of Windows',
    line: 'curl "https://api.example.com/v1/orders?a=1&b=2" ^\r\n  -H "X-Api-Key: %SHOP_KEY%" ^\r\n  -d "{\\"page\\":1,\\"size\\":50}"',
    client: { auth: { type: 'api_key', api_key: '${secrets.shop_key}' } },
    endpoint: {
      params: { a: '1', b: '2' },
      paginator: { type: 'page_number', base_page: 1, page_body_path: 'page', total_path: null },
    },
  },
  {
    title: 'a body that counts records',
    line: `curl ${URL_OF_LIST}/search --json '{"query":{"status":"open"},"from":0,"size":50}'`,
    endpoint: { paginator: { type: 'offset', limit: 50, offset_body_path: 'from', limit_body_path: 'size' } },
  },
  {
    title: 'a form that counts pages',
    line: `curl ${URL_OF_LIST}/list.do --data-raw 'pageNo=1&pageSize=10&word='`,
    endpoint: { paginator: { type: 'page_number', base_page: 1, page_body_path: 'pageNo', total_path: null } },
  },
  { title: 'no scheme', line: 'curl api.example.com/v1/orders', client: { base_url: 'https://api.example.com/v1' } },
  { title: 'this machine', line: 'curl localhost:8080/orders', client: { base_url: 'http://localhost:8080' } },
  {
    title: 'a query',
    line: `curl '${URL_OF_LIST}?status=open&tag=a&tag=b&q=%7Bx%7D'`,
    endpoint: { params: { status: 'open', tag: ['a', 'b'], q: '{{x}}' } },
  },
  {
    title: 'a bearer token',
    line: `curl ${URL_OF_LIST} -H 'Authorization: Bearer s3cret-token'`,
    client: { auth: { type: 'bearer', token: '${secrets.token}' } },
    hidden: ['s3cret'],
  },
  {
    title: '--oauth2-bearer',
    line: `curl --oauth2-bearer s3cret ${URL_OF_LIST}`,
    client: { auth: { type: 'bearer', token: '${secrets.token}' } },
    hidden: ['s3cret'],
  },
  {
    title: 'another scheme of Authorization',
    line: `curl ${URL_OF_LIST} -H 'Authorization: Token s3cret'`,
    client: { auth: { type: 'api_key', name: 'Authorization', location: 'header', api_key: 'Token ${secrets.token}' } },
    hidden: ['s3cret'],
  },
  {
    title: 'basic authentication in a header',
    line: `curl ${URL_OF_LIST} -H 'Authorization: Basic ${Buffer.from('ann:s3cret').toString('base64')}'`,
    client: { auth: { type: 'http_basic', username: '${secrets.username}', password: '${secrets.password}' } },
    hidden: ['s3cret', 'ann', Buffer.from('ann:s3cret').toString('base64')],
  },
  {
    title: '-u with a key alone',
    line: `curl -u s3cret: ${URL_OF_LIST}`,
    client: { auth: { type: 'http_basic', username: '${secrets.username}', password: '' } },
    hidden: ['s3cret'],
  },
  {
    title: 'a key of AWS',
    line: `curl ${URL_OF_LIST} --aws-sigv4 aws:amz:eu-central-1:execute-api -u AKID:s3cret`,
    client: {
      auth: {
        type: 'aws_sigv4',
        access_key_id: '${secrets.access_key_id}',
        secret_access_key: '${secrets.secret_access_key}',
        region: 'eu-central-1',
        service: 'execute-api',
      },
    },
    hidden: ['s3cret', 'AKID'],
  },
  {
    title: 'temporary credentials of AWS',
    line: `curl ${URL_OF_LIST} --aws-sigv4 aws:amz:eu-central-1:s3 -u AKID:s3cret -H 'X-Amz-Security-Token: t0ken'`,
    client: { auth: { type: 'aws_sigv4', session_token: '${secrets.session_token}', service: 's3' } },
    hidden: ['s3cret', 'AKID', 't0ken', 'X-Amz'],
  },
  {
    title: 'a key of AWS for the host',
    line: `curl https://abc.execute-api.eu-west-1.amazonaws.com/v1/orders --aws-sigv4 aws:amz -u "$ID:$KEY"`,
    client: {
      base_url: 'https://abc.execute-api.eu-west-1.amazonaws.com/v1',
      auth: { type: 'aws_sigv4', region: 'eu-west-1' },
    },
  },
  {
    title: 'a password that is not sent as it is',
    line: `curl --digest -u ann:s3cret ${URL_OF_LIST}`,
    client: { base_url: 'https://api.example.com/v1' },
    hidden: ['s3cret', 'ann', 'http_basic'],
  },
  {
    title: 'a user in the address',
    line: `curl https://ann:s3%40cret@api.example.com/v1/orders`,
    client: { base_url: 'https://api.example.com/v1', auth: { type: 'http_basic' } },
    hidden: ['s3', 'ann'],
  },
  {
    title: 'a key in a header',
    line: `curl ${URL_OF_LIST} -H 'X-API-Key:s3cret'`,
    client: { auth: { type: 'api_key', name: 'X-API-Key', location: 'header', api_key: '${secrets.api_key}' } },
    hidden: ['s3cret'],
  },
  {
    title: 'a key in the query',
    line: `curl '${URL_OF_LIST}?apikey=s3cret&a=1'`,
    client: { auth: { type: 'api_key', name: 'apikey', location: 'query', api_key: '${secrets.apikey}' } },
    endpoint: { params: { a: '1' } },
    hidden: ['s3cret'],
  },
  {
    title: 'a key in the query beside a token',
    line: `curl '${URL_OF_LIST}?apikey=s3cret' -H 'Authorization: Bearer t0ken'`,
    client: { auth: { type: 'bearer' } },
    endpoint: { params: { apikey: '${secrets.apikey}' } },
    hidden: ['s3cret', 't0ken'],
  },
  {
    title: 'a cookie',
    line: `curl ${URL_OF_LIST} -b 'sid=s3cret'`,
    client: { auth: { type: 'api_key', name: 'sid', location: 'cookie', api_key: '${secrets.sid}' } },
    hidden: ['s3cret'],
  },
  {
    title: 'several cookies',
    line: `curl ${URL_OF_LIST} -H 'Cookie: sid=s3cret; theme=dark'`,
    endpoint: { headers: { Cookie: '${secrets.cookie}' } },
    hidden: ['s3cret', 'dark'],
  },
  {
    title: 'a token that shows itself by its form',
    line: `curl '${URL_OF_LIST}?who=sk_live_abcdef123456' -H 'X-Who: eyJhbGciOiJI.eyJzdWIi.c2ln'`,
    hidden: ['sk_live', 'eyJ'],
  },
  {
    title: 'variables of the shell',
    line: `curl "https://$HOST/v1/orders?api_key=$API_KEY" -H "X-Org: \${ORG}"`,
    client: { base_url: 'https://${env.HOST}/v1', auth: { type: 'api_key', api_key: '${secrets.api_key}' } },
    endpoint: { headers: { 'X-Org': '${secrets.org}' } },
  },
  {
    title: 'a command within the command, which is not executed',
    line: `curl ${URL_OF_LIST} -H "Authorization: Bearer $(cat token.txt)"`,
    client: { auth: { type: 'bearer', token: '${secrets.command_output}' } },
    hidden: ['cat'],
  },
  {
    title: 'headers of a browser',
    line: `curl '${URL_OF_LIST}' -H 'accept: */*' -H 'sec-ch-ua: "x"' -H 'user-agent: Mozilla' -H 'referer: https://a.example.com' -H 'x-tenant: 7' --compressed`,
    endpoint: { path: 'orders', headers: { 'x-tenant': '7' } },
  },
  {
    title: '-G with data',
    line: `curl -G ${URL_OF_LIST} -d status=open --data-urlencode 'q=a b&c'`,
    endpoint: { params: { status: 'open', q: 'a b&c' } },
  },
  {
    title: 'a form',
    line: `curl ${URL_OF_LIST} -d 'a=1&b=2' -d c=3`,
    endpoint: { method: 'POST', data: { a: '1', b: '2', c: '3' } },
  },
  {
    title: '--json',
    line: `curl --json '{"filter":{"a":1,"t":"{x}"}}' ${URL_OF_LIST}`,
    endpoint: { method: 'POST', json: { filter: { a: 1, t: '{{x}}' } } },
  },
  {
    title: 'what browsers copy',
    line: `curl '${URL_OF_LIST}' \\\n  -X 'POST' \\\n  -H 'content-type: application/json' \\\n  --data-raw $'{"a":"it\\'s \\u0041"}' ;`,
    endpoint: { method: 'POST', json: { a: "it's A" } },
  },
  {
    title: 'GraphQL',
    line: `curl https://api.example.com/graphql -H 'content-type: application/json' -d '{"query":"{ shops { id } }"}'`,
    endpoint: { method: 'POST', json: { query: '{{ shops {{ id }} }}' } },
  },
  {
    title: 'a counted page',
    line: `curl '${URL_OF_LIST}?page=3&per_page=50'`,
    endpoint: { params: { per_page: '50' }, paginator: { type: 'page_number', base_page: 1, total_path: null } },
  },
  {
    title: 'page 0',
    line: `curl '${URL_OF_LIST}?pageNumber=0'`,
    endpoint: { paginator: { type: 'page_number', base_page: 0, page_param: 'pageNumber', total_path: null } },
  },
  {
    title: 'an offset',
    line: `curl '${URL_OF_LIST}?skip=40&take=20'`,
    endpoint: { paginator: { type: 'offset', limit: 20, offset_param: 'skip', limit_param: 'take' } },
  },
  {
    title: 'a range of curl',
    line: `curl '${URL_OF_LIST}?page=[1-9]'`,
    endpoint: { paginator: { type: 'page_number', base_page: 1, total_path: null } },
  },
  {
    title: 'a prompt, a pipe and a file for the answer',
    line: `$ curl -sSL -o out.json ${URL_OF_LIST} 2>/dev/null | jq '.data[]' > x.json`,
    endpoint: { path: 'orders' },
  },
  {
    title: 'names that every object has',
    line: `curl '${URL_OF_LIST}?constructor=a&__proto__=b' -d 'hasOwnProperty=c&toString=d'`,
    endpoint: { data: { hasOwnProperty: 'c', toString: 'd' } },
  },
  {
    title: 'an option with `=`, which curl itself does not know',
    line: `curl --request=POST --url=${URL_OF_LIST}`,
    endpoint: { method: 'POST', path: 'orders' },
  },
  {
    title: '--json in two pieces',
    line: `curl --json '{"a":1,' --json '"b":2}' ${URL_OF_LIST}`,
    endpoint: { json: { a: 1, b: 2 } },
  },
  {
    title: 'a credential for the proxy, which is not for the API',
    line: `curl ${URL_OF_LIST} -x http://u:s3cret@proxy:80 -H 'Proxy-Authorization: Basic s3cret' -H 'X-Sid: s3cret2'`,
    client: { auth: { name: 'X-Sid' } },
    hidden: ['s3cret', 'Proxy-Authorization'],
  },
  {
    title: 'a session in the path',
    line: `curl 'https://api.example.com/v1/orders;jsessionid=s3cret?page=1'`,
    endpoint: { path: 'orders' },
    hidden: ['s3cret', 'jsessionid'],
  },
  {
    title: 'a reference that is text',
    line: `curl '${URL_OF_LIST}?q=\${secrets.x}'`,
    endpoint: { params: { q: '$${{secrets.x}}' } },
  },
]

describe('a command of curl', () => {
  it.each(CASES)('$title', async ({ line, client, endpoint, hidden = [] }) => {
    const { file, data } = await imported({ kind: 'curl', text: line })
    if (client !== undefined) expect(data.source.client).toMatchObject(client)
    if (endpoint !== undefined) expect(data.source.resources[0].endpoint).toMatchObject(endpoint)
    const everywhere = JSON.stringify(file)
    for (const text of hidden) expect(everywhere).not.toContain(text)
  })

  it('names what is open', async () => {
    const { file } = await imported({ kind: 'curl', text: `curl -k -b jar.txt '${URL_OF_LIST}?starting_after=ch_1'` })
    expect(file.notes.filter(({ kind }) => kind === 'open').map(({ text }) => text)).toEqual([
      'certificates are not checked (-k); a run checks them',
      'cookies come from a file, which is not read',
      expect.stringContaining('`starting_after` of the address is a cursor'),
    ])
    expect(file.text).toContain('# Open: `starting_after` of the address is a cursor')
    expect(file.text).not.toContain('starting_after: ch_1')
  })

  it.each([
    ['an empty one', `curl '${URL_OF_LIST}?cursor='`, '`cursor` of the address is a cursor'],
    ['one of a body', `curl ${URL_OF_LIST} --json '{"page_token":""}'`, 'cursor_body_path: page_token }`'],
    [
      'one of GraphQL',
      `curl ${URL_OF_LIST} --json '{"query":"query($after:String){orders(first:5,after:$after){nodes{id}}}","variables":{"after":null}}'`,
      'cursor_body_path: variables.after }`',
    ],
  ])('says of a cursor what is missing: %s', async (_, text, expected) => {
    const { file } = await imported({ kind: 'curl', text })
    expect(file.notes.filter(({ kind }) => kind === 'open').map(({ text }) => text)).toEqual([
      expect.stringContaining(expected),
    ])
  })

  it('asks for each of several words in braces, and with -g for the text', async () => {
    const [many, literal] = await Promise.all([
      imported({ kind: 'curl', text: `curl 'https://api.example.com/{shops,orders}?sort={id,name}'` }),
      imported({ kind: 'curl', text: `curl -g 'https://api.example.com/orders?sort={id,name}'` }),
    ])
    expect(many.data.source.resources.map(({ name }: { name: string }) => name)).toEqual(['shops', 'orders'])
    expect(literal.data.source.resources[0].endpoint.params).toEqual({ sort: '{{id,name}}' })
  })

  it.each([
    ['a body of a GET', `curl -X GET ${URL_OF_LIST} -d '{"a":1}'`, 'its body is left out, because a GET has none'],
    ['.netrc', `curl -n ${URL_OF_LIST}`, 'credentials come from .netrc'],
    ['a range', `curl -r 0-99 ${URL_OF_LIST}`, 'a part of the answer is asked for'],
    [
      'a variable of curl',
      `curl --variable k=s3cret --expand-header 'Authorization: {{k}}' ${URL_OF_LIST}`,
      'variables of curl are not read: write what `--expand-header` gives',
    ],
  ])('%s is open', async (_what, text, open) => {
    const { file } = await imported({ kind: 'curl', text })
    const told = file.notes.filter(({ kind }) => kind === 'open').map(note => note.text)
    expect(told).toEqual([expect.stringContaining(open)])
    expect(JSON.stringify(file)).not.toContain('s3cret')
  })

  it.each([
    [`'${URL_OF_LIST}/[1-9]'`, 'orders/1', ['curl asks for each of `[1-9]`; the file asks for the first']],
    [
      `'${URL_OF_LIST}/[a-c:2].json'`,
      'orders/a.json',
      ['curl asks for each of `[a-c:2]`; the file asks for the first'],
    ],
    [`'${URL_OF_LIST}?shop=[1-9]'`, 'orders', ['curl asks for each of `[1-9]`; the file asks for the first']],
    [`'${URL_OF_LIST}?page=[1-9]'`, 'orders', []],
    [`-g '${URL_OF_LIST}?at=[1-9]'`, 'orders', []],
  ])('of a range in the address it takes the first, and says so: %s', async (line, path, told) => {
    const { file, data } = await imported({ kind: 'curl', text: `curl ${line}` })
    expect(`${data.source.client.base_url}/${data.source.resources[0].endpoint.path}`).toContain(`v1/${path}`)
    expect(file.notes.filter(({ kind }) => kind === 'open').map(({ text }) => text)).toEqual(told)
  })

  it('bounds the addresses in braces, and says so', async () => {
    const { pipelines } = await importPipeline({
      kind: 'curl',
      text: `curl 'https://a.example.com/${'{a,b}'.repeat(40)}'`,
    })
    expect(pipelines[0]?.text.match(/- name: /g)).toHaveLength(100)
    expect(pipelines[0]?.notes.map(({ text }) => text)).toContain(
      'of the addresses in braces, only the first 100 are taken',
    )
  })

  it('reads a command of many words', async () => {
    const headers = Array.from({ length: 5_000 }, (_, at) => `-H 'X-${at}: ${at}'`).join(' ')
    const { pipelines } = await importPipeline({ kind: 'curl', text: `curl ${URL_OF_LIST} ${headers}` })
    expect(pipelines[0]?.text).toMatch(/X-4999: "?4999/)
  })

  it('refuses more lists than anybody loads at once', async () => {
    const text = Array.from({ length: 5_001 }, (_, at) => `curl https://api.example.com/v1/list${at}`).join('\n')
    await expect(importPipeline({ kind: 'curl', text })).rejects.toThrow('has more than 5000 lists')
  })

  it.each([
    ['in a shell', `curl ${URL_OF_LIST}?offset=0&limit=100&filter[a]=b&api_key=s3cret`],
    ['in cmd of Windows', `curl ${URL_OF_LIST}?offset=0&limit=100&filter[a]=b&api_key=s3cret ^\r\n -H "Accept: a/b"`],
  ])('takes an unquoted & with a name as part of the address, and says so: %s', async (_where, text) => {
    const { file, data } = await imported({ kind: 'curl', text })
    expect(data.source.resources[0].endpoint).toMatchObject({
      params: { 'filter[a]': 'b' },
      paginator: { type: 'offset', limit: 100 },
    })
    expect(data.source.client.auth).toMatchObject({ type: 'api_key', name: 'api_key', location: 'query' })
    expect(JSON.stringify(file)).not.toContain('s3cret')
    expect(file.notes).toContainEqual({
      kind: 'assumed',
      place: { line: 1 },
      text: 'an unquoted `&` with a name and `=` belongs to the address; a shell would end the command there',
    })
  })

  it.each([
    [`curl ${URL_OF_LIST}?flag&s3cret`, 'behind the unquoted `&`'],
    [`curl ${URL_OF_LIST};v=s3cret`, 'behind the unquoted `;`'],
    [`curl ${URL_OF_LIST} | jq '.s3cret'`, 'behind the unquoted `|`'],
    [`curl ${URL_OF_LIST} |\n jq '.s3cret'`, 'behind the unquoted `|`'],
    [`curl ${URL_OF_LIST} && echo s3cret`, 'behind the unquoted `&&`'],
    [`cd s3cret && curl ${URL_OF_LIST}`, 'before the unquoted `&&`'],
    [`curl ${URL_OF_LIST} ^\n -s | more s3cret`, 'behind the unquoted `|`'],
  ])('%j has an open point that names what is cut off', async (text, told) => {
    const { file } = await imported({ kind: 'curl', text })
    const open = file.notes.filter(({ kind }) => kind === 'open').map(note => note.text)
    expect(open).toEqual([expect.stringContaining(told)])
    expect(file.text).toContain('Open: left out')
    expect(JSON.stringify(file)).not.toContain('s3cret')
  })

  it('leaves out a command that sends what another one gives it, with the reason', async () => {
    const { pipelines, leftOut } = await importPipeline({ kind: 'curl', text: `date | curl -d @- ${URL_OF_LIST}` })
    expect(pipelines).toEqual([])
    expect(leftOut[0]).toMatchObject({ what: 'a command', why: 'it sends what another command gives it' })
  })

  it.each([`curl ${URL_OF_LIST} &`, `curl '${URL_OF_LIST}?a=1&b=2';`, `set -e\ncurl ${URL_OF_LIST}\necho done`])(
    '%j leaves nothing out',
    async text => {
      const { file } = await imported({ kind: 'curl', text })
      expect(file.notes.filter(({ kind, resource }) => kind !== 'taken' && resource === undefined)).toEqual([])
    },
  )

  it('makes one pipeline of several lines to one API, with the place of each', async () => {
    const text = `#!/bin/sh\ncurl https://api.example.com/v1/shops\ncurl 'https://api.example.com/v1/orders?page=1'\ncurl 'https://api.example.com/v1/orders?page=2' && curl https://other.example.com/x`
    const { pipelines } = await importPipeline({ kind: 'curl', text })
    expect(pipelines.map(({ name }) => name)).toEqual(['example', 'x'])
    expect(pipelines[0]?.text).toMatch(/- name: shops[\s\S]*- name: orders/)
    expect(pipelines[0]?.notes.find(({ resource }) => resource === 'orders')?.place).toEqual({ line: 3 })
  })

  it.each([
    ['curl -X DELETE https://api.example.com/orders/1', 'DELETE reads no list'],
    ['curl -I https://api.example.com/orders', 'HEAD reads no list'],
    ['curl -F file=@x.csv https://api.example.com/orders', 'it sends a form in parts (-F), which reads no list'],
    ['curl -d @body.json https://api.example.com/orders', 'its body is in a file, which is not read'],
    [`curl https://a.example.com/login -d 'user=a&password=s3cret'`, 'its body holds a secret, `password`'],
    [`curl --json '{"query":"mutation { x }"}' https://a.example.com/graphql`, 'a mutation of GraphQL reads no list'],
    [
      'curl https://a.example.com/sk_live_s3cret12/orders',
      'its path holds a secret, and a document has no place for one there',
    ],
    ['curl ftp://a.example.com/x', 'its address is none of http or https'],
    [
      `curl https://a.example.com/graphql --json '{"query":"query($t:String){x(t:$t){id}}","variables":{"token":"s3cret"}}'`,
      'its query holds a secret, `token`',
    ],
    [
      `curl https://a.example.com/graphql --json '{"query":"{ x(password:\\"s3cret\\") { id } }"}'`,
      'its query holds a secret, `password`',
    ],
    [
      `curl https://a.example.com/soap -H 'Content-Type: text/xml' -d '<x><Password>s3cret</Password></x>'`,
      'its body holds a secret, `Password`',
    ],
    [
      `curl https://a.example.com/x --json '{"payload":"{\\"apiKey\\":\\"s3cret\\"}"}'`,
      'its body holds a secret, `apiKey`; write an `auth` of the type `login` if it is a login',
    ],
  ])('%s is left out', async (text, why) => {
    const { pipelines, leftOut } = await importPipeline({ kind: 'curl', text })
    expect(pipelines).toEqual([])
    expect(leftOut).toMatchObject([{ why }])
    expect(JSON.stringify(leftOut)).not.toContain('s3cret')
  })

  it.each([
    ['wget https://api.example.com', 'holds no command of curl'],
    ['', 'holds no command of curl'],
    ['curl -H "a: b"', 'the command names no address'],
    ['curl', 'the command names no address'],
    ['Invoke-WebRequest -Uri "https://a.example.com"', 'is written for PowerShell'],
    ['await fetch("https://a.example.com/x", { "method": "GET" })', 'is JavaScript (fetch); copy it as cURL'],
    ['curl “https://a.example.com/x” -H ‘Authorization: Bearer s3cret’', 'has typographic quotes'],
    ["curl 'https://a.example.com/x", 'ends within quotes'],
    ['curl "https://a.example.com/x" -d "{', 'ends within quotes'],
    ["curl https://a.example.com/x -d $'{", 'ends within quotes'],
  ])('%j is refused', async (text, message) => {
    const refused = importPipeline({ kind: 'curl', text })
    await expect(refused).rejects.toThrow(ConfigError)
    await expect(refused).rejects.toThrow(message)
  })
})

describe('sluice import', () => {
  it('writes a file that loads every page, with the secret from the environment', async () => {
    const api = await testApi(url =>
      url.searchParams.get('api_key') === 'k3y'
        ? { json: Number(url.searchParams.get('page')) > 2 ? [] : [{ id: Number(url.searchParams.get('page')) }] }
        : { status: 401, json: {} },
    )
    const line = `curl '${api.origin}/v1/orders?page=2&api_key=k3y'`
    const { rows, text, printed } = await importAndRun(['curl', line], 'orders', { API_KEY: 'k3y' })
    expect(rows.map(({ id }) => Number(id)).sort()).toEqual([1, 2])
    expect(text + printed).not.toContain('k3y')
  })

  it('reads a file, the standard input and a bare address', async () => {
    const folder = await emptyFolder()
    await writeFile(join(folder, 'lines.sh'), `curl ${URL_OF_LIST}\n`)
    for (const [source, input] of [
      [join(folder, 'lines.sh'), ''],
      ['-', `curl ${URL_OF_LIST}`],
      [URL_OF_LIST, ''],
    ] as const) {
      const out = join(folder, `${source.length}`, 'orders.yaml')
      const made = await command(['import', 'curl', source, '--out', out, '--name', 'shop'], input)
      expect(made.exitCode, made.err).toBe(0)
      expect(await readFile(out, 'utf8')).toContain('name: shop\ndestination: duckdb:shop.duckdb')
    }
  })

  it('writes into a folder that it makes ready, and never over a file', async () => {
    const folder = await emptyFolder()
    const args = ['import', 'curl', `curl '${URL_OF_LIST}?api_key=x'`, '--out', `${folder}/`]
    const made = await command(args)
    expect(made.exitCode).toBe(0)
    expect(made.out).toMatch(/taken {5}orders: GET \/v1\/orders \(line 1\)/)
    expect((await readdir(folder)).sort()).toEqual(['.gitignore', '.sluice', 'orders.yaml'])
    expect(await readFile(join(folder, '.sluice', 'secrets.toml'), 'utf8')).toContain('# api_key = ""')
    const again = await command(args)
    expect(again).toMatchObject({ exitCode: 2 })
    expect(again.err).toContain('exists already and is not overwritten')
  })

  it('ends with 3 and writes nothing where there is no list', async () => {
    const folder = await emptyFolder()
    const made = await command(['import', 'curl', 'curl -X DELETE https://a.example.com/x', '--out', `${folder}/`])
    expect(made.exitCode).toBe(3)
    expect(made.out).toContain('left out  DELETE https://a.example.com/x: DELETE reads no list (line 1)')
    expect(await readdir(folder)).toEqual([])
  })

  it('ends with 2 for a source that is none, and shows no control characters of it', async () => {
    const folder = await emptyFolder()
    const file = join(folder, 'x\u001b]0;t\u0007.sh')
    await writeFile(file, '\u001b[2Jhello')
    const made = await command(['import', 'curl', file])
    expect(made.exitCode).toBe(2)
    expect(made.err).not.toContain('\u001b')
    expect(await command(['import', 'curl', join(folder, 'none')])).toMatchObject({ exitCode: 2 })
    expect(await command(['import', 'curl', folder])).toMatchObject({ exitCode: 2 })
  })

  it('prints one line of JSON', async () => {
    const folder = await emptyFolder()
    const line = `curl '${URL_OF_LIST}' -H 'Authorization: Bearer s3cret'`
    const made = await command(['import', 'curl', line, '--json', '--out', `${folder}/`])
    expect(made.out).not.toContain('s3cret')
    expect(JSON.parse(made.out)).toMatchObject({
      pipelines: [{ name: 'orders', resources: 1, secrets: [{ name: 'token', what: 'bearer token' }] }],
      leftOut: [],
    })
  })

  it('keeps names within the folder', async () => {
    const { file } = await imported({ kind: 'curl', text: 'curl https://a.example.com/x', name: '../../etc/passwd' })
    expect(file.name).toBe('etc_passwd')
  })

  it.each(['con', 'NUL', 'aux.yaml', 'Com1', 'lpt9'])(
    'does not name a file as the device %s of Windows',
    async name => {
      const { file } = await imported({ kind: 'curl', text: 'curl https://a.example.com/x', name })
      expect(file.name).not.toMatch(/^(?:con|prn|aux|nul|com\d|lpt\d)$/)
    },
  )
})
