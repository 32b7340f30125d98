import type { Command, OptionValues } from 'commander'

/** How a command was called. */
interface Called {
  readonly args: readonly string[]
  readonly options: OptionValues
}

/** Options that mean something only beside others, or only without them. */
interface Rule {
  /** As the parser names them. */
  readonly options: readonly string[]
  readonly isIdle: (called: Called) => boolean
  /** What the options belong to, and what to type instead. */
  readonly why: string
}

/** Why an option of a command line would have no effect. Undefined if each has one. Nobody may think that it was heard. */
export function idleOption(command: Command): string | undefined {
  const called: Called = { args: command.args, options: command.opts() }
  for (const { options, isIdle, why } of RULES[command.name()] ?? []) {
    const given = options.find(name => called.options[name] !== undefined && called.options[name] !== false)
    if (given !== undefined && isIdle(called)) {
      const { long } = command.options.find(option => option.attributeName() === given) ?? {}
      return `option '${long ?? given}' ${why}`
    }
  }
  return undefined
}

const isFile = (name = ''): boolean => /\.(ya?ml|json|[cm]?[jt]s)$/i.test(name)

/** Whoever is asked for the authentication gets the rest of the answer from the option. */
const isOtherAuth = ({ options: { auth, url } }: Called, type: string): boolean =>
  auth === undefined ? url !== undefined : auth !== type

const ONE_RECORDING: Rule = {
  options: ['recording'],
  isIdle: ({ args }) => args.length > 1,
  why: 'names the recording of one pipeline file; name that file alone, or leave it out',
}

const ONE_FORMAT: Rule = {
  options: ['csv'],
  isIdle: ({ options }) => options.json === true,
  why: 'has no effect beside --json; leave one of both out',
}

const OF_CSV: Rule = {
  options: ['bom', 'separator'],
  isIdle: ({ options }) => options.csv !== true,
  why: 'belongs to --csv; add that, or leave it out',
}

const RULES: Readonly<Record<string, readonly Rule[]>> = {
  init: [
    {
      options: ['auth', 'authName', 'authLocation', 'username', 'secretName', 'destination', 'out'],
      isIdle: ({ options }) => options.add !== undefined,
      why: 'belongs to a new file, and --add takes what the file has; leave one of both out',
    },
    {
      options: ['authName', 'authLocation'],
      isIdle: called => isOtherAuth(called, 'api_key'),
      why: 'belongs to --auth api_key; add that, or leave it out',
    },
    {
      options: ['username'],
      isIdle: called => isOtherAuth(called, 'http_basic'),
      why: 'belongs to --auth http_basic; add that, or leave it out',
    },
  ],
  import: [
    {
      options: ['tag', 'path'],
      isIdle: ({ args }) => args[0] !== 'openapi',
      why: 'belongs to `sluice import openapi`; leave it out',
    },
  ],
  test: [ONE_RECORDING],
  drift: [ONE_RECORDING],
  show: [
    ONE_FORMAT,
    OF_CSV,
    {
      options: ['limit'],
      isIdle: ({ args }) => args.length < 2,
      why: 'belongs to the rows of a table; name the table behind the file, or leave it out',
    },
  ],
  query: [
    ONE_FORMAT,
    OF_CSV,
    {
      options: ['out'],
      isIdle: ({ options }) => options.csv !== true && options.json !== true && options.parquet === undefined,
      why: 'belongs to --csv or --json; add one of both, or leave it out',
    },
    {
      options: ['out'],
      isIdle: ({ options }) => options.interactive === true,
      why: 'takes the rows of one statement; leave it or --interactive out',
    },
    {
      options: ['json', 'csv', 'out', 'limit', 'interactive'],
      isIdle: ({ options }) => options.parquet !== undefined,
      why: 'belongs to rows that are printed, and --parquet writes all rows of one statement into a file; leave one of both out',
    },
    {
      options: ['interactive'],
      isIdle: ({ args }) => args.length > 1,
      why: 'reads statements from the standard input; leave it or the statement out',
    },
  ],
  history: [
    {
      options: ['failed'],
      isIdle: ({ args }) => args.length > 1,
      why: 'lists runs that left no load; leave it or the load out',
    },
    {
      options: ['limit'],
      isIdle: ({ args }) => args.length > 1,
      why: 'belongs to the list of loads; leave it or the load out',
    },
  ],
  backfill: [
    {
      options: ['parallel', 'partition', 'claimTimeout', 'retryFailed'],
      isIdle: ({ options }) => options.status === true,
      why: 'belongs to a backfill that loads; --status loads nothing: leave one of both out',
    },
    {
      options: ['claimTimeout'],
      isIdle: ({ options }) => options.partition === undefined,
      why: 'has a meaning only with --partition; add that, or leave it out',
    },
  ],
  submit: [
    {
      options: ['select', 'fullRefresh', 'limit'],
      isIdle: ({ options }) => options.backfill !== undefined,
      why: 'belongs to a run, and --backfill submits a backfill; leave one of both out',
    },
    {
      options: ['from', 'to', 'step', 'newestFirst', 'parallel'],
      isIdle: ({ options }) => options.backfill === undefined,
      why: 'belongs to a backfill, and this is a run; add --backfill RESOURCE, or leave it out',
    },
    {
      options: ['pipeline'],
      isIdle: ({ args }) => !isFile(args[0]),
      why: 'selects a pipeline of a file, and no file is named; leave it out',
    },
  ],
  doctor: [
    {
      options: ['request', 'notify', 'destination', 'dataset', 'profile'],
      isIdle: ({ args }) => args.length === 0,
      why: 'belongs to the check of a pipeline file; name the file, or leave it out',
    },
  ],
}
