import { isNode, lineOf, type Node, nameOf, textOf, walk } from './syntax.ts'

/** A place where a file names another module. */
export interface ModuleUse {
  readonly specifier: string
  /** Of the string with its quotes, in the file's text. */
  readonly start: number
  readonly end: number
  readonly line: number
}

/** Every import, re-export, `require`, `import()` and mocked module of a file, and what it declares of its sessions. */
export function moduleUses(program: Node): ModuleUse[] {
  const uses: ModuleUse[] = []
  walk(program, (node) => {
    const source = sourceOf(node)
    const specifier = textOf(source)
    if (isNode(source) && specifier !== undefined)
      uses.push({ specifier, start: source.start, end: source.end, line: lineOf(source) })
  })
  return uses
}

function sourceOf(node: Node): unknown {
  switch (node.type) {
    case 'ImportDeclaration':
    case 'ExportNamedDeclaration':
    case 'ExportAllDeclaration':
    case 'ImportExpression':
      return node.source
    case 'TSExternalModuleReference':
      return node.expression
    case 'TSImportType':
      return isNode(node.argument) && node.argument.type === 'TSLiteralType' ? node.argument.literal : node.argument
    case 'TSModuleDeclaration':
      return declaresSessionData(node) ? node.id : undefined
    case 'CallExpression':
      return loads(node.callee as Node) ? (node.arguments as unknown[])[0] : undefined
    default:
      return undefined
  }
}

/** `declare module 'express-session' { interface SessionData … }`: the one interface that both declare for applications to fill. */
function declaresSessionData({ body }: Node): boolean {
  const block = isNode(body) && body.type === 'TSModuleBlock' ? (body.body as Node[]) : []
  const declared = block
    .filter(({ type }) => type !== 'ImportDeclaration' && type !== 'EmptyStatement')
    .map((node) => (node.type === 'ExportNamedDeclaration' ? node.declaration : node))
  const isSessionData = (node: unknown) =>
    isNode(node) && /Interface/.test(node.type) && nameOf(node.id) === 'SessionData'
  return declared.length > 0 && declared.every(isSessionData)
}

const mocking: ReadonlySet<string> = new Set(['mock', 'doMock', 'unmock', 'dontMock', 'requireActual', 'importActual'])

/** `require(…)`, `require.resolve(…)`, `import(…)`, `jest.mock(…)`, `vi.mock(…)`. */
function loads(callee: Node): boolean {
  if (callee.type === 'Import' || nameOf(callee) === 'require') return true
  if (callee.type !== 'MemberExpression') return false
  const object = nameOf(callee.object)
  const property = nameOf(callee.property) ?? ''
  if (object === 'require') return property === 'resolve'
  return (object === 'jest' || object === 'vi') && mocking.has(property)
}

/** What a file calls the modules it loads as a whole: `session` for `import session from 'express-session'`. */
export function moduleNames(program: Node): ReadonlyMap<string, string> {
  const names = new Map<string, string>()
  walk(program, (node) => {
    if (node.type === 'ImportDeclaration') nameImports(node, names)
    if (node.type === 'TSImportEqualsDeclaration') nameImportEquals(node, names)
    if (node.type === 'VariableDeclarator') nameRequired(node, names)
  })
  return names
}

function nameImports(node: Node, names: Map<string, string>): void {
  const specifier = textOf(node.source)
  if (specifier === undefined) return
  for (const imported of node.specifiers as Node[]) {
    const local = nameOf(imported.local)
    if (local !== undefined) names.set(local, specifier)
  }
}

function nameImportEquals(node: Node, names: Map<string, string>): void {
  const reference = node.moduleReference as Node
  const specifier = textOf(reference.expression)
  const local = nameOf(node.id)
  if (specifier !== undefined && local !== undefined) names.set(local, specifier)
}

/** `const session = require('x')`, `const { Strategy } = require('x')`, `const Strategy = require('x').Strategy`. */
function nameRequired(node: Node, names: Map<string, string>): void {
  const specifier = requiredBy(node.init)
  if (specifier === undefined) return
  const id = node.id as Node
  const patterns = id.type === 'ObjectPattern' ? (id.properties as Node[]).map((property) => property.value) : [id]
  for (const pattern of patterns) {
    const local = nameOf(pattern)
    if (local !== undefined) names.set(local, specifier)
  }
}

function requiredBy(init: unknown): string | undefined {
  if (!isNode(init)) return undefined
  if (init.type === 'MemberExpression') return requiredBy(init.object)
  if (init.type === 'AwaitExpression') return requiredBy(init.argument)
  if (init.type === 'ImportExpression') return textOf(init.source)
  if (init.type !== 'CallExpression') return undefined
  const callee = init.callee as Node
  return loads(callee) ? textOf((init.arguments as unknown[])[0]) : undefined
}
