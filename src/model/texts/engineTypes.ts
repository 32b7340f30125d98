/** What kind of values a column has, by the name that an engine gives its type. */

export function isNumberType(type: string): boolean {
  return /^(u?(tiny|small|big|huge)?int|integer|decimal|numeric|double|float|real)/i.test(type)
}

/** Dates, moments and times of day. */
export function isTimeType(type: string): boolean {
  return /^(date|time)/i.test(type)
}
