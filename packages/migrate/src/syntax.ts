import { type ParserPlugin, parse } from '@babel/parser'

/** A node of the syntax tree, of any kind. */
export interface Node {
  readonly type: string
  readonly start: number
  readonly end: number
  readonly loc: { readonly start: { readonly line: number } }
  readonly [key: string]: unknown
}

/** The syntax tree of a source file; `undefined` for a file that no parser setting can read. */
export function syntaxOf(path: string, text: string): Node | undefined {
  for (const plugins of pluginsFor(path)) {
    try {
      return parse(text, { sourceType: 'unambiguous', errorRecovery: true, allowReturnOutsideFunction: true, plugins })
        .program as unknown as Node
    } catch {
      // The next setting may know this dialect.
    }
  }
  return undefined
}

/** `<T>value` is a type assertion in .ts and an element in .tsx; a .js file may be in Flow. */
function pluginsFor(path: string): ParserPlugin[][] {
  if (/\.[cm]?ts$/.test(path)) return [['typescript', 'decorators']]
  if (path.endsWith('.tsx')) return [['typescript', 'jsx', 'decorators']]
  return [
    ['jsx', 'decorators'],
    ['jsx', 'flow', 'decorators'],
  ]
}

/** Calls `visit` for every node of the tree, outer ones first. */
export function walk(root: Node, visit: (node: Node) => void): void {
  visit(root)
  for (const value of Object.values(root)) {
    if (Array.isArray(value)) for (const item of value) walkInto(item, visit)
    else walkInto(value, visit)
  }
}

function walkInto(value: unknown, visit: (node: Node) => void): void {
  if (isNode(value)) walk(value, visit)
}

export function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && 'type' in value && 'loc' in value && 'start' in value
}

export function lineOf(node: Node): number {
  return node.loc.start.line
}

/** The text of a string literal or of a template without placeholders. */
export function textOf(node: unknown): string | undefined {
  if (!isNode(node)) return undefined
  if (node.type === 'StringLiteral') return node.value as string
  const quasis = node.type === 'TemplateLiteral' ? (node.quasis as { value: { cooked?: string } }[]) : []
  return quasis.length === 1 ? quasis[0]?.value.cooked : undefined
}

export function nameOf(node: unknown): string | undefined {
  return isNode(node) && node.type === 'Identifier' ? (node.name as string) : undefined
}
