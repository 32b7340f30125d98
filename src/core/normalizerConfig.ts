import type { JsonObject } from './json.js'
import { isJsonObject, objectMember, withoutMember } from './jsonObject.js'
import type { ReadonlySchema, Schema } from './schema.js'

/** `normalizers.json.config` of the schema; empty where there is none. */
export function normalizerConfig(schema: Pick<ReadonlySchema, 'normalizers'>): JsonObject {
  return objectMember(objectMember(schema.normalizers, 'json'), 'config') ?? {}
}

/** Replaces `normalizers.json.config`; an empty one is left out of the document. */
export function setNormalizerConfig(schema: Schema, config: JsonObject): void {
  const json = isJsonObject(schema.normalizers.json) ? schema.normalizers.json : {}
  const next = Object.keys(config).length === 0 ? withoutMember(json, 'config') : { ...json, config }
  schema.normalizers = { ...schema.normalizers, json: next }
}
