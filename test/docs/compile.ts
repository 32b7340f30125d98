import { join } from 'node:path'
import ts from 'typescript'
import { type Block, root } from './blocks.js'

/** The settings of the project, with more of them. */
export function compilerOptions(more: object = {}): ts.CompilerOptions {
  const config = ts.readConfigFile(join(root, 'tsconfig.json'), path => ts.sys.readFile(path)).config as {
    compilerOptions: object
  }
  return ts.convertCompilerOptionsFromJson({ ...config.compilerOptions, ...more }, root).options
}

/** What `sluice types feedback.yaml` prints, for examples that import it. */
const MADE_BY_TYPES = `
export interface FeedbackData { id: bigint; timestamp: Date; rating: bigint }
export interface Tables { feedback_data: FeedbackData }
`

/** What the compiler says of modules that are only in memory, with `sluice` being our own source. */
export function typeErrors(blocks: readonly Pick<Block, 'place' | 'text'>[]): string[] {
  const options = compilerOptions({
    noPropertyAccessFromIndexSignature: true,
    paths: {
      sluice: ['./src/index.ts'],
      'sluice/destination': ['./src/destinationDoor.ts'],
      'sluice/source': ['./src/sourceDoor.ts'],
      'sluice/testing': ['./src/testingDoor.ts'],
    },
  })
  const files = new Map(blocks.map(({ place, text }) => [join(root, `docs/${place.replaceAll(/\W/g, '_')}.ts`), text]))
  files.set(join(root, 'docs/feedback.ts'), MADE_BY_TYPES)
  files.set(join(root, 'docs/memoryDestination.ts'), "export * from '../examples/memoryDestination.js'")
  const host = ts.createCompilerHost(options)
  const { getSourceFile, fileExists, readFile } = host
  host.fileExists = path => files.has(path) || fileExists(path)
  host.readFile = path => files.get(path) ?? readFile(path)
  host.getSourceFile = (path, language, ...rest) => {
    const text = files.get(path)
    return text === undefined ? getSourceFile(path, language, ...rest) : ts.createSourceFile(path, text, language)
  }
  const program = ts.createProgram([...files.keys()], options, host)
  return [...files.keys()].flatMap(path =>
    [
      ...program.getSemanticDiagnostics(program.getSourceFile(path)),
      ...program.getSyntacticDiagnostics(program.getSourceFile(path)),
    ].map(
      ({ messageText, start = 0 }) =>
        `${path.slice(root.length)}, character ${start}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`,
    ),
  )
}
