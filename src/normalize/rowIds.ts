/** Characters of a generated row id: 10 bytes in base64 without padding. */
export const ROW_ID_LENGTH = 14
/** Bytes of a generated row id in a text column: u32 length, 14 ASCII characters. */
export const ROW_ID_STRIDE = 18

/** Writes `count` random row ids as values of a text column (u32 length, characters; 18 bytes each) to `out` from `at`. */
export declare function randomIds(count: number, out: Uint8Array, at?: number): void
/** Id of a nested row. */
export declare function nestedId(parent: string, table: string, index: number): string
/**
 * Ids of `count` nested rows of a table. `parents`: text column (u32 length, bytes per value) with each row's parent id;
 * `indexes`: list indexes, as i64 column or as i32. Written to `out` as text column, 18 bytes each.
 */
export declare function nestedIds(
  parents: Uint8Array,
  table: string,
  indexes: BigInt64Array | Int32Array,
  count: number,
  out: Uint8Array,
): void
/** `row_hash` and `key_hash`: id made from canonical JSON. */
export declare function rowHash(canonical: string): string
