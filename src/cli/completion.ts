import type { Command, Option } from 'commander'
import { inQuotes } from './terminal/shellWord.js'

export type Shell = 'bash' | 'zsh' | 'fish'

export const SHELLS: readonly Shell[] = ['bash', 'zsh', 'fish']

/** A script for a shell that completes commands, options, their choices, and files. It never starts the command. */
export function completionScript(program: Command, shell: Shell): string {
  const commands = commandsOf(program)
  switch (shell) {
    case 'bash':
      return bash(commands)
    case 'zsh':
      return zsh(commands)
    case 'fish':
      return fish(commands)
  }
}

interface Completed {
  readonly name: string
  readonly about: string
  readonly options: readonly Option[]
  /** Words that the first argument may be, where it is no file. */
  readonly words: readonly string[] | undefined
}

function commandsOf(program: Command): readonly Completed[] {
  const names = program.commands.map(command => command.name())
  const own = program.commands.map((command): Completed => {
    const [first] = command.registeredArguments
    const isFile = first?.name() === 'file'
    return {
      name: command.name(),
      about: command.description(),
      options: command.options,
      words: isFile ? undefined : (first?.argChoices ?? []),
    }
  })
  return [...own, { name: 'help', about: 'print the help of a command', options: [], words: names }]
}

const spelt = ({ short, long }: Option): string[] => [short, long].filter(name => name !== undefined)
const takesValue = ({ required, optional }: Option): boolean => required || optional
const withChoices = (options: readonly Option[]) => options.filter(({ argChoices }) => argChoices !== undefined)

/** What needs no file completion: values that are words of the user's. */
function freeValues(options: readonly Option[]): string[] {
  return options
    .filter(option => takesValue(option) && option.argChoices === undefined && !isPath(option))
    .flatMap(spelt)
}

function isPath({ long }: Option): boolean {
  return long === '--out'
}

function bash(commands: readonly Completed[]): string {
  const cases = commands.map(({ name, options, words }) => {
    const valued = withChoices(options).map(
      option => `        ${spelt(option).join('|')}) words="${option.argChoices?.join(' ')}" ;;`,
    )
    const free = freeValues(options)
    const nothing = free.length === 0 ? [] : [`        ${free.join('|')}) return ;;`]
    const paths = options.filter(isPath).flatMap(spelt)
    const files = paths.length === 0 ? [] : [`        ${paths.join('|')}) _sluice_files; return ;;`]
    const argument = words === undefined ? '_sluice_files; return' : `words="${words.join(' ')}"`
    return [
      `    ${name})`,
      '      case "$prev" in',
      ...valued,
      ...nothing,
      ...files,
      '        *)',
      `          if [[ $cur == -* ]]; then words="${optionWords(options)}"`,
      `          else ${argument}; fi ;;`,
      '      esac ;;',
    ].join('\n')
  })
  return `# sluice completion bash >> ~/.bashrc
_sluice_files() {
  local IFS=$'\\n'
  COMPREPLY=($(compgen -f -- "$cur"))
}
_sluice() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} words=''
  COMPREPLY=()
  if [[ $COMP_CWORD -eq 1 ]]; then
    COMPREPLY=($(compgen -W "${commands.map(({ name }) => name).join(' ')} --help --version" -- "$cur"))
    return
  fi
  case "\${COMP_WORDS[1]}" in
${cases.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -o filenames -F _sluice sluice
`
}

function optionWords(options: readonly Option[]): string {
  return [...options.flatMap(({ long }) => long ?? []), '--help'].join(' ')
}

function zsh(commands: readonly Completed[]): string {
  const described = commands.map(({ name, about }) => `    ${inQuotes(`${name}:${about}`)}`)
  const cases = commands.map(({ name, options, words }) => {
    const flags = options.map(option => {
      const about = option.description.replace(/[[\]:]/g, '\\$&')
      return inQuotes(`${option.long}[${about}]${zshValue(option)}`)
    })
    const argument = words === undefined ? '*:file:_files' : `1:word:(${words.join(' ')})`
    return `    ${name}) _arguments ${[...flags, inQuotes(argument)].join(' ')} ;;`
  })
  return `#compdef sluice
# sluice completion zsh > a folder of your $fpath, as _sluice
_sluice() {
  local -a commands
  commands=(
${described.join('\n')}
  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  local command=$words[2]
  shift words
  (( CURRENT-- ))
  case $command in
${cases.join('\n')}
  esac
}
if [[ $funcstack[1] == _sluice ]]; then _sluice "$@"; else compdef _sluice sluice; fi
`
}

function zshValue(option: Option): string {
  if (!takesValue(option)) return ''
  if (option.argChoices !== undefined) return `:value:(${option.argChoices.join(' ')})`
  return `:value:${isPath(option) ? '_files' : ' '}`
}

function fish(commands: readonly Completed[]): string {
  const lines = commands.flatMap(({ name, about, options, words }) => [
    `complete -c sluice -n __fish_use_subcommand -f -a ${name} -d ${inQuotes(about)}`,
    ...(words === undefined
      ? []
      : [
          `complete -c sluice -n '__fish_seen_subcommand_from ${name}' -f${words.length === 0 ? '' : ` -a '${words.join(' ')}'`}`,
        ]),
    ...options.map(
      option =>
        `complete -c sluice -n '__fish_seen_subcommand_from ${name}' -l ${option.long?.slice(2)}${fishValue(option)} -d ${inQuotes(option.description)}`,
    ),
  ])
  return `# sluice completion fish > ~/.config/fish/completions/sluice.fish\n${lines.join('\n')}\n`
}

function fishValue(option: Option): string {
  if (!takesValue(option)) return ''
  if (option.argChoices !== undefined) return ` -x -a '${option.argChoices.join(' ')}'`
  return isPath(option) ? ' -r -F' : ' -x'
}
