import { basename } from 'node:path'
import type { CallExpression, Node } from '@babel/types'
import { dropInFor, dropIns } from './drop-ins.ts'
import type { Manifest } from './manifest.ts'
import { moduleUses } from './modules.ts'
import { lineOf, nameOf, textOf } from './syntax.ts'

/** A place that names an original in a way that a migration does not rewrite. */
export interface Mention {
  readonly original: string
  /**
   * `load`: something may load it from there, so a package must stay under its name.
   * `name`: something puts another module in its place, or configures it, by its name. So the sources must keep the name, too.
   */
  readonly kind: 'load' | 'name'
  readonly where: string
}

/** Packages with which tests put something in the place of a module. */
const mockers: ReadonlySet<string> = new Set([
  'proxyquire',
  'esmock',
  'rewiremock',
  'mockery',
  'mock-require',
  'testdouble',
  'quibble',
  'sandboxed-module',
  'module-alias',
])

/** A method of this name puts another module in the place of one. */
const MOCKING = /mock|stub|fake|replace|proxy|intercept|alias/i
/** Configuration of tools: `jest.config.js`, `.mocharc.yml`, `tsconfig.test.json`. */
const CONFIGURATION =
  /^(?:[\w-]+\.config(?:\.[\w-]+)*\.(?:[cm]?[jt]s|json)|\.[\w-]+rc(?:\.\w+)?|[jt]sconfig[\w.-]*\.json|(?:nodemon|nest-cli|project|angular)\.json)$/
/** An original's name is a header, or a title, as the first argument of these. */
const HEADERS = /^(?:get|set|has|delete|append|header|setHeader|getHeader|hasHeader|removeHeader|appendHeader|vary)$/
const TITLES = /^(?:describe|it|test|suite|context|step|debug)$/

/** How a source names originals, apart from the uses that are rewritten. */
export function mentionsInSource(path: string, nodes: readonly Node[]): Mention[] {
  const uses = moduleUses(nodes)
  const rewritten = new Set(uses.map(({ start }) => start))
  const configures = CONFIGURATION.test(basename(path)) || uses.some(({ specifier }) => mockers.has(specifier))
  const { keys, replaced, harmless } = positionsOf(nodes)
  return nodes.flatMap((node): Mention[] => {
    const isKey = keys.has(node)
    const text = textOf(node) ?? (isKey ? nameOf(node) : undefined)
    if (text === undefined || rewritten.has(node.start ?? -1)) return []
    const where = `${path}:${lineOf(node)}`
    if (configures && !harmless.has(node))
      return settings([text]).map((original) => ({ original, kind: 'name', where }))
    const original = dropInFor(text)?.original
    if (original === undefined) return []
    if (replaced.has(node)) return [{ original, kind: 'name', where }]
    return isKey || harmless.has(node) ? [] : [{ original, kind: 'load', where }]
  })
}

/** Where names stand in a file. */
interface Positions {
  /** Keys of object literals. */
  readonly keys: ReadonlySet<Node>
  /** Names of modules that are mocked or replaced. */
  readonly replaced: ReadonlySet<Node>
  /** Texts that are no module's name: a header, a title, a type. */
  readonly harmless: ReadonlySet<Node>
}

