/** Text of a source, and its name in messages. */
export interface ImportText {
  readonly text: string
  /** As the user named it: a path, an address, or `-` for the standard input. */
  readonly file?: string | undefined
}

/** What an importer gets. */
export interface ImportInput extends ImportText {
  /** Other files that belong to the source, as the environment of a Postman collection. */
  readonly more?: readonly ImportText[] | undefined
  /** Name of the pipeline. Default: one that the source suggests. */
  readonly name?: string | undefined
  /** Only operations with one of these tags. */
  readonly tags?: readonly string[] | undefined
  /** Only paths that begin so. */
  readonly paths?: readonly string[] | undefined
}

/**
 * Reads a source and says what it becomes. Sends nothing and executes nothing. Throws a ConfigError (`fileError`) for a
 * source that is none of its kind.
 */
export type Importer = (input: ImportInput) => Imported | Promise<Imported>

/**
 * Most lists of one document. The largest description of an API that is known has 3,322. Each takes time and memory, and
 * hundreds of lines of the file.
 */
export const MOST_LISTS = 5_000

/** Where in the source a note belongs: a line of a text, or a path in a file of data. */
export interface SourcePlace {
  /** 1-based. */
  readonly line?: number | undefined
  /** For example `paths./v1/users.get` or `log.entries[12]`. */
  readonly path?: string | undefined
}

/**
 * What the report of an import says of one thing in the source.
 *
 * - `taken`: the document says the same.
 * - `assumed`: the source does not say it; the document holds the usual value.
 * - `open`: the document cannot say it, or the source leaves it out.
 */
export interface ImportNote {
  readonly kind: 'taken' | 'assumed' | 'open'
  /** The resource it is about; without one it is about the whole source. */
  readonly resource?: string | undefined
  readonly place?: SourcePlace | undefined
  /** One short sentence for the user, without secrets. */
  readonly text: string
  /** Key path in the document, for a comment beside that key: `source.client.paginator`. */
  readonly target?: string | undefined
  /** For `open`: a run cannot begin before somebody has decided this. */
  readonly stopsRun?: boolean | undefined
}

/** A secret that a document refers to, without its value. */
export interface ImportedSecret {
  /** As in `${secrets.NAME}`. */
  readonly name: string
  /** What it is, for the report: `query parameter api_key`. */
  readonly what: string
}

/** One pipeline file to be. */
export interface ImportedPipeline {
  /** Name of the pipeline, and of the file without its ending. */
  readonly name: string
  /**
   * A pipeline document as data: `source`, and `destination` and `dataset` where the source says them. Secrets are
   * references.
   */
  readonly document: Readonly<Record<string, unknown>>
  readonly notes: readonly ImportNote[]
  readonly secrets: readonly ImportedSecret[]
}

/** Something in the source that does not become a resource, and why. */
export interface LeftOut {
  readonly what: string
  readonly place?: SourcePlace | undefined
  readonly why: string
}

/** What an importer makes of one source. Without a pipeline, `leftOut` says why. */
export interface Imported {
  readonly pipelines: readonly ImportedPipeline[]
  readonly leftOut: readonly LeftOut[]
}
