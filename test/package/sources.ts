import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

export interface SourceModule {
  /** Relative to `src`, as in `rest/client.ts`. */
  readonly path: string
  readonly imports: readonly ImportedModule[]
  /** Dotted names that are read or called, as in `process.env` or `Date.now`; `new Date` for one without arguments. */
  readonly uses: ReadonlySet<string>
  readonly hasAny: boolean
}

interface ImportedModule {
  /** Relative to `src` for modules of our own, else the specifier: `undici`, `node:fs`. */
  readonly target: string
  readonly own: boolean
  /** Names imported; empty for `import()` and `export *`. */
  readonly names: readonly string[]
  /** Gone after compilation. */
  readonly typeOnly: boolean
  /** Loaded when it is needed: `import()`. */
  readonly dynamic: boolean
}

const src = fileURLToPath(new URL('../../src', import.meta.url))

/** Every TypeScript module of `src` as the compiler's parser sees it. */
export function sourceModules(): SourceModule[] {
  return readdirSync(src, { recursive: true, encoding: 'utf8' })
    .filter(file => file.endsWith('.ts') && !file.endsWith('.d.ts') && !/\.(as|wasm)\.ts$/.test(file))
    .sort()
    .map(file => parse(file.split(sep).join('/')))
}

function parse(path: string): SourceModule {
  const file = ts.createSourceFile(path, readFileSync(join(src, path), 'utf8'), ts.ScriptTarget.ES2022)
  const imports: ImportedModule[] = []
  const uses = new Set<string>()
  let hasAny = false
  const add = (specifier: ts.Node | undefined, names: readonly string[], typeOnly: boolean, dynamic = false): void => {
    if (specifier === undefined || !ts.isStringLiteral(specifier)) return
    const own = specifier.text.startsWith('.')
    const target = own
      ? normalize(join(dirname(path), specifier.text))
          .split(sep)
          .join('/')
          .replace(/\.js$/, '.ts')
      : specifier.text
    imports.push({ target, own, names, typeOnly, dynamic })
  }
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node)) {
      const clause = node.importClause
      const elements =
        clause?.namedBindings !== undefined && ts.isNamedImports(clause.namedBindings)
          ? clause.namedBindings.elements
          : []
      const typeOnly =
        clause?.phaseModifier === ts.SyntaxKind.TypeKeyword ||
        (clause?.name === undefined && elements.length > 0 && elements.every(element => element.isTypeOnly))
      add(
        node.moduleSpecifier,
        elements.map(element => (element.propertyName ?? element.name).text),
        typeOnly,
      )
    } else if (ts.isExportDeclaration(node)) add(node.moduleSpecifier, [], node.isTypeOnly)
    else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) add(node.argument.literal, [], true)
    else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword)
      add(node.arguments[0], [], false, true)
    else if (ts.isPropertyAccessExpression(node) && ts.isIdentifier(node.expression))
      uses.add(`${node.expression.text}.${node.name.text}`)
    else if (ts.isNewExpression(node) && ts.isIdentifier(node.expression) && (node.arguments ?? []).length === 0) {
      uses.add(`new ${node.expression.text}`)
    } else if (node.kind === ts.SyntaxKind.AnyKeyword) hasAny = true
    ts.forEachChild(node, visit)
  }
  visit(file)
  return { path, imports, uses, hasAny }
}
