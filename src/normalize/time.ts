/** What an ISO text says. `days` since 1970-01-01, `micros` since midnight, both as written; offset undefined: none given. */
export type IsoValue =
  | {
      readonly kind: 'timestamp'
      readonly days: number
      readonly micros: number
      readonly offsetSeconds: number | undefined
    }
  | { readonly kind: 'date'; readonly days: number }
  | { readonly kind: 'time'; readonly micros: number; readonly offsetSeconds: number | undefined }

export declare function parseIso(text: string): IsoValue | undefined
/** Kind of an ISO text, by grammar alone. */
export declare function detectIso(text: string): 'timestamp' | 'date' | 'time' | undefined
/** Microseconds since 1970-01-01T00:00:00Z of an ISO timestamp (not of a date); without an offset it is UTC. */
export declare function isoTimestampMicros(text: string): bigint | undefined
/** Days since 1970-01-01 of an ISO date (not of a timestamp). */
export declare function isoDateDays(text: string): number | undefined
/** Microseconds since midnight of an ISO time, in UTC. */
export declare function isoTimeMicros(text: string): number | undefined
/** Result of the last `isoMicrosAt` that returned true: low and high half of the i64. */
export declare const isoMicros: Int32Array
/** ISO timestamp (not a date) in `bytes[at, end)`, its microseconds in UTC go to {@link isoMicros}. Nothing is allocated. */
export declare function isoMicrosAt(bytes: Uint8Array, at: number, end: number): boolean
/** `2024-01-02T03:04:05.000006+00:00`; fraction left out when 0; `timezone: false` leaves out the offset. */
export declare function formatTimestamp(micros: bigint, options?: { readonly timezone?: boolean | undefined }): string
export declare function formatDate(days: number): string
export declare function formatTime(micros: number | bigint): string
/** Epoch seconds as Python's `fromtimestamp` rounds them; undefined outside of years 1 to 9999. */
export declare function epochMicros(seconds: number): bigint | undefined
