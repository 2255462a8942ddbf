/**
 * What a TypeScript file imports, exports and says in docstrings.
 *
 * Why it exists: the other checks ask every file for the same few things. TypeScript 7 has no stable parser, so this uses the
 * one that Vitest is built on.
 */
import { type ESTree, parseSync, Visitor } from 'rolldown/utils'

/** One import, export-from, dynamic `import()` or `require()` with its specifier written out. */
export interface ImportStatement {
  readonly specifier: string
  readonly line: number
  /** Erased before the file runs. */
  readonly typeOnly: boolean
  /** Runs when the code reaches it, rather than when the file is loaded. */
  readonly dynamic: boolean
}

/** One name that a file imports. */
export interface ImportedName {
  readonly specifier: string
  /** As the file that exports it calls it. */
  readonly name: string
  readonly line: number
}

/** One name that a file exports. */
export interface ExportedName {
  /** As importers see it; `*` where everything of `from` is passed on. */
  readonly name: string
  /** As the file itself, or the file it is passed on from, calls it. */
  readonly local: string
  /** Specifier of the file it is passed on from. */
  readonly from: string | undefined
}

/** A declaration at the top of a file. */
export interface Declaration {
  readonly kind: string
  readonly line: number
  /** The text between the slashes of its docstring. */
  readonly docstring: string | undefined
}

/** What one file says to others. */
export interface SourceFile {
  readonly imports: readonly ImportStatement[]
  /** Names in braces, types included. */
  readonly importedNames: readonly ImportedName[]
  readonly exports: readonly ExportedName[]
  readonly declarations: ReadonlyMap<string, Declaration>
  /** Every docstring, with the text between its slashes. */
  readonly docstrings: readonly { readonly text: string; readonly line: number }[]
  /** Strings that are the first argument of a call: the titles of tests are among them. */
  readonly titles: readonly string[]
}

/**
 * Reads a file.
 *
 * @param path its name, for the error
 * @throws {SyntaxError} if `text` is not TypeScript
 */
export function scan(text: string, path = 'source.ts'): SourceFile {
  const { program, module, comments, errors } = parseSync(path, text)
  if (errors[0] !== undefined) throw new SyntaxError(errors[0].codeframe ?? errors[0].message)
  const lineOf = lineFinder(text)
  const docstrings = comments
    .filter(({ type, value }) => type === 'Block' && value.startsWith('*'))
    .map(({ value, start, end }) => ({ text: `*${value}*`, line: lineOf(start), start, end }))
  const declarations = new Map<string, Declaration>()
  let endBefore = 0
  for (const node of program.body) {
    // Only comments may stand between a docstring and its declaration.
    const docstring = docstrings.findLast(({ start, end }) => start >= endBefore && end <= node.start)?.text
    const { kind, names } = declaredBy(node)
    for (const name of names.filter((one) => !declarations.has(one)))
      declarations.set(name, { kind, docstring, line: lineOf(node.start) })
    endBefore = node.end
  }
  const exports = module.staticExports.flatMap(({ entries }) =>
    entries.map(({ exportName, localName, importName, moduleRequest }) => ({
      name: exportName.name ?? '*',
      local: localName.name ?? importName.name ?? '*',
      from: moduleRequest?.value,
    })),
  )
  const importedNames = module.staticImports.flatMap(({ entries, moduleRequest, start }) =>
    entries.flatMap(({ importName: { name } }) =>
      name == null ? [] : { specifier: moduleRequest.value, name, line: lineOf(start) },
    ),
  )
  return { ...importsAndTitles(program, lineOf), importedNames, exports, declarations, docstrings }
}

/** Finds the line, from 1, of a position in `text`. */
export function lineFinder(text: string): (position: number) => number {
  const starts = [0]
  for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) starts.push(at + 1)
  return (position) => {
    const next = starts.findIndex((start) => start > position)
    return next === -1 ? starts.length : next
  }
}

function declaredBy(node: ESTree.Node): { kind: string; names: readonly string[] } {
  switch (node.type) {
    case 'ExportNamedDeclaration':
      return node.declaration === null ? { kind: 'export', names: [] } : declaredBy(node.declaration)
    case 'FunctionDeclaration':
    case 'TSDeclareFunction':
      return { kind: 'function', names: node.id === null ? [] : [node.id.name] }
    case 'ClassDeclaration':
      return { kind: 'class', names: node.id === null ? [] : [node.id.name] }
    case 'TSInterfaceDeclaration':
      return { kind: 'interface', names: [node.id.name] }
    case 'TSTypeAliasDeclaration':
      return { kind: 'type', names: [node.id.name] }
    case 'VariableDeclaration':
      return {
        kind: node.kind,
        names: node.declarations.flatMap(({ id }) => (id.type === 'Identifier' ? id.name : [])),
      }
    default:
      return { kind: 'statement', names: [] }
  }
}

function importsAndTitles(
  program: ESTree.Program,
  lineOf: (position: number) => number,
): Pick<SourceFile, 'imports' | 'titles'> {
  const imports: ImportStatement[] = []
  const titles: string[] = []
  /** The `new URL()` around the node that is visited: `new URL('./thread.ts', import.meta.url)` names a worker thread. */
  let url: ESTree.NewExpression | undefined
  const add = (
    node: ESTree.Node,
    source: ESTree.Node | null | undefined,
    typeOnly: boolean,
    dynamic: boolean,
  ): void => {
    if (isText(source)) imports.push({ specifier: source.value, line: lineOf(node.start), typeOnly, dynamic })
  }
  new Visitor({
    ImportDeclaration: (node) => add(node, node.source, node.importKind === 'type', false),
    ExportNamedDeclaration: (node) => add(node, node.source, node.exportKind === 'type', false),
    ExportAllDeclaration: (node) => add(node, node.source, node.exportKind === 'type', false),
    ImportExpression: (node) => add(node, node.source, false, true),
    TSExternalModuleReference: (node) => add(node, node.expression, false, true),
    TSImportType: (node) => add(node, node.source, true, true),
    CallExpression: (node) => {
      const [first] = node.arguments
      if (isNamed(node.callee, 'require')) add(node, first, false, true)
      if (isText(first)) titles.push(first.value)
    },
    NewExpression: (node) => {
      if (isNamed(node.callee, 'URL')) url = node
    },
    'NewExpression:exit': (node) => {
      if (node === url) url = undefined
    },
    Literal: (node) => {
      if (url && isText(node) && /^\.{1,2}\/.*\.ts$/.test(node.value)) add(url, node, false, true)
    },
  }).visit(program)
  return { imports, titles }
}

function isText(node: ESTree.Node | null | undefined): node is ESTree.StringLiteral {
  return node?.type === 'Literal' && typeof node.value === 'string'
}

function isNamed(node: ESTree.Expression, name: string): boolean {
  return node.type === 'Identifier' && node.name === name
}
