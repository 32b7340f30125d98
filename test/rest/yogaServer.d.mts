export interface Bucket {
  /** Takes the cost of a query out of the bucket; false if it does not hold as much. */
  take(): boolean
  /** The member `extensions.cost` of the answer. */
  told(): object
}

export function yogaServer(options: {
  readonly orders: readonly number[]
  readonly bucket?: Bucket
  readonly budget?: () => object
}): Promise<{
  readonly origin: string
  /** The variables of each query. */
  readonly asked: readonly Readonly<Record<string, unknown>>[]
  close(): Promise<void>
}>
