import { ConfigError } from '../../../model/errors.js'
import { positionKind } from '../../draft/address.js'
import {
  hasVariable,
  jsonOrText,
  type Pair,
  pairsOf,
  type SourceAwsKey,
  type SourceBody,
  type SourceRequest,
  urlParts,
  userParts,
} from '../../requests/sourceRequest.js'
import type { ShellCommand } from './curlWords.js'

/** Options with a value, by their one letter. */
const SHORT: Readonly<Record<string, string>> = {
  A: 'user-agent',
  b: 'cookie',
  c: 'cookie-jar',
  C: 'continue-at',
  d: 'data',
  D: 'dump-header',
  e: 'referer',
  E: 'cert',
  F: 'form',
  h: 'help',
  H: 'header',
  K: 'config',
  m: 'max-time',
  o: 'output',
  P: 'ftp-port',
  Q: 'quote',
  r: 'range',
  t: 'telnet-option',
  T: 'upload-file',
  u: 'user',
  U: 'proxy-user',
  w: 'write-out',
  x: 'proxy',
  X: 'request',
  y: 'speed-time',
  Y: 'speed-limit',
  z: 'time-cond',
}

const SHORT_FLAGS: Readonly<Record<string, string>> = {
  G: 'get',
  I: 'head',
  k: 'insecure',
  g: 'globoff',
  n: 'netrc',
  ':': 'next',
}

/** Other options with a value. What is neither here nor above has none. */
const LONG = new Set([
  ...Object.values(SHORT).filter(name => name !== 'help'),
  ...'abstract-unix-socket alt-svc aws-sigv4 cacert capath cert-type ciphers connect-timeout connect-to crlfile curves data-ascii data-binary data-raw data-urlencode delegation dns-interface dns-ipv4-addr dns-ipv6-addr dns-servers doh-url egd-file engine etag-compare etag-save expect100-timeout form-string happy-eyeballs-timeout-ms hsts interface ipfs-gateway json keepalive-time key key-type krb limit-rate local-port login-options mail-auth mail-from mail-rcpt max-filesize max-redirs netrc-file noproxy oauth2-bearer output-dir pass pinnedpubkey postquote preproxy prequote proto proto-default proto-redir proxy-header proxy1.0 pubkey random-file rate request-target resolve retry retry-delay retry-max-time sasl-authzid service-name socks4 socks4a socks5 socks5-hostname stderr tls-max tls13-ciphers tlsauthtype tlsuser tlspassword trace trace-ascii unix-socket url url-query variable expand-url'.split(
    ' ',
  ),
])

interface Read {
  urls: string[]
  method?: string
  headers: Pair[]
  /** Each with what curl puts before it where there is one already. */
  data: { readonly text: string; readonly before: '&' | '' }[]
  urlQuery: string[]
  json: boolean
  get: boolean
  head: boolean
  user?: string
  /** As `--aws-sigv4` takes it: `aws:amz:REGION:SERVICE`. */
  aws?: string
  /** Its user is none that may be sent as it is. */
  hasOtherAuth?: boolean
  bearer?: string
  cookies: string[]
  open: string[]
  /** Braces in the address are text. */
  isLiteral?: boolean
  unreadable?: string
}

function nothing(): Read {
  return { urls: [], headers: [], data: [], urlQuery: [], json: false, get: false, head: false, cookies: [], open: [] }
}

/** The requests of one command of curl, or why there is none. Throws a ConfigError for what is no command of curl. */
export function curlRequests(
  { words, line }: ShellCommand,
  file: string | undefined,
): readonly (SourceRequest | { readonly why: string; readonly line: number })[] {
  const reads: Read[] = [nothing()]
  let read = reads[0] as Read
  // Taken from the end: from the beginning, each takes as long as there are words.
  const rest = words.slice(1).reverse()
  let isBehindOptions = false
  for (let word = rest.pop(); word !== undefined; word = rest.pop()) {
    if (isBehindOptions || word === '-' || !word.startsWith('-')) {
      if (word !== '') read.urls.push(word)
      continue
    }
    if (word === '--') {
      isBehindOptions = true
      continue
    }
    for (const [name, value] of optionsIn(word, rest)) {
      if (name === 'next') {
        read = nothing()
        reads.push(read)
      } else apply(read, name, value ?? '')
    }
  }
  return reads.flatMap(one => requestsOf(one, line, file))
}

/** The options that a word holds: `-sSL`, `-XPOST`, `--url=…` is none of curl's, `--url …`. `rest`: the words behind it, the next one last. */
function optionsIn(word: string, rest: string[]): (readonly [string, string | undefined])[] {
  if (word.startsWith('--')) {
    const name = word.slice(2)
    // Curl itself knows no `--url=…`, but what is meant is plain.
    const [, before = '', value] = /^([\w-]+)=(.*)$/s.exec(name) ?? []
    if (LONG.has(before)) return [[before, value]]
    return [[name, LONG.has(name.replace(/^expand-/, '')) ? rest.pop() : undefined]]
  }
  const found: (readonly [string, string | undefined])[] = []
  for (let at = 1; at < word.length; at++) {
    const letter = word[at] ?? ''
    const name = SHORT[letter]
    if (name === undefined) {
      found.push([SHORT_FLAGS[letter] ?? letter, undefined])
      continue
    }
    const value = word.slice(at + 1)
    found.push([name, value === '' ? rest.pop() : value])
    break
  }
  return found
}

