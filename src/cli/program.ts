import { Argument, Command, CommanderError, Help, InvalidArgumentError, Option } from 'commander'
import type { ImportKind } from '../import/importers.js'
import type { CommandContext } from './commands/command.js'
import { completionScript, SHELLS, type Shell } from './completion.js'
import type { ExitCode } from './failure.js'
import { idleOption } from './idleOptions.js'
import { meantInstead } from './misplacedWords.js'
import { type Output, widthOf } from './terminal/terminal.js'

interface Versioned {
  readonly version: string
}

/**
 * Runs one command line (without `node` and the script). Never throws and never ends the process. It reports every
 * error on `context.terminal.err` and in the exit code.
 */
export async function sluice(
  args: readonly string[],
  { typedAs = 'sluice', ...rest }: Omit<CommandContext, 'typedAs'> & Partial<CommandContext> & Versioned,
): Promise<ExitCode> {
  const context = { ...rest, typedAs }
  const meant = await meantInstead(args, IMPORT_KINDS)
  if (meant !== undefined) {
    await tellRefusal(`error: ${meant}`, context.terminal.err)
    return 2
  }
  let exitCode: ExitCode = 0
  let refusal = ''
  const program = commands(
    context,
    code => {
      exitCode = code
    },
    text => {
      refusal += text
    },
  )
  try {
    await program.parseAsync(filesFirst(helpOf(args, program)), { from: 'user' })
    return exitCode
  } catch (error) {
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return 0
      if (refusal !== '') await tellRefusal(refusal.trimEnd(), context.terminal.err)
      return 2
    }
    const { reportFailure } = await import('./failure.js')
    return reportFailure(error, context.terminal.err, { typedAs, debug: args.includes('--debug') })
  }
}

async function tellRefusal(text: string, err: Output): Promise<void> {
  const { wrapped } = await import('./terminal/printable.js')
  for (const line of text.split('\n')) for (const part of wrapped(line, widthOf(err), 2)) err.line(part)
  err.line('(--help lists commands and options)')
}

/** `help nope` is said of `nope` what is said of an unknown command, with the one that was meant. */
function helpOf(args: readonly string[], { commands }: Command): readonly string[] {
  const [first, name] = args
  const isUnknown = first === 'help' && name !== undefined && !/^-|^help$/.test(name)
  return isUnknown && commands.every(command => command.name() !== name) ? [name] : args
}

/**
 * `--select`, `--reset` and `--mask` take every name that follows them. A pipeline file among these names, and what comes after it,
 * is put in front of the options.
 */
function filesFirst([command, ...args]: readonly string[]): string[] {
  if (command === undefined) return []
  const moved: string[] = []
  const kept: string[] = []
  let isList = false
  let isBehindFile = false
  for (const argument of args) {
    if (argument.startsWith('-')) {
      isList = argument === '--select' || argument === '--reset' || argument === '--resource' || argument === '--mask'
      isBehindFile = false
    }
    isBehindFile ||= isList && /\.(ya?ml|json|[cm]?[jt]s)$|[/\\]/i.test(argument)
    ;(isBehindFile ? moved : kept).push(argument)
  }
  return [command, ...moved, ...kept]
}

