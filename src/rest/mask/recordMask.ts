import type { Span } from '../../json/bytes.js'
import { maskBytes } from './maskBytes.js'
import { type MaskModel, maskDigest, maskHash } from './maskHash.js'

/** The mask of a resource, ready for use. */
export interface RecordMask {
  readonly digest: string
  /**
   * The text with masked values. `records`: where records begin in it. `paths` notes for each path of the mask whether
   * it led to anything yet.
   */
  apply(bytes: Uint8Array, root: Span, records: readonly number[], paths: Map<string, boolean> | undefined): Uint8Array
}

/** `nulls`: texts that stand for null. */
export function recordMask(model: MaskModel, nulls?: readonly string[]): RecordMask {
  const { rules } = model
  const hash = maskHash(model)
  return {
    digest: maskDigest(model),
    apply(bytes, root, records, paths) {
      for (const { path } of rules) if (paths?.has(path) === false) paths.set(path, false)
      return maskBytes(bytes, root, { rules, hash, nulls, records, met: ({ path }) => paths?.set(path, true) })
    },
  }
}
