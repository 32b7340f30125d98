import { nodeCrypto } from '../../model/runtime/nodeCrypto.js'
import { reveal, type Secret } from '../../model/secrets/secret.js'
import { type MaskRule, ruleBelow } from './maskRules.js'

/** What a resource masks, as its document says. */
export interface MaskModel {
  readonly rules: readonly MaskRule[]
  /** The key of `hash`. Absent if nothing is hashed. */
  readonly salt?: Secret | undefined
}

/** The part of a mask that holds for the elements of a list inside the record. Undefined: they stay as they are. */
export function maskBelow(mask: MaskModel | undefined, names: readonly string[]): MaskModel | undefined {
  const rules = mask?.rules.flatMap(rule => ruleBelow(rule, names) ?? []) ?? []
  return rules.length === 0 ? undefined : { ...mask, rules }
}

/** HMAC-SHA256 with the salt, in hexadecimal digits. Equal texts have equal hashes in every run with that salt. */
export function maskHash({ salt }: MaskModel): (text: string) => string {
  if (salt === undefined) return unsalted
  const key = Buffer.from(reveal(salt))
  return text => nodeCrypto().createHmac('sha256', key).update(text).digest('hex')
}

function unsalted(): never {
  throw new TypeError('unreachable: a mask that hashes has a salt')
}

/** A shorter salt could be guessed, and then the texts too. */
export const SHORTEST_SALT = 16

export function isShortSalt(salt: Secret): boolean {
  return reveal(salt).length < SHORTEST_SALT
}

/** Changes whenever values are masked differently. Says nothing about the salt but whether it is the same. */
export function maskDigest(mask: MaskModel): string {
  const rules = mask.rules.map(({ text, kind }) => [text, kind])
  const salt = mask.salt === undefined ? '' : maskHash(mask)('the salt of a mask')
  return nodeCrypto()
    .createHash('sha256')
    .update(JSON.stringify([rules, salt]))
    .digest('hex')
    .slice(0, 32)
}
