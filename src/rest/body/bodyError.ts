/** A body that is not what its format says. `format` is what it should be, for people: `CSV`, `XML`. */
export class BodyFormatError extends SyntaxError {
  readonly format: string

  constructor(format: string, problem: string) {
    super(problem)
    this.name = 'BodyFormatError'
    this.format = format
  }
}