function apply(read: Read, name: string, value: string): void {
  if (name.startsWith('expand-')) {
    read.open.push(`variables of curl are not read: write what \`--${name}\` gives`)
    return
  }
  switch (name) {
    case 'url':
      read.urls.push(value)
      return
    case 'request':
      read.method = value.toUpperCase()
      return
    case 'get':
      read.get = true
      return
    case 'head':
      read.head = true
      return
    case 'header': {
      const [, header, text = ''] = /^([^:;]+)[:;]\s*(.*)$/s.exec(value) ?? []
      if (value.startsWith('@')) read.open.push('headers come from a file, which is not read')
      else if (header !== undefined && /^[\w!#$%&'*+.^`|~-]+$/.test(header.trim()))
        read.headers.push([header.trim(), text.trim()])
      return
    }
    case 'user':
      read.user = value
      return
    case 'oauth2-bearer':
      read.bearer = value
      return
    case 'cookie':
      if (value.includes('=') || hasVariable(value)) read.cookies.push(value)
      else read.open.push('cookies come from a file, which is not read')
      return
    case 'json':
      read.json = true
      addData(read, value, '')
      return
    case 'data':
    case 'data-ascii':
    case 'data-binary':
      addData(read, value)
      return
    case 'data-raw':
      read.data.push({ text: value, before: '&' })
      return
    case 'data-urlencode':
      read.data.push({ text: urlEncoded(read, value), before: '&' })
      return
    case 'url-query':
      read.urlQuery.push(value.startsWith('+') ? value.slice(1) : urlEncoded(read, value))
      return
    case 'form':
    case 'form-string':
      read.unreadable = 'it sends a form in parts (-F), which reads no list'
      return
    case 'upload-file':
      read.unreadable = 'it sends a file (-T), which reads no list'
      return
    case 'config':
      read.open.push('options come from a file (-K), which is not read')
      return
    case 'aws-sigv4':
      read.aws = value
      return
    case 'digest':
    case 'ntlm':
    case 'negotiate':
    case 'anyauth':
      read.hasOtherAuth = true
      read.open.push(`--${name} is no authentication that a document has: its user name and password are left out`)
      return
    case 'cert':
    case 'key':
      read.open.push('the connection shows a certificate: write `auth: { type: mtls, … }`')
      return
    case 'globoff':
      read.isLiteral = true
      return
    case 'netrc':
    case 'netrc-file':
      read.open.push('credentials come from .netrc, which is not read: write an `auth`')
      return
    case 'range':
      read.open.push('a part of the answer is asked for (-r); a run reads the whole')
      return
    case 'insecure':
      read.open.push('certificates are not checked (-k); a run checks them')
      return
    case 'cacert':
      read.open.push('the certificate of an authority is named: set NODE_EXTRA_CA_CERTS')
      return
    case 'proxy':
      read.open.push('requests go through a proxy: set HTTPS_PROXY')
      return
  }
}

function addData(read: Read, value: string, before: '&' | '' = '&'): void {
  if (value.startsWith('@')) read.unreadable = 'its body is in a file, which is not read'
  else read.data.push({ text: value, before })
}

/** As `--data-urlencode` takes it: `text`, `=text`, `name=text`, `@file`. */
function urlEncoded(read: Read, value: string): string {
  const [, name, text] = /^([^=@]*)=(.*)$/s.exec(value) ?? []
  if (text === undefined && value.includes('@')) {
    read.unreadable = 'its body is in a file, which is not read'
    return ''
  }
  const encoded = encodedText(text ?? value)
  return name === undefined || name === '' ? encoded : `${name}=${encoded}`
}

/** Marks of variables stay. */
function encodedText(text: string): string {
  return text
    .split(/([\uE000\uE001])/)
    .map(part => (/^[\uE000\uE001]$/.test(part) ? part : encodeURIComponent(part.replace(/\p{Cs}/gu, '\uFFFD'))))
    .join('')
}

function requestsOf(
  read: Read,
  line: number,
  file: string | undefined,
): (SourceRequest | { readonly why: string; readonly line: number })[] {
  const { urls, data, get, json, unreadable } = read
  if (urls.length === 0) {
    if (read.headers.length === 0 && data.length === 0) return []
    throw new ConfigError([
      { place: { path: '', file: file ?? 'curl', line }, message: 'the command names no address' },
    ])
  }
  if (unreadable !== undefined) return [{ why: unreadable, line }]
  const text = data.map((part, index) => `${index === 0 ? '' : part.before}${part.text}`).join('')
  const method = read.method ?? (read.head ? 'HEAD' : data.length > 0 && !get ? 'POST' : 'GET')
  const headers: Pair[] = [...read.headers]
  if (read.bearer !== undefined) headers.push(['Authorization', `Bearer ${read.bearer}`])
  if (read.cookies.length > 0) headers.push(['Cookie', read.cookies.join('; ')])
  const isGetWithBody = method === 'GET' && data.length > 0 && !get
  if (isGetWithBody)
    read.open.push('its body is left out, because a GET has none; write `method: POST` if the API takes it so')
  const addresses = urls.flatMap(written => (read.isLiteral === true ? [written] : alternatives(written)))
  if (addresses.length > MOST_ADDRESSES)
    read.open.push(`of the addresses in braces, only the first ${MOST_ADDRESSES} are taken`)
  return addresses.slice(0, MOST_ADDRESSES).map(written => {
    const open = [...new Set(read.open)]
    const url = completed(written, get ? [...read.urlQuery, text] : read.urlQuery, read, open)
    const body = get || method === 'GET' || data.length === 0 ? undefined : bodyOf(text, headers, json)
    const awsKey = read.aws === undefined ? undefined : awsKeyOf(read.aws, read.user, url)
    return { method, url, headers, body, ...(awsKey && { awsKey }), place: { line }, answers: [], open }
  })
}

/** Where region or service is not given, the host names both: `ID.execute-api.eu-west-1.amazonaws.com`. */
function awsKeyOf(given: string, user = '', url: string): SourceAwsKey {
  const [, , region, service] = given.split(':')
  const [, hostService, hostRegion] =
    /[/.]([\w-]+)\.([a-z]{2}(?:-[a-z]+)+-\d)\.amazonaws\.com/.exec(urlParts(url)?.origin ?? '') ?? []
  const { name: id, password: secret } = userParts(user)
  return { id, secret, region: region || hostRegion, service: service || hostService }
}

/** The addresses of `{a,b}`, each of which curl asks for. Of more than `MOST_ADDRESSES`, some. */
function alternatives(url: string): readonly string[] {
  let found = [url]
  for (let isDone = false; !isDone; ) {
    isDone = true
    found = found
      .flatMap(one => {
        const words = firstList(one)
        if (words !== undefined) isDone = false
        return words ?? [one]
      })
      .slice(0, MOST_ADDRESSES + 1)
  }
  return found
}

/** The address with each word of its first list in braces. Undefined if it has none. */
function firstList(url: string): readonly string[] | undefined {
  const close = url.indexOf('}')
  const open = url.lastIndexOf('{', close)
  if (close === -1 || open === -1) return undefined
  const words = url.slice(open + 1, close).split(',', MOST_ADDRESSES + 1)
  if (words.length < 2) return undefined
  return words.map(word => `${url.slice(0, open)}${word}${url.slice(close + 1)}`)
}

const MOST_ADDRESSES = 100

function completed(
  written: string,
  queries: readonly string[],
  { user, aws, hasOtherAuth, isLiteral }: Read,
  open: string[],
): string {
  const isBare = !/^[a-z][a-z\d+.-]*:\/\//i.test(written) && !hasVariable(written.split(/[/?]/)[0] ?? '')
  const isOwn = /^(?:localhost|127\.|\[::1\])/.test(written)
  if (isBare && !isOwn) open.push('the address names no scheme; https is assumed')
  let url = isBare ? `${isOwn ? 'http' : 'https'}://${written}` : written
  if (isLiteral !== true) url = withoutRanges(url, open)
  const query = queries.filter(text => text !== '').join('&')
  if (query !== '') url = url.replace(/(#.*)?$/s, `${url.includes('?') ? '&' : '?'}${query}$1`)
  const isSentAsItIs = aws === undefined && hasOtherAuth !== true
  if (isSentAsItIs && user !== undefined && urlParts(url)?.user === undefined) {
    url = url.replace('://', () => `://${encodedText(user)}@`)
  }
  return url
}

/** The address with the first of each range, as in `[1-9]` or `[a-z:2]`. Of what counts pages, a list begins with the first. */
function withoutRanges(url: string, open: string[]): string {
  return url.replace(RANGE, (range: string, before = '', number?: string, letter?: string) => {
    const first = number ?? letter ?? ''
    if (positionKind([before.slice(1, -1), first], []) === undefined)
      open.push(`curl asks for each of \`${range.slice(before.length)}\`; the file asks for the first`)
    return `${before}${first}`
  })
}

const RANGE = /([?&][^=&#[\]]{1,60}=)?\[(?:(\d{1,18})-\d{1,18}|([a-z])-[a-z])(?::\d{1,18})?\]/gi

function bodyOf(text: string, headers: readonly Pair[], json: boolean): SourceBody {
  const type = headers.find(([name]) => name.toLowerCase() === 'content-type')?.[1] ?? ''
  if (json || /json/i.test(type) || (type === '' && /^\s*\{\s*"/.test(text))) {
    return jsonOrText(text)
  }
  if (type !== '' && !/x-www-form-urlencoded/i.test(type)) return { kind: 'text', text }
  return { kind: 'form', pairs: pairsOf(text) }
}
