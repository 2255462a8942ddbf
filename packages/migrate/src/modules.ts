import type { CallExpression, Node, TSModuleDeclaration } from '@babel/types'
import { lineOf, nameOf, textOf } from './syntax.ts'

/** A place where a file names another module. */
export interface ModuleUse {
  readonly specifier: string
  /** Of the string with its quotes, in the file's text. */
  readonly start: number
  readonly end: number
  readonly line: number
}

/** Every import, re-export, `require`, `import()` and mocked module of a file, and the module whose `SessionData` it declares. */
export function moduleUses(nodes: readonly Node[]): ModuleUse[] {
  return nodes.flatMap((node) => {
    const source = sourceOf(node)
    const specifier = textOf(source)
    if (!source || specifier === undefined) return []
    return [{ specifier, start: source.start ?? 0, end: source.end ?? 0, line: lineOf(source) }]
  })
}

function sourceOf(node: Node): Node | null | undefined {
  switch (node.type) {
    case 'ImportDeclaration':
    case 'ExportNamedDeclaration':
    case 'ExportAllDeclaration':
    case 'ImportExpression':
      return node.source
    case 'TSExternalModuleReference':
      return node.expression
    case 'TSImportType':
      return node.argument
    case 'TSModuleDeclaration':
      return declaresSessionData(node) ? node.id : undefined
    case 'CallExpression':
      return loadsModule(node) ? node.arguments[0] : undefined
    default:
      return undefined
  }
}

/** `declare module 'express-session' { interface SessionData … }`: the one interface that applications extend in both. */
function declaresSessionData({ body }: TSModuleDeclaration): boolean {
  // `declare module 'x'` alone has no body, although the type says so.
  const declared = (body?.type === 'TSModuleBlock' ? body.body : [])
    .filter(({ type }) => type !== 'ImportDeclaration' && type !== 'EmptyStatement')
    .map((node) => (node.type === 'ExportNamedDeclaration' ? node.declaration : node))
  return (
    declared.length > 0 &&
    declared.every((node) => node?.type === 'TSInterfaceDeclaration' && node.id.name === 'SessionData')
  )
}

const mocking: ReadonlySet<string> = new Set(['mock', 'doMock', 'unmock', 'dontMock', 'requireActual', 'importActual'])

/** `require(…)`, `require.resolve(…)`, `require.main.require(…)`, `createRequire(…)(…)`, `import(…)`, `jest.mock(…)`, `vi.mock(…)`. */
function loadsModule({ callee }: CallExpression): boolean {
  if (callee.type === 'Import' || nameOf(callee) === 'require') return true
  if (callee.type === 'CallExpression')
    return [nameOf(callee.callee), propertyOf(callee.callee)].includes('createRequire')
  if (callee.type !== 'MemberExpression') return false
  const object = nameOf(callee.object)
  const property = propertyOf(callee) ?? ''
  if (property === 'require') return true
  if (object === 'require') return property === 'resolve'
  return (object === 'jest' || object === 'vi') && mocking.has(property)
}

function propertyOf(node: Node): string | undefined {
  return node.type === 'MemberExpression' ? nameOf(node.property) : undefined
}

/** The names that a file gives to modules and their parts: `session` for `import session from 'express-session'`. */
export function moduleNames(nodes: readonly Node[]): ReadonlyMap<string, string> {
  const names = new Map<string, string>()
  const add = (specifier: string | undefined, locals: readonly (Node | null | undefined)[]): void => {
    for (const local of locals.map(nameOf))
      if (specifier !== undefined && local !== undefined) names.set(local, specifier)
  }
  for (const node of nodes) {
    if (node.type === 'ImportDeclaration') {
      const locals = node.specifiers.map(({ local }) => local)
      add(node.source.value, locals)
    } else if (node.type === 'TSImportEqualsDeclaration') add(textOf(sourceOf(node.moduleReference)), [node.id])
    else if (node.type === 'VariableDeclarator') {
      // const session = require('x'), const { Strategy } = require('x'), const Strategy = require('x').Strategy
      const { id, init } = node
      const properties = id.type === 'ObjectPattern' ? id.properties : []
      const values = properties.map((property) => (property.type === 'ObjectProperty' ? property.value : undefined))
      add(moduleLoadedBy(init), id.type === 'ObjectPattern' ? values : [id])
    }
  }
  return names
}

/** The module that an expression loads in place: `require('x')`, `require('x').Strategy`, `(await import('x')).default`. */
export function moduleLoadedBy(node: Node | null | undefined): string | undefined {
  if (node?.type === 'MemberExpression') return moduleLoadedBy(node.object)
  if (node?.type === 'AwaitExpression') return moduleLoadedBy(node.argument)
  return node?.type === 'CallExpression' || node?.type === 'ImportExpression' ? textOf(sourceOf(node)) : undefined
}
