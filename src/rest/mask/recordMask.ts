import type { Span } from '../../json/bytes.js'
import { type MaskOptions, maskBytes } from './maskBytes.js'
import { type MaskModel, maskDigest, maskHash } from './maskHash.js'

/** The mask of a resource, ready for use. */
export interface RecordMask {
  readonly digest: string
  /** The text with masked values. `paths` notes for each path of the mask whether it led to anything yet. */
  apply(bytes: Uint8Array, root: Span, places: RecordPlaces, paths: Map<string, boolean> | undefined): Uint8Array
}

/** Where records begin in a text, and whether that is a guess. */
type RecordPlaces = Pick<MaskOptions, 'records' | 'isGuess'>

/** `nulls`: texts that stand for null. */
export function recordMask(model: MaskModel, nulls?: readonly string[]): RecordMask {
  const { rules } = model
  const hash = maskHash(model)
  return {
    digest: maskDigest(model),
    apply(bytes, root, places, paths) {
      for (const { path } of rules) if (paths?.has(path) === false) paths.set(path, false)
      return maskBytes(bytes, root, { rules, hash, nulls, ...places, met: ({ path }) => paths?.set(path, true) })
    },
  }
}
