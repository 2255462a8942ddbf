import { type ParserPlugin, parse } from '@babel/parser'
import type { Node } from '@babel/types'

/** All nodes of a source file's syntax tree in the order of the text; `undefined` for a file that no parser setting can read. */
export function nodesOf(path: string, text: string): readonly Node[] | undefined {
  for (const plugins of pluginsFor(path)) {
    try {
      const { program } = parse(text, {
        sourceType: 'unambiguous',
        errorRecovery: true,
        allowReturnOutsideFunction: true,
        plugins,
      })
      const nodes: Node[] = [program]
      // The list grows while the loop reads it.
      for (const node of nodes) nodes.push(...Object.values(node).flat().filter(isNode))
      return nodes.sort((a, b) => (a.start ?? 0) - (b.start ?? 0))
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

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && 'type' in value && 'loc' in value && 'start' in value
}

export function lineOf(node: Node): number {
  return node.loc?.start.line ?? 0
}

/** The text of a string literal or of a template without placeholders. */
export function textOf(node: Node | null | undefined): string | undefined {
  if (node?.type === 'StringLiteral') return node.value
  if (node?.type !== 'TemplateLiteral' || node.quasis.length > 1) return undefined
  return node.quasis[0]?.value.cooked ?? undefined
}

export function nameOf(node: Node | null | undefined): string | undefined {
  return node?.type === 'Identifier' ? node.name : undefined
}
