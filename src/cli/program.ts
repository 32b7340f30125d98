import { Argument, Command, CommanderError, InvalidArgumentError, Option } from 'commander'
import type { CommandContext } from './commands/command.js'
import { completionScript, SHELLS, type Shell } from './completion.js'
import type { ExitCode } from './failure.js'

/**
 * Runs one command line (without `node` and the script). Never throws and never ends the process. It reports every
 * error on `context.terminal.err` and in the exit code.
 */
export async function sluice(
  args: readonly string[],
  context: CommandContext & { readonly version: string },
): Promise<ExitCode> {
  let exitCode: ExitCode = 0
  const program = commands(context, code => {
    exitCode = code
  })
  try {
    await program.parseAsync(filesFirst(args), { from: 'user' })
    return exitCode
  } catch (error) {
    if (error instanceof CommanderError) {
      return error.exitCode === 0 ? 0 : 2
    }
    const { reportFailure } = await import('./failure.js')
    return reportFailure(error, context.terminal.err, { debug: args.includes('--debug') })
  }
}

/**
 * `--select` and `--reset` take every name that follows them. A pipeline file among these names, and what comes after it,
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
      isList = argument === '--select' || argument === '--reset'
      isBehindFile = false
    }
    isBehindFile ||= isList && /\.(ya?ml|json|[cm]?[jt]s)$|[/\\]/i.test(argument)
    ;(isBehindFile ? moved : kept).push(argument)
  }
  return [command, ...moved, ...kept]
}

/** Every command: its arguments are here, its work is in its own file, which is loaded on call. */
function commands(context: CommandContext & { readonly version: string }, exit: (code: ExitCode) => void): Command {
  const { out, err } = context.terminal
  const program = new Command('sluice')
    .description('Loads REST APIs into typed tables.')
    .version(context.version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand('help [command]', 'print the help of a command')
    .exitOverride()
    .configureOutput({
      writeOut: text => out.write(text),
      writeErr: text => err.write(text),
      getOutHelpWidth: () => out.columns(),
      getErrHelpWidth: () => err.columns(),
    })
    // Otherwise lines as wide as the terminal are not wrapped at all beside long names of commands.
    .configureHelp({ minWidthToWrap: 20 })
    .showHelpAfterError('(--help lists what there is)')
    .addHelpText('after', START)
    .addHelpText('after', '\nExit codes: 0 done, 1 failed, 2 the file or the command line needs mending.')

  command(program, 'init')
    .description('write a pipeline file for one list of an API, from its first pages; asks for what it needs')
    .option('--url <url>', 'address of the list, query included; asked for on a terminal')
    .addOption(new Option('--auth <type>', 'how the API wants to know who asks').choices(AUTH_TYPES))
    .option('--auth-name <name>', 'api_key: name of the header, parameter or cookie')
    .addOption(new Option('--auth-location <place>', 'api_key: where it goes').choices(['header', 'query', 'cookie']))
    .option('--username <name>', 'http_basic: who asks')
    .option('--secret-name <name>', 'name that the secret is looked up under, as in api_key')
    .option('--name <name>', 'name of pipeline and resource')
    .option('--destination <url>', 'where to load to, as in duckdb:PATH')
    .option('--out <file>', 'the file; default: <name>.yaml, never overwritten')
    .action(async options => {
      const { initCommand } = await import('./commands/init.js')
      exit(await initCommand(options, context))
    })

  ofFile(command(program, 'run'))
    .description('load every resource and commit it')
    .argument('<file...>', 'pipeline files (YAML, JSON or TypeScript), or folders of YAML and JSON files')
    .option('--destination <url>', 'load into this destination, as in duckdb:PATH')
    .option('--dataset <name>', 'load into this dataset')
    .option('--select <resource...>', 'only these resources')
    .option('--limit <pages>', 'stop after so many pages of each list', wholeNumber)
    .option('--concurrency <requests>', 'most requests in flight; 1 is strictly one after the other', wholeNumber)
    .option('--full-refresh', 'drop the tables and the state of the resources first')
    .option('--allow-incomplete', 'commit although something is missing')
    .option('--keep-journal', 'keep every answer of the API on disk, for `sluice replay`')
    .option('--no-resume', 'set the pages of an interrupted run aside and ask for all of them again')
    .option('--fail-fast', 'of several files: stop all when one fails')
    .option('--json', 'print every event as one line of JSON')
    .option('--verbose', 'log every event, with each request, retry, wait and statement (or SLUICE_DEBUG=1)')
    .action(async (files: string[], options) => {
      const { runCommand } = await import('./commands/run.js')
      exit(await runCommand(files, options, context))
    })

  ofFile(command(program, 'replay'))
    .description('load the answers that a journal keeps once more; asks the API nothing')
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
      const { replayCommand } = await import('./commands/replay.js')
      exit(await replayCommand(file, load, options, context))
    })

  ofFile(command(program, 'check'))
    .description('validate the file, find its secrets, fetch one page of each root resource; writes nothing')
    .argument('<file...>', 'pipeline files, or folders of them')
    .action(async (files: string[], options) => {
      const { checkCommand } = await import('./commands/check.js')
      exit(await checkCommand(files, options, context))
    })

  ofFile(command(program, 'show'))
    .description('show the tables of the dataset, or columns and first rows of one')
    .argument('<file>', 'pipeline file')
    .argument('[table]', 'table')
    .option('--limit <rows>', 'rows to show; default: 10, with --json and --csv all', wholeNumber)
    .option('--json', 'print one line of JSON for each table, or each row of the table')
    .option('--csv', 'print that as CSV with a header')
    .option('--destination <url>', 'look into this destination')
    .option('--dataset <name>', 'look into this dataset')
    .action(async (file: string, table: string | undefined, options) => {
      const { showCommand } = await import('./commands/show.js')
      exit(await showCommand(file, table, options, context))
    })

  target(command(program, 'query'))
    .description('print the rows of one SQL statement that only reads; on a terminal, of one after the other')
    .argument('<file>', 'pipeline file')
    .argument('[sql]', "the statement, as in 'SELECT count(*) FROM orders'; default: from the standard input")
    .option('--json', 'print one line of JSON for each row')
    .option('--csv', 'print CSV with a header')
    .option('--limit <rows>', 'rows to print; default: 100 in a table, otherwise all', wholeNumber)
    .option('--interactive', 'read one statement after the other from the standard input')
    .action(async (file: string, sql: string | undefined, options) => {
      const { queryCommand } = await import('./commands/query.js')
      exit(await queryCommand(file, sql, options, context))
    })

  target(command(program, 'history'))
    .description('list the committed loads with their verdicts, or print the receipts of one')
    .argument('<file>', 'pipeline file')
    .argument('[load]', 'id of the load')
    .option('--limit <loads>', 'loads to list, newest first; default 20', wholeNumber)
    .option('--json', 'print one line of JSON for each load, with its receipts')
    .action(async (file: string, load: string | undefined, options) => {
      const { historyCommand } = await import('./commands/history.js')
      exit(await historyCommand(file, load, options, context))
    })

  target(command(program, 'schema'))
    .description('print the schema of the last load')
    .argument('<file>', 'pipeline file')
    .addOption(new Option('--format <format>', 'form of the schema').choices(SCHEMA_FORMATS).default('yaml'))
    .option('--out <file>', 'write it into this file')
    .action(async (file: string, options) => {
      const { schemaCommand } = await import('./commands/schema.js')
      exit(await schemaCommand(file, options, context))
    })

  target(command(program, 'types'))
    .description('print types of the rows of every table, for TypeScript and other tools')
    .argument('<file>', 'pipeline file')
    .addOption(new Option('--format <format>', 'what reads them').choices(ROW_FORMATS).default('typescript'))
    .option('--out <file>', 'write them into this file, as in feedback.d.ts')
    .action(async (file: string, options) => {
      const { typesCommand } = await import('./commands/schema.js')
      exit(await typesCommand(file, options, context))
    })

  target(command(program, 'state'))
    .description('show where incremental loading will go on')
    .argument('<file>', 'pipeline file')
    .option('--reset <resource...>', 'let the cursors of these resources start anew; rows stay')
    .option('--json', 'print the whole state as one line of JSON')
    .action(async (file: string, options) => {
      const { stateCommand } = await import('./commands/state.js')
      exit(await stateCommand(file, options, context))
    })

  target(command(program, 'drop'))
    .description('drop the tables and the state of resources')
    .argument('<file>', 'pipeline file')
    .argument('<resources...>', 'resources, as they were loaded')
    .option('-y, --yes', 'do not ask')
    .action(async (file: string, resources: string[], options) => {
      const { dropCommand } = await import('./commands/drop.js')
      exit(await dropCommand(file, resources, options, context))
    })

  ofFile(command(program, 'plan'))
    .description('say what a run would ask first, how and why; asks the API nothing')
    .argument('<file>', 'pipeline file')
    .option('--probe', 'ask for one page of each root resource')
    .option('--select <resource...>', 'only these resources')
    .option('--destination <url>', 'as if it loaded into this destination')
    .option('--dataset <name>', 'as if it loaded into this dataset')
    .option('--json', 'print the plan as one line of JSON')
    .action(async (file: string, options) => {
      const { planCommand } = await import('./commands/plan.js')
      exit(await planCommand(file, options, context))
    })

  command(program, 'doctor')
    .description('look at this machine, and at what a file needs of it; says how to mend what it finds')
    .argument('[file]', 'pipeline file')
    .option('--request', 'ask the API for one page too')
    .option('--json', 'print what was found as one line of JSON')
    .option('--destination <url>', 'look at this destination')
    .option('--dataset <name>', 'look at this dataset')
    .action(async (file: string | undefined, options) => {
      const { doctorCommand } = await import('./commands/doctor.js')
      exit(await doctorCommand(file, options, context))
    })

  program
    .command('completion')
    .description('print a script that completes commands and options in your shell')
    .addArgument(new Argument('<shell>', 'your shell').choices(SHELLS))
    .action(async (shell: Shell) => {
      out.write(completionScript(program, shell))
    })

  command(program, 'explain')
    .description('say what the code of an error or of a warning means, and what to do')
    .argument('<code>', 'as in config or rate_limit')
    .action(async (code: string) => {
      const { explainCommand } = await import('./commands/explain.js')
      exit(await explainCommand(code, context))
    })

  return program
}

const START = `
Start here:
  sluice init             asks for the address of a list, writes a pipeline file
  sluice check FILE       tries the file and writes nothing
  sluice run FILE         loads
  sluice show FILE        shows the tables that came of it`

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
    .option('--destination <url>', 'look into this destination')
    .option('--dataset <name>', 'look into this dataset')
    .option('--pipeline <name>', 'the pipeline, where the file holds several')
}

function command(program: Command, name: string): Command {
  return program.command(name).option('--debug', 'print the stack of an error')
}

function wholeNumber(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError('A whole number above 0 is expected.')
  return Number(text)
}
