import { createWriteStream } from 'node:fs'
import { mkdir, mkdtemp, open, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { ConfigError, DestinationError } from '../../../model/errors.js'
import { nodeCrypto } from '../../../model/runtime/nodeCrypto.js'
import type { S3Bucket, S3Target } from './s3Bucket.js'
import { element, elements, escapeXml, type S3Client, type S3Place, s3Client } from './s3Client.js'
import { inRange, type KeyRange, type LocalFile, mapLimited, type Storage, type StoredObject } from './storage.js'

/** Larger files are sent in parts of this size, or of a larger one if there would be too many parts. */
export const PART_BYTES = 8 * 1024 * 1024
const MOST_PARTS = 10_000
const PARTS_AT_ONCE = 3
const TRANSFERS_AT_ONCE = 8
/** Answers of stores that cannot list uploads, or do not allow it with these credentials. */
const CANNOT_LIST_UPLOADS = [400, 403, 404, 405, 501]

/** Storages for folders of a bucket. */
export function s3Storage({
  target,
  access,
  checksums,
  clock,
}: S3Bucket): (folder: string, signal?: AbortSignal) => Storage {
  const { bucket, prefix } = target
  const at: Omit<S3Place, 'place'> = {
    origin: `${access.base.protocol}//${access.pathStyle ? '' : `${bucket}.`}${access.base.host}`,
    basePath: access.pathStyle ? `/${bucket}` : '',
    region: access.region,
    identity: access.identity,
  }
  return (folder, signal) => {
    const root = prefix === '' ? folder : `${prefix}/${folder}`
    const place = `s3://${bucket}/${root}`
    return openStorage(s3Client({ ...at, place }, clock, signal), place, `${root}/`, target, checksums)
  }
}

function openStorage(
  client: S3Client,
  place: string,
  root: string,
  { stagingDir }: S3Target,
  checksums: boolean,
): Storage {
  let temporary: Promise<string> | undefined
  const staging = async (): Promise<string> => {
    if (stagingDir !== undefined) {
      await mkdir(stagingDir, { recursive: true, mode: 0o700 })
      return stagingDir
    }
    temporary ??= mkdtemp(join(tmpdir(), 'sluice-files-'))
    return await temporary
  }
  const checksum = (content: Uint8Array): string => nodeCrypto().createHash('sha256').update(content).digest('base64')
  const checked = (content: Uint8Array): Record<string, string> =>
    checksums ? { 'x-amz-checksum-sha256': checksum(content) } : {}

  const get = async (key: string): Promise<Uint8Array | undefined> => {
    const answer = await client.send({ method: 'GET', key: `${root}${key}`, expected: [404] })
    if (answer.status !== 404) return answer.body
    if (element(Buffer.from(answer.body).toString(), 'Code') === 'NoSuchBucket') return await refuseBucket()
    return undefined
  }
  /** Lists the bucket, where a 404 is a failure, so that the error says what is wrong. */
  const refuseBucket = async (): Promise<never> => {
    await client.send({ method: 'GET', key: '', query: { 'list-type': '2', 'max-keys': '0' } })
    throw new ConfigError([{ place: { path: 'path' }, message: `${place} cannot be read` }])
  }

  const multipart = async (key: string, file: LocalFile): Promise<void> => {
    const size = Math.max(PART_BYTES, Math.ceil(file.bytes / MOST_PARTS))
    const begun = await client.send({
      method: 'POST',
      key,
      query: { uploads: '' },
      headers: checksums ? { 'x-amz-checksum-algorithm': 'SHA256' } : {},
    })
    const uploadId = element(Buffer.from(begun.body).toString(), 'UploadId') ?? ''
    const source = await open(file.path, 'r')
    try {
      const offsets = Array.from({ length: Math.ceil(file.bytes / size) }, (_, index) => index * size)
      const parts = await mapLimited(offsets, PARTS_AT_ONCE, async (offset, index) => {
        const content = Buffer.alloc(Math.min(size, file.bytes - offset))
        for (let filled = 0; filled < content.length; ) {
          const { bytesRead } = await source.read(content, filled, content.length - filled, offset + filled)
          if (bytesRead === 0) throw new Error(`${file.path} is shorter than it was`)
          filled += bytesRead
        }
        const query = { partNumber: String(index + 1), uploadId }
        const { headers } = await client.send({ method: 'PUT', key, query, headers: checked(content), body: content })
        const sum = checksums ? `<ChecksumSHA256>${checksum(content)}</ChecksumSHA256>` : ''
        return `<Part><PartNumber>${index + 1}</PartNumber><ETag>${escapeXml(String(headers.etag))}</ETag>${sum}</Part>`
      })
      const body = Buffer.from(`<CompleteMultipartUpload>${parts.join('')}</CompleteMultipartUpload>`)
      await client.send({
        method: 'POST',
        key,
        query: { uploadId },
        headers: { 'content-type': 'application/xml' },
        body,
      })
    } catch (error) {
      // Parts of an unfinished upload are kept, and cost money, until they are aborted.
      await client.send({ method: 'DELETE', key, query: { uploadId }, expected: [404] }).catch(() => {})
      throw error
    } finally {
      await source.close()
    }
  }

  /** Parts of objects that a killed process never finished. */
  const abortUploads = async (keys: ReadonlySet<string>): Promise<void> => {
    let marker: Readonly<Record<string, string>> | undefined = {}
    while (marker !== undefined) {
      const query: Record<string, string> = { uploads: '', prefix: root, ...marker }
      const { status, body } = await client.send({ method: 'GET', key: '', query, expected: CANNOT_LIST_UPLOADS })
      if (status !== 200) return
      const page = Buffer.from(body).toString()
      for (const upload of elements(page, 'Upload')) {
        const key = element(upload, 'Key') ?? ''
        const uploadId = element(upload, 'UploadId') ?? ''
        if (keys.has(key)) await client.send({ method: 'DELETE', key, query: { uploadId }, expected: [404] })
      }
      const next: Readonly<Record<string, string>> = {
        'key-marker': element(page, 'NextKeyMarker') ?? '',
        'upload-id-marker': element(page, 'NextUploadIdMarker') ?? '',
      }
      const isSame = Object.entries(next).every(([name, value]) => value === (query[name] ?? ''))
      marker = element(page, 'IsTruncated') === 'true' && !isSame ? next : undefined
    }
  }

  const remove = async (keys: readonly string[]): Promise<void> => {
    await mapLimited(keys, TRANSFERS_AT_ONCE, key =>
      client.send({ method: 'DELETE', key: `${root}${key}`, expected: [404] }),
    )
  }

  /** The token of the page after this one. Without it, the objects of the next pages would be missed. */
  const nextToken = (page: string, before: string | undefined): string => {
    const token = element(page, 'NextContinuationToken') ?? ''
    if (token !== '' && token !== before) return token
    const said = token === '' ? 'no token for it' : 'the token of the page before'
    const message = `${place}: the store says that its list of objects has a next page, but gives ${said}; check the store and the network`
    throw new DestinationError('destination', message, { destination: place })
  }

  const list = async function* (prefix: string, passed: readonly KeyRange[] = []): AsyncGenerator<StoredObject> {
    let place: Readonly<Record<string, string>> | undefined = {}
    let skips = true
    while (place !== undefined) {
      const query: Record<string, string> = { 'list-type': '2', prefix: `${root}${prefix}`, ...place }
      const page = Buffer.from((await client.send({ method: 'GET', key: '', query })).body).toString()
      const keys: string[] = []
      for (const entry of elements(page, 'Contents')) {
        const key = element(entry, 'Key') ?? ''
        if (!key.startsWith(root)) continue
        keys.push(key.slice(root.length))
        yield { key: key.slice(root.length), bytes: Number(element(entry, 'Size')) }
      }
      const token = element(page, 'IsTruncated') === 'true' ? nextToken(page, query['continuation-token']) : undefined
      const last = keys.at(-1)
      const after = query['start-after']
      // A store that ignores the parameter starts from the beginning. Do not ask it to skip again.
      if (after !== undefined && keys[0] !== undefined && `${root}${keys[0]}` <= after) skips = false
      const range = skips && last !== undefined ? passed.find(one => inRange(one, last) && last !== one.to) : undefined
      if (token === undefined) place = undefined
      else place = range === undefined ? { 'continuation-token': token } : { 'start-after': `${root}${range.to}` }
    }
  }

  return {
    place,
    stagingDir: staging,
    async put(key, content, { onlyIfAbsent = false } = {}) {
      if (!(content instanceof Uint8Array) && content.bytes > PART_BYTES && !onlyIfAbsent) {
        await multipart(`${root}${key}`, content)
      } else {
        const body = content instanceof Uint8Array ? content : await readFile(content.path)
        const answer = await client.send({
          method: 'PUT',
          key: `${root}${key}`,
          headers: { ...checked(body), ...(onlyIfAbsent ? { 'if-none-match': '*' } : {}) },
          body,
          expected: onlyIfAbsent ? [412] : [],
        })
        // The existing object may come from our own attempt whose answer was lost.
        if (answer.status === 412) return Buffer.from((await get(key)) ?? []).equals(body)
      }
      if (!(content instanceof Uint8Array)) await rm(content.path, { force: true })
      return true
    },
    // An object appears only as a whole.
    clearDrafts: async () => {},
    get,
    async borrow(objects) {
      const folder = await mkdtemp(join(await staging(), 'read-'))
      const dispose = async (): Promise<void> => await rm(folder, { recursive: true, force: true })
      try {
        const paths = await mapLimited(objects, TRANSFERS_AT_ONCE, async ({ key, bytes }, index) => {
          const path = join(folder, `${index}-${basename(key).slice(-60)}`)
          const request = { method: 'GET', key: `${root}${key}`, expected: [404], bytes } as const
          const { status } = await client.receive(request, async body => {
            const file = createWriteStream(path)
            await pipeline(body, file)
            return file.bytesWritten
          })
          return status === 404 ? undefined : path
        })
        const found = paths.filter(path => path !== undefined)
        if (found.length === objects.length) return { paths: found, [Symbol.asyncDispose]: dispose }
      } catch (error) {
        await dispose()
        throw error
      }
      await dispose()
      return undefined
    },
    list,
    async *keys(prefix, passed) {
      for await (const { key } of list(prefix, passed)) yield key
    },
    remove,
    async abandon(keys) {
      if (keys.length > 0) await abortUploads(new Set(keys.map(key => `${root}${key}`)))
      await remove(keys)
    },
    async close() {
      if (temporary !== undefined) await rm(await temporary, { recursive: true, force: true })
      await client.close()
    },
  }
}
