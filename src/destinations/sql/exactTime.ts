/** The time in ISO form, with all the digits of a second that the engine's text of it has: at least three. */
export function exactTime(time: Date, text: string): string {
  const [, digits = ''] = /\.(\d+)/.exec(text) ?? []
  return time.toISOString().replace(/\.\d+Z$/, `.${digits.padEnd(3, '0')}Z`)
}