function positionsOf(nodes: readonly Node[]): Positions {
  const keys = new Set<Node>()
  const replaced = new Set<Node>()
  const harmless = new Set<Node>()
  for (const node of nodes) {
    switch (node.type) {
      case 'CallExpression': {
        const callee = calleeName(node).split('.')
        const last = callee.at(-1) ?? ''
        const [first, ...others] = node.arguments
        if (first === undefined) break
        if (HEADERS.test(last) || TITLES.test(callee[0] ?? '')) harmless.add(first)
        // mockery.registerMock('passport', …), td.replace('passport')
        else if (MOCKING.test(last)) replaced.add(first)
        // proxyquire('../app', { passport: … }), under any name
        if (!/^\.\.?\//.test(textOf(first) ?? '')) break
        for (const argument of others)
          for (const property of argument.type === 'ObjectExpression' ? argument.properties : [])
            if (property.type !== 'SpreadElement') replaced.add(property.key)
        break
      }
      case 'MemberExpression':
      case 'OptionalMemberExpression':
        harmless.add(node.property)
        break
      case 'BinaryExpression':
        harmless.add(node.left).add(node.right)
        break
      case 'SwitchCase':
        if (node.test) harmless.add(node.test)
        break
      case 'TSLiteralType':
        harmless.add(node.literal)
        break
      case 'JSXAttribute':
        if (node.value) harmless.add(node.value)
        break
      case 'TSModuleDeclaration':
        harmless.add(node.id)
        break
      case 'ObjectProperty':
      case 'ObjectMethod':
        if (!node.computed) keys.add(node.key)
        break
    }
  }
  return { keys, replaced, harmless }
}

/** `require.main.require`, `createRequire()`, `td.replace`. */
function calleeName({ callee }: CallExpression): string {
  const nameIn = (node: Node): string => {
    if (node.type === 'MemberExpression') return `${nameIn(node.object)}.${nameOf(node.property) ?? ''}`
    if (node.type === 'CallExpression') return `${nameIn(node.callee)}()`
    return nameOf(node) ?? ''
  }
  return nameIn(callee)
}

/** How a file that is not a source names originals. */
export function mentionsInText(path: string, text: string): Mention[] {
  const name = basename(path)
  if (CONFIGURATION.test(name))
    return settings(wordsOf(text)).map((original) => ({ original, kind: 'name', where: path }))
  return dropIns
    .filter(({ original }) => text.includes(original) && loadsIn(original).test(text))
    .map(({ original }) => ({ original, kind: 'load', where: path }))
}

/** A file `__mocks__/passport.js` stands in for the package in Jest and Vitest. */
export function mentionInPath(path: string): Mention | undefined {
  const [, original] = /(?:^|\/)__mocks__\/([\w-]+)(?:\/index)?\.[cm]?[jt]sx?$/.exec(path) ?? []
  if (original === undefined || dropInFor(original) === undefined) return undefined
  return { original, kind: 'name', where: path }
}

/** How the scripts and the tools' settings in a package.json name originals. */
export function mentionsInManifest({ path, json }: Manifest): Mention[] {
  const { scripts = {}, jest, mocha, ava, vitest, babel, imports, browser, alias, _moduleAliases } = json
  const tools = JSON.stringify(
    { jest, mocha, ava, vitest, babel, imports, browser, alias, _moduleAliases },
    undefined,
    1,
  )
  const commands = Object.values(scripts as Record<string, unknown>)
    .map(String)
    .join('\n')
  return [
    ...settings(wordsOf(tools)).map((original) => ({ original, kind: 'name', where: path }) as const),
    ...dropIns
      .filter(({ original }) => preloads(original).test(commands))
      .map(({ original }) => ({ original, kind: 'load', where: `${path}, scripts` }) as const),
  ]
}

/** Originals that one of these settings names: `^passport$`, `passport/lib`, `node_modules/(?!passport)`. */
function settings(words: readonly string[]): string[] {
  return dropIns
    .filter(({ original }) => {
      const named = new RegExp(`^[\\^(]*${original}(?:[/$)|].*)?$|node_modules/.*\\b${original}(?![\\w-])`)
      return words.some((word) => named.test(word))
    })
    .map(({ original }) => original)
}

/** What stands in quotes, or at the end of a line, as in YAML. */
function wordsOf(text: string): string[] {
  return [...text.matchAll(/"([^"\n]*)"|'([^'\n]*)'|[\s:=-]([\w@./^$-]+)\s*$/gm)].map((found) =>
    found.slice(1).join(''),
  )
}

function loadsIn(original: string): RegExp {
  return new RegExp(`['"\`]${original}(?:/[^'"\`\\s]*)?['"\`]|${preloads(original).source}`)
}

/** `node -r passport`, `mocha --require passport`. */
function preloads(original: string): RegExp {
  return new RegExp(`(?:\\s-r|--require|--import)[\\s=]+['"]?${original}(?![\\w-])`)
}
