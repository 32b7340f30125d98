import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { filesDestination } from '../../src/destinations/objects/objects.js'
import type { S3CredentialProvider } from '../../src/destinations/objects/storage/s3Identity.js'
import { pipeline, restApi } from '../../src/index.js'
import { Secret } from '../../src/model/secrets/secret.js'
import type { Clock } from '../../src/model/source.js'
import { sluiceProcess } from '../cli/process.js'
import { ACCESS_KEY_ID, BUCKET, type S3Double, SECRET_ACCESS_KEY, startS3Double } from './s3Server.js'

const TOKEN = 'session/token+4711=='
const MINUTE = 60_000

let home: string
let s3: S3Double
/** Whatever gives credentials over HTTP, and the API of the pipelines. */
let gives: Server
let givesUrl: string
let asked: string[]
/** What is answered to a path, by its beginning. */
let answers: Record<string, { status?: number; body: string; endless?: boolean }>

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'sluice-aws-'))
  s3 = await startS3Double()
  asked = []
  answers = { '/things': { body: '[{"id":1},{"id":2}]' } }
  gives = createServer((request, response) => {
    const { authorization, 'x-aws-ec2-metadata-token': metadataToken } = request.headers
    asked.push([request.method, request.url, authorization ?? metadataToken].filter(Boolean).join(' '))
    const path = Object.keys(answers).filter(begin => request.url?.startsWith(begin))
    const { status = 200, body = '', endless = false } = answers[path.sort().at(-1) ?? ''] ?? { status: 404 }
    response.writeHead(status)
    if (!endless) return void response.end(body)
    const write = (): void => {
      while (response.write(body));
      response.once('drain', write)
    }
    write()
  })
  await new Promise<void>(resolve => gives.listen(0, '127.0.0.1', resolve))
  givesUrl = `http://127.0.0.1:${(gives.address() as AddressInfo).port}`
})
afterEach(async () => {
  await s3.close()
  gives.closeAllConnections()
  await new Promise(resolve => gives.close(resolve))
  await rm(home, { recursive: true, force: true })
})

/** As AWS writes them, still good for an hour. */
const inAnHour = () => new Date(Date.now() + 60 * MINUTE).toISOString()
const json = () =>
  JSON.stringify({
    Version: 1,
    Code: 'Success',
    Type: 'AWS-HMAC',
    AccessKeyId: ACCESS_KEY_ID,
    SecretAccessKey: SECRET_ACCESS_KEY,
    Token: TOKEN,
    SessionToken: TOKEN,
    Expiration: inAnHour(),
  })