/** Every command: its arguments are here, its work is in its own file, which is loaded on call. */
function commands(
  context: CommandContext & Versioned,
  exit: (code: ExitCode) => void,
  refuse: (text: string) => void,
): Command {
  const { out, err } = context.terminal
  const program = new Command('sluice')
    .description('Loads REST APIs into typed tables.')
    .version(context.version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .commandsGroup(HELPING)
    .helpCommand('help [command]', 'print the help of a command')
    .exitOverride()
    .configureOutput({
      writeOut: text => out.write(text),
      writeErr: text => err.write(text),
      getOutHelpWidth: () => out.columns(),
      getErrHelpWidth: () => err.columns(),
      outputError: refuse,
    })
    .hook('preAction', (_, called) => {
      const idle = idleOption(called)
      if (idle !== undefined) called.error(`error: ${idle}`)
    })
    // Otherwise lines as wide as the terminal are not wrapped at all beside long names of commands.
    .configureHelp({
      minWidthToWrap: 20,
      subcommandTerm: each => new Help().subcommandTerm(each).replace(' [options]', ''),
    })
    .addHelpText('after', START)
    .addHelpText('after', EXIT_CODES)

  const called = { context, exit }
  draftCommands(program, called)
  loadCommands(program, called)
  recordingCommands(program, called)
  fileCommands(program, called)
  rowCommands(program, called)
  rangeCommands(program, called)
  serverCommands(program, called)
  jobCommands(program, called)
  datasetCommands(program, called)
  helpCommands(program, called)
  return program
}

/** What the commands are given, and where their exit codes go. */
interface CommandCall {
  readonly context: CommandContext & Versioned
  readonly exit: (code: ExitCode) => void
}

function draftCommands(program: Command, { context, exit }: CommandCall): void {
  command(program, 'init')
    .description('read the first pages of a list, write a pipeline file, and prove it; asks for missing values')
    .option('--add <file>', 'add the list to this pipeline file of the same API, with its client and credentials')
    .option('--url <url>', 'address of the list with its query; asked for on a terminal')
    .addOption(new Option('--auth <type>', 'how the API authenticates requests').choices(AUTH_TYPES))
    .option('--auth-name <name>', 'api_key: name of the header, parameter or cookie')
    .addOption(new Option('--auth-location <place>', 'api_key: where it goes').choices(['header', 'query', 'cookie']))
    .option('--username <name>', 'http_basic: the user name')
    .option('--secret-name <name>', 'name of the secret, as in api_key')
    .option('--name <name>', 'name of pipeline and resource')
    .option('--destination <url>', 'destination to load into, as in duckdb:PATH')
    .option('--out <file>', 'file to write; default: <name>.yaml; an existing file is kept')
    .option('--no-prove', 'write the draft, and leave out the proof of at most 12 further requests')
    .action(async ({ add, ...options }) => {
      if (add !== undefined) {
        const { addCommand } = await import('./commands/file/addResource.js')
        return exit(await addCommand(add, options, context))
      }
      const { initCommand } = await import('./commands/file/init.js')
      exit(await initCommand(options, context))
    })

  command(program, 'import')
    .description('write a pipeline file from a file of another tool; sends no request to the API')
    .addArgument(new Argument('<kind>', 'what the source is').choices(IMPORT_KINDS))
    .argument(
      '<source...>',
      "files or addresses, - for the standard input; for curl also the line itself, as in 'curl …'",
    )
    .option('--out <path>', 'file to write, or a folder for several; default: <name>.yaml; an existing file is kept')
    .option('--name <name>', 'name of the pipeline')
    .option('--destination <url>', 'destination to load into, as in duckdb:PATH')
    .option('--tag <tag>', 'openapi: only operations with this tag; may be repeated', gathered)
    .option('--path <path>', 'openapi: only paths that begin so; may be repeated', gathered)
    .option('--json', 'print the report as one line of JSON')
    .action(async (kind: ImportKind, sources: string[], options) => {
      const { importCommand } = await import('./commands/file/import.js')
      exit(await importCommand(kind, sources, options, context))
    })
}

function loadCommands(program: Command, { context, exit }: CommandCall): void {
  ofFile(command(program, 'run'))
    .description('load every resource and commit it')
    .argument('<file...>', 'pipeline files (YAML, JSON or TypeScript), or folders of YAML and JSON files')
    .option('--destination <url>', 'load into this destination, as in duckdb:PATH')
    .option('--dataset <name>', 'load into this dataset')
    .option('--select <resource...>', 'only these resources')
    .option('--limit <pages>', 'stop after so many pages of each list', wholeNumber)
    .option('--concurrency <requests>', 'most requests at a time; 1 sends one after the other', wholeNumber)
    .option('--full-refresh', 'drop the tables and the state of the resources first')
    .option('--allow-incomplete', 'commit although something is missing')
    .option('--keep-journal', 'keep every answer of the API on disk, for `sluice replay`')
    .option('--no-resume', 'do not resume an interrupted run: request all pages again')
    .option('--fail-fast', 'with several files: stop all when one fails')
    .option('--json', 'print every event as one line of JSON')
    .option('--verbose', 'log every event, with each request, retry, wait and statement (or SLUICE_DEBUG=1)')
    .action(async (files: string[], options) => {
      const { runCommand } = await import('./commands/load/run.js')
      exit(await runCommand(files, options, context))
    })

  ofFile(command(program, 'replay'))
    .description('load the answers of a kept journal again; sends no request to the API')
    .argument('<file>', 'pipeline file')
    .argument('[load]', 'id of the load; the newest with a journal if not said')
    .option('--destination <url>', 'load into this destination, as in duckdb:PATH')
    .option('--dataset <name>', 'load into this dataset')
    .option('--select <resource...>', 'only these resources')
    .option('--full-refresh', 'drop the tables and the state of the resources first')
    .option('--allow-incomplete', 'commit although something is missing')
    .option('--json', 'print every event as one line of JSON')
    .option('--verbose', 'log every event, with each request, retry, wait and statement (or SLUICE_DEBUG=1)')
    .action(async (file: string, load: string | undefined, options) => {
      const { replayCommand } = await import('./commands/load/replay.js')
      exit(await replayCommand(file, load, options, context))
    })
}

function recordingCommands(program: Command, { context, exit }: CommandCall): void {
  ofFile(command(program, 'record'))
    .description('record what the pipeline asks of its API into a small file without secrets; loads nothing')
    .argument('<file>', 'pipeline file')
    .option('--out <file>', 'file to write; default: <file>.recording.warc beside the pipeline file')
    .option('--pages <pages>', 'most pages of each list; default: 2', wholeNumber)
    .option('--parents <lists>', 'most lists of each child resource; default: 3', wholeNumber)
    .option('--mask <path...>', 'mask the values at these paths in every resource')
    .action(async (file: string, options) => {
      const { recordCommand } = await import('./commands/recording/record.js')
      exit(await recordCommand(file, options, context))
    })

  ofFile(command(program, 'test'))
    .description('run the pipeline on its recording, without network and secrets, and compare what it loads')
    .argument('<file...>', 'pipeline files, or folders of them')
    .option('--update', 'write what is loaded now as what is expected')
    .option('--faults', 'also let the recorded API fail, and expect the same tables')
    .option('--recording <file>', 'the recording; default: the one beside the pipeline file')
    .option('--json', 'print one line of JSON for each pipeline')
    .action(async (files: string[], options) => {
      const { testCommand } = await import('./commands/recording/test.js')
      exit(await testCommand(files, options, context))
    })

  command(program, 'serve')
    .description('serve a recording as an API on 127.0.0.1, until Ctrl-C')
    .argument('<recording>', 'a file that `sluice record` wrote')
    .option('--port <port>', 'port; default: a free one', wholeNumber)
    .option('--auth', 'answer requests without any credential with 401')
    .option('--faults', 'let each request fail once')
    .action(async (recording: string, options) => {
      const { serveCommand } = await import('./commands/recording/serve.js')
      exit(await serveCommand(recording, options, context))
    })

  ofFile(command(program, 'drift'))
    .description(
      'compare one page of each list as it is now with the recording, the lock and what was loaded; loads nothing',
    )
    .argument('<file...>', 'pipeline files, or folders of them')
    .option('--recording <file>', 'the recording; default: the one beside the pipeline file')
    .option('--json', 'print one line of JSON for each pipeline')
    .action(async (files: string[], options) => {
      const { driftCommand } = await import('./commands/recording/drift.js')
      exit(await driftCommand(files, options, context))
    })
}

function fileCommands(program: Command, { context, exit }: CommandCall): void {
  ofFile(command(program, 'check'))
    .description('validate the file, find its secrets, fetch one page of each root resource; writes nothing')
    .argument('<file...>', 'pipeline files, or folders of them')
    .option('--offline', 'only validate the file: no request, no secrets')
    .action(async (files: string[], options) => {
      const { checkCommand } = await import('./commands/file/check.js')
      exit(await checkCommand(files, options, context))
    })

  ofFile(command(program, 'prove'))
    .description('ask the API whether the file is right: pages, total, key, cursor; loads nothing')
    .argument('<file>', 'pipeline file')
    .option('--resource <resource...>', 'only these resources')
    .option('--budget <requests>', 'most requests for a resource; default 12', wholeNumber)
    .option('--write', 'fix a YAML file where the API showed that it is wrong')
    .option('--json', 'print the proof as one line of JSON')
    .action(async (file: string, options) => {
      const { proveCommand } = await import('./commands/file/prove.js')
      exit(await proveCommand(file, options, context))
    })

  ofFile(command(program, 'auth'))
    .description('sign in to the API in a browser, and keep the refresh token for runs')
    .argument('<file>', 'pipeline file')
    .option('--device', 'show a code to enter on another device')
    .option('--no-open', 'only print the address')
    .action(async (file: string, options) => {
      const { authCommand } = await import('./commands/file/auth.js')
      exit(await authCommand(file, options, context))
    })
}

function rowCommands(program: Command, { context, exit }: CommandCall): void {
  ofFile(command(program, 'show'))
    .description('list the tables of the dataset, or show one table with its columns and first rows')
    .argument('<file>', 'pipeline file')
    .argument('[table]', 'table')
    .option('--limit <rows>', 'rows to show; default: 10, with --json and --csv all', wholeNumber)
    .option('--json', 'print one line of JSON for each table, or each row of the table')
    .option('--csv', 'print CSV with a header')
    .addOption(csvMark())
    .addOption(csvSeparator())
    .option('--destination <url>', 'read this destination')
    .option('--dataset <name>', 'read this dataset')
    .action(async (file: string, table: string | undefined, options) => {
      const { showCommand } = await import('./commands/data/show.js')
      exit(await showCommand(file, table, options, context))
    })

  target(command(program, 'query'))
    .description('run a read-only SQL statement and print its rows; without one, read statements from the terminal')
    .argument('<file>', 'pipeline file')
    .argument('[sql]', "the statement, as in 'SELECT count(*) FROM orders'; default: from the standard input")
    .option('--json', 'print one line of JSON for each row')
    .option('--csv', 'print CSV with a header')
    .addOption(csvMark())
    .addOption(csvSeparator())
    .option('--out <file>', 'with --csv or --json: write into this file, in place of one that is there')
    .option('--parquet <file>', 'write the rows into a Parquet file instead, in place of one that is there')
    .option('--limit <rows>', 'rows to print; default: 100 in a table, otherwise all', wholeNumber)
    .option('--interactive', 'read statements one by one from the standard input')
    .action(async (file: string, sql: string | undefined, options) => {
      const { queryCommand } = await import('./commands/data/query.js')
      exit(await queryCommand(file, sql, options, context))
    })

  target(command(program, 'history'))
    .description('list committed loads with their verdicts, or print the receipts of one load')
    .argument('<file>', 'pipeline file')
    .argument('[load]', 'id of the load')
    .option('--limit <loads>', 'loads to list, newest first; default 20', wholeNumber)
    .option('--failed', 'only runs that committed nothing: what failed, was stopped or found nothing new')
    .option('--json', 'print one line of JSON for each load, with its receipts')
    .action(async (file: string, load: string | undefined, options) => {
      const { historyCommand } = await import('./commands/data/history.js')
      exit(await historyCommand(file, load, options, context))
    })

  target(command(program, 'trace'))
    .description('show where a row comes from: load, receipt, request, and its bytes in a kept journal')
    .argument('<file>', 'pipeline file')
    .argument('<table>', 'table')
    .argument('<key...>', 'value of the primary key, a `_dlt_id`, or column=value, once or several times')
    .option('--json', 'print the trace as one line of JSON')
    .action(async (file: string, table: string, key: string[], options) => {
      const { traceCommand } = await import('./commands/data/trace.js')
      exit(await traceCommand(file, { table, key }, options, context))
    })
}

function rangeCommands(program: Command, { context, exit }: CommandCall): void {
  target(command(program, 'backfill'))
    .description('load a range of a cursor in windows, each committed by itself; goes on where it was stopped')
    .argument('<file>', 'pipeline file')
    .requiredOption('--resource <name>', 'the resource to load')
    .option('--from <value>', 'start of the range; default: `initial_value` of the cursor')
    .option('--to <value>', 'end of the range, itself left out; default: `end_value` of the cursor, or now')
    .option('--step <step>', 'width of a window, as in P7D, PT6H or 10000; default: `window.step` of the cursor')
    .option('--newest-first', 'load the newest window first')
    .option('--parallel <windows>', 'windows to read at the same time; their commits take turns', wholeNumber)
    .option('--partition <k/n>', 'be one of n processes that load the range together, on any machines')
    .option(
      '--claim-timeout <seconds>',
      'with --partition: load the window of a process that is not heard of for so long; default 60',
      wholeNumber,
    )
    .option('--retry-failed', 'load only windows that failed before')
    .option('--status', 'show which windows are committed, failed and missing; load nothing')
    .option('--json', 'print every window as a line of JSON')
    .action(async (file: string, options) => {
      const { backfillCommand } = await import('./commands/load/backfill.js')
      exit(await backfillCommand(file, options, context))
    })
}

function serverCommands(program: Command, { context, exit }: CommandCall): void {
  ofFile(command(program, 'studio'))
    .description('serve a page on 127.0.0.1 that shows pipelines, loads and data, until Ctrl-C')
    .argument('[file...]', 'pipeline files, or folders of YAML and JSON files; default: this folder')
    .option('--port <port>', 'port to listen at; default: a free one', wholeNumber)
    .option('--open', 'open the page in the browser')
    .option('--statement-timeout <seconds>', 'stop statements of the page after so long; default: 30', wholeNumber)
    .option('--destination <url>', 'show this destination, as in duckdb:PATH')
    .option('--dataset <name>', 'show this dataset')
    .action(async (files: string[], options) => {
      const { studioCommand } = await import('./commands/studio.js')
      exit(await studioCommand(files, options, context))
    })

  ofFile(command(program, 'mcp'))
    .description('serve pipelines to a coding agent (Model Context Protocol) on the standard input and output')
    .argument('[file...]', 'pipeline files, or folders of YAML and JSON files; default: this folder')
    .option('--allow-run', 'run without the approval of a person')
    .option('--destination <url>', 'read and load into this destination, as in duckdb:PATH')
    .option('--dataset <name>', 'read and load into this dataset')
    .action(async (files: string[], options) => {
      const { mcpCommand } = await import('./commands/mcp.js')
      exit(await mcpCommand(files, { ...options, version: context.version }, context))
    })
}

function jobCommands(program: Command, { context, exit }: CommandCall): void {
  ofFile(command(program, 'worker'))
    .description('serve pipelines as jobs to a Restate server, until Ctrl-C; runs those that have a `schedule`')
    .argument('<file...>', 'pipeline files, or folders of YAML and JSON files')
    .addOption(restate())
    .option('--dev', 'also start a server on this machine, for trials')
    .option('--host <address>', 'address to listen at; default: 127.0.0.1')
    .option(
      '--port <port>',
      'port to listen at; default: 9080. Jobs in flight wait for a worker at the same one',
      portNumber,
    )
    .option('--url <url>', 'address of this worker, or of the load balancer before several, as the server sees it')
    .option('--identity-key <key>', 'public key of the server: refuse whoever else calls; may be repeated', gathered)
    .option('--destination <url>', 'load into this destination, as in duckdb:PATH')
    .option('--dataset <name>', 'load into this dataset')
    .option('--json', 'print what happens as lines of JSON')
    .option('--verbose', 'log every event of every job')
    .action(async (files: string[], options) => {
      const { workerCommand } = await import('./commands/jobs/worker.js')
      exit(await workerCommand(files, options, context))
    })

  command(program, 'submit')
    .description('hand a run or a backfill of a pipeline to the workers of a Restate server')
    .argument('<pipeline>', 'name of the pipeline, or its file')
    .option('--pipeline <name>', 'which one, if the file has several')
    .addOption(restate())
    .option('--ingress <url>', 'where the server takes jobs; default: as the server says')
    .option('--select <resource...>', 'run: only these resources')
    .option('--full-refresh', 'run: drop the tables and the state of the resources first')
    .option('--limit <pages>', 'run: stop after so many pages of each list', wholeNumber)
    .option('--backfill <resource>', 'load a range of this resource in windows')
    .option('--from <value>', 'backfill: start of the range')
    .option('--to <value>', 'backfill: end of the range, itself left out')
    .option('--step <step>', 'backfill: width of a window')
    .option('--newest-first', 'backfill: hand out the newest window first')
    .option('--parallel <windows>', 'backfill: windows to hand out at the same time; default 4', wholeNumber)
    .option('--key <key>', 'name of the job: submitted twice, it is one job')
    .option('--wait', 'wait for the end of the job, and fail if it fails')
    .option('--json', 'print the job, or its result, as one line of JSON')
    .action(async (pipeline: string, options) => {
      const { submitCommand } = await import('./commands/jobs/submit.js')
      exit(await submitCommand(pipeline, options, context))
    })

  command(program, 'jobs')
    .description('list the newest jobs of a Restate server')
    .addOption(restate())
    .option('--limit <jobs>', 'jobs to list; default 20', wholeNumber)
    .option('--json', 'print one line of JSON for each job')
    .action(async options => {
      const { jobsCommand } = await import('./commands/jobs/jobs.js')
      exit(await jobsCommand(options, context))
    })

  command(program, 'cancel')
    .description('stop a job; what it has committed stays')
    .argument('<job>', 'id of the job, as `sluice jobs` lists it')
    .addOption(restate())
    .option('--force', 'end it at once, even if its worker never comes back')
    .action(async (job: string, options) => {
      const { cancelCommand } = await import('./commands/jobs/jobs.js')
      exit(await cancelCommand(job, options, context))
    })
}

function datasetCommands(program: Command, { context, exit }: CommandCall): void {
  const schema = target(command(program, 'schema'))
    .description('print the schema of the last load; or keep it in a lock, and compare')
    .usage('[options] <file>\n       sluice schema lock|diff|accept [options] <file>')
    .argument('<file>', 'pipeline file')
    .addOption(new Option('--format <format>', 'format of the schema').choices(SCHEMA_FORMATS).default('yaml'))
    .option('--out <file>', 'write it into this file')
    // What follows `diff` is an option of `diff`.
    .enablePositionalOptions()
    .helpCommand(false)
    .action(async (file: string, options) => {
      const { schemaCommand } = await import('./commands/data/schema.js')
      exit(await schemaCommand(file, options, context))
    })

  target(command(schema, 'lock'))
    .description('write the tables of the last load into a lock beside the file, for Git')
    .argument('<file>', 'pipeline file')
    .action(async (file: string, options) => {
      const { schemaLockCommand } = await import('./commands/data/schemaDiff.js')
      exit(await schemaLockCommand(file, options, context))
    })

  target(command(schema, 'diff'))
    .description('compare the tables of the last load with the lock; exit code 3 where they differ')
    .argument('<file>', 'pipeline file')
    .option('--json', 'print the changes as one line of JSON')
    .action(async (file: string, options) => {
      const { schemaDiffCommand } = await import('./commands/data/schemaDiff.js')
      exit(await schemaDiffCommand(file, options, context))
    })

  target(command(schema, 'accept'))
    .description('take the tables of the last load over into the lock')
    .argument('<file>', 'pipeline file')
    .action(async (file: string, options) => {
      const { schemaAcceptCommand } = await import('./commands/data/schemaDiff.js')
      exit(await schemaAcceptCommand(file, options, context))
    })

  target(command(program, 'types'))
    .description('print types of the rows of every table, for TypeScript and other tools')
    .argument('<file>', 'pipeline file')
    .addOption(new Option('--format <format>', 'who reads the types').choices(ROW_FORMATS).default('typescript'))
    .option('--out <file>', 'write them into this file, as in feedback.d.ts')
    .action(async (file: string, options) => {
      const { typesCommand } = await import('./commands/data/schema.js')
      exit(await typesCommand(file, options, context))
    })

  target(command(program, 'state'))
    .description('show the cursors of incremental loading')
    .argument('<file>', 'pipeline file')
    .option('--reset <resource...>', 'reset the cursors of these resources; rows stay')
    .option('--json', 'print the whole state as one line of JSON')
    .action(async (file: string, options) => {
      const { stateCommand } = await import('./commands/data/state.js')
      exit(await stateCommand(file, options, context))
    })

  target(command(program, 'drop'))
    .description('drop the tables and the state of resources')
    .argument('<file>', 'pipeline file')
    .argument('<resources...>', 'resources, as they were loaded')
    .option('-y, --yes', 'do not ask')
    .action(async (file: string, resources: string[], options) => {
      const { dropCommand } = await import('./commands/data/drop.js')
      exit(await dropCommand(file, resources, options, context))
    })
}

function helpCommands(program: Command, { context, exit }: CommandCall): void {
  ofFile(command(program, 'plan'))
    .description('show the first requests of a run, and why; sends no request to the API')
    .argument('<file>', 'pipeline file')
    .option('--probe', 'request one page of each root resource')
    .option('--select <resource...>', 'only these resources')
    .option('--destination <url>', 'plan for this destination')
    .option('--dataset <name>', 'plan for this dataset')
    .option('--json', 'print the plan as one line of JSON')
    .action(async (file: string, options) => {
      const { planCommand } = await import('./commands/file/plan.js')
      exit(await planCommand(file, options, context))
    })

  ofFile(command(program, 'doctor'))
    .description('check this machine, and what a file needs; says how to fix what it finds')
    .argument('[file]', 'pipeline file')
    .option('--request', 'also request one page from the API')
    .option('--notify', 'also send a test notice to everybody in notify')
    .option('--json', 'print the findings as one line of JSON')
    .option('--destination <url>', 'check this destination')
    .option('--dataset <name>', 'check this dataset')
    .action(async (file: string | undefined, options) => {
      const { doctorCommand } = await import('./commands/doctor.js')
      exit(await doctorCommand(file, options, context))
    })

  program
    .command('completion')
    .description('print a script that completes commands and options in your shell')
    .addArgument(new Argument('<shell>', 'your shell').choices(SHELLS))
    .action(async (shell: Shell) => {
      context.terminal.out.write(completionScript(program, shell))
    })

  command(program, 'explain')
    .description('explain the code of an error or a warning, and what to do')
    .argument('[code]', 'as in config or rate_limit; without one, list them all')
    .action(async (code: string | undefined) => {
      const { explainCommand } = await import('./commands/explain.js')
      exit(await explainCommand(code, context))
    })
}

const EXIT_CODES = `
Exit codes: 0 done, 1 failed, 2 fix the file or the command line first,
            3 done, and it found something to decide: import no list,
            prove a fault of the file, record and test other tables,
            drift and schema diff a change.`

const START = `
Start here:
  sluice init             reads a list and writes a pipeline file
  sluice import curl '…'  writes one of a curl line, a HAR, OpenAPI …
  sluice check FILE       tries the file, writes nothing
  sluice run FILE         loads
  sluice show FILE        lists the loaded tables`

/** What `sluice import` reads. Listed here so that the command starts without loading the importers. */
const IMPORT_KINDS: readonly ImportKind[] = ['curl', 'har', 'openapi', 'postman', 'airbyte', 'dlt']

const AUTH_TYPES = ['none', 'bearer', 'api_key', 'http_basic']

/** Formats of `sluice schema`, as the exporter has them. Listed here so that the command starts without loading it. */
const SCHEMA_FORMATS = ['yaml', 'json', 'dbml', 'mermaid', 'typescript']

/** A command that reads a pipeline file. */
function ofFile(command: Command): Command {
  return command.option('--profile <name>', 'one of the `profiles` of the file (or SLUICE_PROFILE)')
}

/** Those of `sluice types`. */
const ROW_FORMATS = ['typescript', 'zod', 'drizzle', 'kysely', 'json-schema', 'dbt-sources']

/** Selects the dataset of a command. */
function target(of: Command): Command {
  return ofFile(of)
    .option('--destination <url>', 'read this destination')
    .option('--dataset <name>', 'read this dataset')
    .option('--pipeline <name>', 'the pipeline, if the file holds several')
}

function command(program: Command, name: string): Command {
  const [group = HELPING] = GROUPS.find(([, names]) => names.includes(name)) ?? []
  return program.command(name).helpGroup(group).option('--debug', 'print the stack of an error')
}

const HELPING = 'Find help:'

/** Commands by what they are for, as the help lists them. */
const GROUPS: readonly (readonly [heading: string, names: readonly string[]])[] = [
  ['Write a pipeline file:', ['init', 'import', 'check', 'prove', 'plan', 'auth']],
  ['Load:', ['run', 'backfill', 'replay', 'state', 'drop']],
  ['Look at what was loaded:', ['show', 'query', 'history', 'trace', 'schema', 'types', 'studio', 'mcp']],
  ['Test:', ['record', 'test', 'drift', 'serve']],
  ['Jobs of a Restate server:', ['worker', 'submit', 'jobs', 'cancel']],
]

/** The server of workers and jobs. */
function restate(): Option {
  return new Option('--restate <url>', 'admin address of the Restate server').default(RESTATE)
}

const RESTATE = 'http://127.0.0.1:9070'

function csvMark(): Option {
  return new Option('--bom', 'with --csv: begin with a byte order mark, for Excel')
}

function csvSeparator(): Option {
  return new Option('--separator <mark>', 'with --csv: what stands between fields; default: ,').argParser(mark => {
    if (mark === 'tab' || mark === '\\t') return '\t'
    if (/^[,;|\t]$/.test(mark)) return mark
    throw new InvalidArgumentError('One of , ; | or tab is expected.')
  })
}

function gathered(text: string, earlier: readonly string[] = []): readonly string[] {
  return [...earlier, text]
}

function portNumber(text: string): number {
  if (!/^\d{1,5}$/.test(text) || Number(text) > 65_535)
    throw new InvalidArgumentError('A port from 1 to 65535 is expected, or 0 for a free one.')
  return Number(text)
}

function wholeNumber(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError('A whole number above 0 is expected.')
  return Number(text)
}
