import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { mkdir, rename, stat } from 'node:fs/promises'
import { dirname } from 'node:path'

/**
 * Feedback records of about 500 bytes: two nested objects, a list of objects, a list of texts, some nulls. `version`
 * changes values, not keys, so that a file of a later version holds changes of the same records.
 */
export function feedbackRecord(id: number, version = 0): string {
  const seed = mixed(id * 31 + version)
  const replies: string[] = []
  for (let index = 0; index < seed % 3; index++) {
    const one = mixed(seed + index)
    replies.push(
      `{"author":"${NAMES[one % 8]}","at":"${timestamp(one)}","text":"${WORDS[one % 16]} ${WORDS[(one >>> 4) % 16]}","likes":${one % 40}}`,
    )
  }
  const tags = Array.from({ length: 1 + (seed % 3) }, (_, index) => `"${WORDS[(seed >>> (index + 2)) % 16]}"`)
  const rating = seed % 11 === 0 ? 'null' : String(1 + (seed % 5))
  return `{"id":${id},"created_at":"${timestamp(seed)}","updated_at":"${timestamp(seed + 977 + version)}","status":"${STATUS[seed % 3]}","rating":${rating},"score":${((seed % 10_000) / 10_000).toFixed(4)},"resolved":${seed % 2 === 0},"message":"${sentence(seed)}","customer":{"id":${seed % 50_000},"name":"${NAMES[seed % 8]}","plan":"${PLANS[seed % 3]}"},"device":{"os":"${SYSTEMS[seed % 4]}","version":"${seed % 9}.${seed % 13}"},"replies":[${replies.join(',')}],"tags":[${tags.join(',')}]}`
}

/** A sparse record: `columns` possible keys besides the id, of five types, of which about 28 in 100 are there. */
export function wideRecord(id: number, columns = 200): string {
  let text = `{"id":${id}`
  let seed = mixed(id)
  for (let column = 0; column < columns; column++) {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0
    if ((seed >>> 16) % 100 >= 28) continue
    text += `,"column_${column}":`
    const value = seed >>> 8
    const kind = column % 5
    if (kind === 0) text += value % 100_000
    else if (kind === 1) text += `"${WORDS[value % 16]} ${value % 1000}"`
    else if (kind === 2) text += ((value % 100_000) / 1000 + 0.0005).toFixed(4)
    else if (kind === 3) text += value % 2 === 0
    else text += `"${timestamp(value)}"`
  }
  return `${text}}`
}

/** Writes one record a line, unless a file of that name is there; resolves to its size. */
export async function writeRecords(
  path: string,
  ids: Iterable<number>,
  record: (id: number) => string,
): Promise<number> {
  const existing = await stat(path).catch(() => undefined)
  if (existing !== undefined) return existing.size
  await mkdir(dirname(path), { recursive: true })
  const file = createWriteStream(`${path}.part`)
  let part: string[] = []
  for (const id of ids) {
    part.push(record(id))
    if (part.length < 2000) continue
    if (!file.write(`${part.join('\n')}\n`)) await once(file, 'drain')
    part = []
  }
  if (part.length > 0) file.write(`${part.join('\n')}\n`)
  file.end()
  await once(file, 'close')
  await rename(`${path}.part`, path)
  return (await stat(path)).size
}

/** Ids 1 to `count`. */
export function* idsUpTo(count: number): Iterable<number> {
  for (let id = 1; id <= count; id++) yield id
}

/** A number without visible order, the same for the same value. */
export function mixed(value: number): number {
  let x = (value ^ 0x9e3779b9) >>> 0
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b) >>> 0
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35) >>> 0
  return (x ^ (x >>> 16)) >>> 0
}

function two(value: number): string {
  return value < 10 ? `0${value}` : String(value)
}

function timestamp(seed: number): string {
  const day = (seed >>> 3) % 28
  const minute = (seed >>> 7) % 60
  return `202${seed % 6}-${two(1 + ((seed >>> 5) % 12))}-${two(day + 1)}T${two((seed >>> 9) % 24)}:${two(minute)}:${two((seed >>> 11) % 60)}.${two(seed % 100)}0Z`
}

function sentence(seed: number): string {
  let text = ''
  let rest = seed
  for (let word = 0; word < 12; word++) {
    text += `${word === 0 ? '' : ' '}${WORDS[rest & 15]}`
    rest = Math.imul(rest, 69_069) + 1
    rest = (rest ^ (rest >>> 15)) >>> 0
  }
  return seed % 17 === 0 ? `${text} \\"quoted\\" \\u00e9` : text
}

const NAMES = ['Ada Byron', 'Grace Hopper', 'Zoë Müller', 'Linus T.', 'Margaret H.', 'Ken', 'Barbara Liskov', '李雷']
const STATUS = ['open', 'closed', 'pending']
const PLANS = ['free', 'team', 'enterprise']
const SYSTEMS = ['ios', 'android', 'windows', 'linux']
export const WORDS = [
  'export',
  'button',
  'crash',
  'login',
  'slow',
  'great',
  'invoice',
  'dashboard',
  'please',
  'search',
  'missing',
  'colour',
  'mobile',
  'update',
  'team',
  'calendar',
]