describe('the command finds credentials as the tools of AWS do', () => {
  interface Way {
    readonly name: string
    /** Prepares the home folder and the servers; the environment that leads there. */
    readonly env: () => Promise<Record<string, string>>
    readonly token?: string
    readonly region?: string
    readonly asks?: RegExp
  }

  const aws = async (name: string, text: string): Promise<string> => {
    await mkdir(join(home, '.aws'), { recursive: true })
    await writeFile(join(home, '.aws', name), text)
    return join(home, '.aws', name)
  }
  const keys = (profile: string): string =>
    `[${profile}]\naws_access_key_id = ${ACCESS_KEY_ID}\naws_secret_access_key = ${SECRET_ACCESS_KEY}\n`
  const answerToken = (): string =>
    `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>${ACCESS_KEY_ID}</AccessKeyId><SecretAccessKey>${SECRET_ACCESS_KEY}</SecretAccessKey><SessionToken>${TOKEN}</SessionToken><Expiration>${inAnHour()}</Expiration></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`

  const ways: readonly Way[] = [
    {
      name: 'variables of the environment',
      env: async () => ({
        AWS_ACCESS_KEY_ID: ACCESS_KEY_ID,
        AWS_SECRET_ACCESS_KEY: SECRET_ACCESS_KEY,
        AWS_SESSION_TOKEN: TOKEN,
        AWS_REGION: 'eu-south-2',
      }),
      token: TOKEN,
      region: 'eu-south-2',
    },
    {
      name: 'the shared file of credentials',
      env: async () => {
        await aws('credentials', keys('default'))
        await aws('config', '[profile other]\nregion = eu-west-3\n[default]\nregion = eu-north-1\n')
        return {}
      },
      region: 'eu-north-1',
    },
    {
      name: 'AWS_PROFILE',
      env: async () => {
        await aws('credentials', `[default]\naws_access_key_id = A\naws_secret_access_key = B\n${keys('work')}`)
        await aws('config', '[default]\nregion = eu-north-1\n[profile work]\nregion = eu-west-3\n')
        return { AWS_PROFILE: 'work' }
      },
      region: 'eu-west-3',
    },
    {
      name: "dlt's name of a profile, and files elsewhere",
      env: async () => {
        const credentials = await aws('elsewhere', keys('work'))
        const config = await aws('config elsewhere', '[profile work]\nregion = eu-west-3\n')
        return {
          DESTINATION__FILESYSTEM__CREDENTIALS__PROFILE_NAME: 'work',
          AWS_SHARED_CREDENTIALS_FILE: credentials,
          AWS_CONFIG_FILE: config,
        }
      },
      region: 'eu-west-3',
    },
    {
      name: 'a process',
      env: async () => {
        const script = join(home, 'give.mjs')
        await writeFile(script, `console.log(${JSON.stringify(json())})`)
        await aws('config', `[default]\ncredential_process = "${process.execPath}" "${script}"\n`)
        return {}
      },
      token: TOKEN,
    },
    {
      name: 'a session of SSO',
      env: async () => {
        const roleCredentials = {
          accessKeyId: ACCESS_KEY_ID,
          secretAccessKey: SECRET_ACCESS_KEY,
          sessionToken: TOKEN,
          expiration: Date.parse(inAnHour()),
        }
        answers['/federation/credentials'] = { body: JSON.stringify({ roleCredentials }) }
        const session = 'sso_region = eu-west-3\nsso_start_url = https://example.com/start\n'
        await aws(
          'config',
          `[profile work]\nsso_session = s\nsso_account_id = 1\nsso_role_name = loader\n[sso-session s]\n${session}`,
        )
        await mkdir(join(home, '.aws', 'sso', 'cache'), { recursive: true })
        const name = createHash('sha1').update('s').digest('hex')
        await aws(`sso/cache/${name}.json`, JSON.stringify({ accessToken: 'signed-in', expiresAt: inAnHour() }))
        return { AWS_PROFILE: 'work', AWS_ENDPOINT_URL_SSO: givesUrl }
      },
      token: TOKEN,
      asks: /^GET \/federation\/credentials.*role_name=loader/,
    },
    {
      name: 'a web identity',
      env: async () => {
        answers['/'] = { body: answerToken() }
        await writeFile(join(home, 'token'), 'a.web.identity')
        return {
          AWS_WEB_IDENTITY_TOKEN_FILE: join(home, 'token'),
          AWS_ROLE_ARN: 'arn:aws:iam::123456789012:role/loader',
          AWS_ENDPOINT_URL_STS: givesUrl,
          AWS_REGION: 'us-east-1',
        }
      },
      token: TOKEN,
      asks: /^POST \//,
    },
    {
      name: 'the role of a container',
      env: async () => {
        answers['/role'] = { body: json() }
        return {
          AWS_CONTAINER_CREDENTIALS_FULL_URI: `${givesUrl}/role`,
          AWS_CONTAINER_AUTHORIZATION_TOKEN: 'container-token',
        }
      },
      token: TOKEN,
      asks: /^GET \/role container-token$/,
    },
    {
      name: 'the role of an instance',
      env: async () => {
        answers['/latest/api/token'] = { body: 'instance-token' }
        answers['/latest/meta-data/iam/security-credentials/'] = { body: 'loader' }
        answers['/latest/meta-data/iam/security-credentials/loader'] = { body: json() }
        return { AWS_EC2_METADATA_SERVICE_ENDPOINT: givesUrl, AWS_EC2_METADATA_DISABLED: 'false' }
      },
      token: TOKEN,
      asks: /^GET .*loader instance-token$/,
    },
  ]

  const load = async (env: Record<string, string>) => {
    const file = join(home, 'things.yaml')
    await writeFile(file, `client:\n  base_url: ${givesUrl}\nresources:\n  - things\n`)
    return await sluiceProcess(['run', file, '--destination', `s3://${BUCKET}/lake?endpoint=${s3.url}&format=jsonl`], {
      cwd: home,
      env: { HOME: home, AWS_EC2_METADATA_DISABLED: 'true', ...env },
    })
  }

  test.each(ways)('$name', async ({ env, token, region = 'us-east-1', asks }) => {
    const ended = await load(await env())
    expect(ended.stderr + ended.stdout).not.toMatch(/secret\+access|session\/token/)
    expect(ended.exitCode).toBe(0)
    expect([...s3.objects.keys()].some(key => key.includes('/things/'))).toBe(true)
    expect(new Set(s3.tokens)).toEqual(new Set([token]))
    expect([...s3.regions]).toEqual([region])
    if (asks !== undefined) expect(asked.filter(one => asks.test(one))).toHaveLength(1)
    expect((await readdir(join(home, '.sluice'), { recursive: true })).filter(name => name.endsWith('.warc'))).toEqual(
      [],
    )
  })

  test.each([
    ['nothing at all', async () => ({}), /there are no credentials: .*set AWS_ACCESS_KEY_ID/],
    ['a profile that is not there', async () => ({ AWS_PROFILE: 'absent' }), /there are no credentials: .*absent/],
    [
      'an answer that is no JSON',
      async () => {
        answers['/role'] = { body: `{"AccessKeyId":"${ACCESS_KEY_ID}","SecretAccessKey":"${SECRET_ACCESS_KEY}"x}` }
        return { AWS_CONTAINER_CREDENTIALS_FULL_URI: `${givesUrl}/role` }
      },
      /there are no credentials: what the provider answered is not JSON/,
    ],
    [
      'credentials that have ended',
      async () => {
        answers['/role'] = { body: json().replace(/"Expiration":"[^"]*"/, '"Expiration":"2020-01-01T00:00:00Z"') }
        return { AWS_CONTAINER_CREDENTIALS_FULL_URI: `${givesUrl}/role` }
      },
      /ended at 2020-01-01T00:00:00.000Z/,
    ],
    [
      'an answer without an end',
      async () => {
        answers['/role'] = { body: 'a'.repeat(1e6), endless: true }
        return { AWS_CONTAINER_CREDENTIALS_FULL_URI: `${givesUrl}/role` }
      },
      /there are no credentials: 127\.0\.0\.1 answers with more than credentials/,
    ],
  ])('says what is missing with %s, asks the API for nothing and shows no secret', async (_, env, message) => {
    const ended = await load(await env())
    expect(ended.stderr).toMatch(message)
    expect(ended.stderr).not.toMatch(/secret\+access|session\/token| at .*\.js:/)
    expect(ended.exitCode).not.toBe(0)
    expect(asked.filter(one => one.includes('/things'))).toEqual([])
  })
})

describe('a provider', () => {
  let now: number
  let given: number
  const clock: Clock = { now: () => now, sleep: async () => {}, random: () => 0.5 }
  beforeEach(() => {
    now = Date.UTC(2026, 10, 28)
    given = 0
  })
  /** Gives numbered tokens that end after so many minutes. */
  const provider =
    (minutes: number): S3CredentialProvider =>
    async () => ({
      accessKeyId: ACCESS_KEY_ID,
      secretAccessKey: SECRET_ACCESS_KEY,
      sessionToken: `token-${++given}`,
      expiration: new Date(now + minutes * MINUTE),
    })
  const connect = (credentials: S3CredentialProvider) =>
    filesDestination({ path: `s3://${BUCKET}/x`, stagingDir: home, s3: { endpoint: s3.url, credentials } }, clock)
  const look = async (credentials: S3CredentialProvider, ...waits: number[]): Promise<(string | undefined)[]> => {
    await using connection = await connect(credentials).connect('d')
    const seen: (string | undefined)[] = []
    for (const minutes of [0, ...waits]) {
      now += minutes * MINUTE
      await connection.hasLoad('1.1')
      seen.push(s3.tokens.at(-1))
    }
    return seen
  }

  test('is asked once, and again five minutes before its credentials end', async () => {
    expect(await look(provider(60), 54, 2, 1)).toEqual(['token-1', 'token-1', 'token-2', 'token-2'])
  })

  test('whose credentials do not end is asked once', async () => {
    const fixed: S3CredentialProvider = async () => {
      const { expiration: _, ...rest } = await provider(1)()
      return rest
    }
    expect(await look(fixed, 10_000)).toEqual(['token-1', 'token-1'])
  })

  test('that fails early does no harm while the old credentials are good', async () => {
    let fails = false
    const sometimes: S3CredentialProvider = async () => {
      if (fails) throw new Error('out of order')
      return await provider(60)()
    }
    await using connection = await connect(sometimes).connect('d')
    await connection.hasLoad('1.1')
    fails = true
    now += 57 * MINUTE
    await connection.hasLoad('1.1')
    expect(s3.tokens.at(-1)).toBe('token-1')
    now += 4 * MINUTE
    await expect(connection.hasLoad('1.1')).rejects.toThrow(/there are no credentials: out of order/)
  })

  test('is asked again where the store refuses what it gave, once for each request', async () => {
    s3.fault = () => (s3.tokens.at(-1) === 'token-1' ? { status: 400, code: 'ExpiredToken' } : undefined)
    expect(await look(provider(60))).toEqual(['token-2'])
    s3.fault = () => ({ status: 400, code: 'ExpiredToken' })
    await expect(look(provider(60))).rejects.toThrow(/session token has expired/)
    expect(given).toBe(4)
  })

  test.each<[string, object, RegExp]>([
    ['no key', { accessKeyId: undefined }, /`accessKeyId` of the provider cannot be used/],
    [
      'a token that would be two headers',
      { sessionToken: 'a\r\nx: b' },
      /`sessionToken` of the provider cannot be used/,
    ],
    ['a token without end', { sessionToken: 'a'.repeat(1e6) }, /`sessionToken` of the provider cannot be used/],
    ['no date', { expiration: new Date(Number.NaN) }, /`expiration` of the provider is not a date/],
    ['nothing', { accessKeyId: 7, secretAccessKey: null }, /`accessKeyId` of the provider cannot be used/],
  ])('that gives %s is refused', async (_, change, message) => {
    const odd = (async () => ({ ...(await provider(60)()), ...change })) as S3CredentialProvider
    await expect(look(odd)).rejects.toThrow(message)
    expect(s3.requests).toEqual([])
  })

  test('that never answers is left where the run is stopped', async () => {
    const stop = new AbortController()
    const silent: S3CredentialProvider = () => {
      queueMicrotask(() => stop.abort(new Error('stopped')))
      return new Promise(() => {})
    }
    await using connection = await connect(silent).connect('d', stop.signal)
    await expect(connection.hasLoad('1.1')).rejects.toThrow('stopped')
  })

  test('has its secrets concealed in whatever the API echoes', async () => {
    answers['/things'] = { status: 400, body: `no such thing as ${SECRET_ACCESS_KEY} or ${TOKEN}` }
    const source = restApi({ client: { base_url: givesUrl }, resources: ['things'] }, { name: 'api' })
    const credentials: S3CredentialProvider = async () => ({
      ...(await provider(60)()),
      secretAccessKey: new Secret(SECRET_ACCESS_KEY),
      sessionToken: TOKEN,
    })
    const failing = pipeline({ name: 'p', source, destination: connect(credentials), home }).run()
    await expect(failing).rejects.toThrow(/no such thing as/)
    await expect(failing).rejects.not.toThrow(/secret\+access|session\/token/)
  })
})
