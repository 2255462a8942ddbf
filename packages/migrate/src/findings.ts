import { originalOf } from './drop-ins.ts'
import { moduleNames, moduleUses } from './imports.ts'
import { isNode, lineOf, type Node, nameOf, textOf, walk } from './syntax.ts'

/** Something in the application that a person has to decide. */
export interface Finding {
  readonly line: number
  /** What is there. */
  readonly what: string
  /** What follows from it, and what to do. */
  readonly advice: string
}

/** What a person should look at in one file, from top to bottom. */
export function findingsIn(program: Node): Finding[] {
  const names = moduleNames(program)
  const findings: Finding[] = moduleUses(program).flatMap(({ specifier, line }) =>
    internals.test(specifier) ? [{ line, ...privateFile(specifier) }] : [],
  )
  walk(program, (node) => {
    if (node.type !== 'CallExpression' && node.type !== 'NewExpression') return
    findings.push(...findingsAtCall(node, names).map((finding) => ({ line: lineOf(node), ...finding })))
  })
  return findings.sort((a, b) => a.line - b.line)
}

type Remark = Omit<Finding, 'line'>

const internals = /^(?:express-session|passport|cookie-session|cookie-parser|cookie)\/(?!package\.json$)/

function privateFile(specifier: string): Remark {
  return {
    what: `imports "${specifier}", an internal file`,
    advice: 'The drop-in has no such file. Import what you need from the package itself.',
  }
}

function findingsAtCall(node: Node, names: ReadonlyMap<string, string>): Remark[] {
  const callee = node.callee as Node
  const specifier = names.get(nameOf(callee) ?? nameOf(callee.object) ?? '') ?? ''
  const argument = (node.arguments as unknown[])[0]
  if (node.type === 'NewExpression') return oauthFindings(specifier, optionsOf(argument))
  if (nameOf(callee) === undefined) return []
  switch (originalOf(specifier)) {
    case 'express-session':
      return sessionFindings(argument === undefined ? new Map() : optionsOf(argument))
    case 'cookie-session':
      return cookieFindings(optionsOf(argument))
    default:
      return []
  }
}

/** The options of an object literal by name; `undefined` where they come from elsewhere. */
type Options = ReadonlyMap<string, unknown> | undefined

function optionsOf(argument: unknown): Options {
  if (!isNode(argument) || argument.type !== 'ObjectExpression') return undefined
  const properties = argument.properties as Node[]
  if (properties.some((property) => property.type === 'SpreadElement')) return undefined
  return new Map(properties.map((property) => [nameOf(property.key) ?? textOf(property.key) ?? '', property.value]))
}

function sessionFindings(options: Options): Remark[] {
  if (options === undefined) return [unreadable('express-session')]
  const cookie = optionsOf(options.get('cookie'))
  return [
    ...when(!options.has('store'), noStore),
    ...when(literal(options.get('secret')), secretInSource),
    ...when(!isFalse(options.get('resave')), resave),
    ...when(!isFalse(options.get('saveUninitialized')), saveUninitialized),
    ...(options.has('cookie') && cookie === undefined ? [] : cookieAttributeFindings(cookie ?? new Map())),
  ]
}

function cookieFindings(options: Options): Remark[] {
  if (options === undefined) return [unreadable('cookie-session')]
  return [
    ...when(literal(options.get('secret')) || literalKeys(options.get('keys')), secretInSource),
    ...when(isFalse(options.get('signed')), unsigned),
    ...cookieAttributeFindings(options),
  ]
}

function cookieAttributeFindings(options: NonNullable<Options>): Remark[] {
  const sameSite = textOf(options.get('sameSite'))?.toLowerCase()
  return [
    ...when(!options.has('secure') || isFalse(options.get('secure')), notSecure),
    ...when(!options.has('sameSite') || isFalse(options.get('sameSite')), noSameSite),
    ...when(sameSite === 'none', sameSiteNone),
    ...when(isFalse(options.get('httpOnly')), readable),
  ]
}

/** A strategy of OAuth 2 is told by its options: one with a client's identifier. */
function oauthFindings(specifier: string, options: Options): Remark[] {
  const isOAuth = /^(?:@[\w-]+\/)?passport-/.test(specifier) && options?.has('clientID') === true
  const remembers = ['state', 'store', 'sessionKey'].some((name) => options?.has(name) && !isFalse(options.get(name)))
  return when(isOAuth && !remembers, noState)
}

const unreadable = (original: string): Remark => ({
  what: `the options of ${original} come from elsewhere`,
  advice: 'Look yourself for `store`, `resave`, `saveUninitialized`, and the attributes of the cookie.',
})
const noStore: Remark = {
  what: 'no `store`: sessions are kept in memory',
  advice: 'A restart logs everybody out, and a second process knows nobody. Give it a store in production.',
}
const secretInSource: Remark = {
  what: 'a secret is written in the source',
  advice:
    'Whoever reads the code can sign cookies. Take it from the environment; put a new one first and this one second, so that nobody is logged out.',
}
const resave: Remark = {
  what: '`resave` is on, or left to its default',
  advice:
    'It has no meaning any more: only what a request changed is written, and it never undoes another request. Set `resave: false` so that the original behaves if you go back.',
}
const saveUninitialized: Remark = {
  what: '`saveUninitialized` is on, or left to its default',
  advice: 'Every visitor and every robot gets a stored session and a cookie. Set it to false unless you need that.',
}
const unsigned: Remark = {
  what: '`signed: false`',
  advice: 'Any visitor can write the session that they like. Sign it with `keys`.',
}
const notSecure: Remark = {
  what: 'the cookie is not `secure`',
  advice: "It is sent over http, too. Set `secure: 'auto'` or true, and `trust proxy` behind a proxy.",
}
const noSameSite: Remark = {
  what: 'no `sameSite`',
  advice: "Browsers differ in what they then do. Set `sameSite: 'lax'`.",
}
const sameSiteNone: Remark = {
  what: "`sameSite: 'none'`",
  advice:
    'Other sites can send requests as your users. Make sure that every unsafe route checks where it was called from.',
}
const readable: Remark = {
  what: '`httpOnly: false`',
  advice: 'Any script on the page can read the cookie and send it elsewhere. Leave it out.',
}
const noState: Remark = {
  what: 'an OAuth 2 strategy without `state`',
  advice: 'Another site can log your visitors in to an account of its own. Set `state: true`.',
}

function when(applies: boolean, remark: Remark): Remark[] {
  return applies ? [remark] : []
}

function isFalse(value: unknown): boolean {
  return isNode(value) && value.type === 'BooleanLiteral' && value.value === false
}

function literal(value: unknown): boolean {
  return textOf(value) !== undefined || literalKeys(value)
}

function literalKeys(value: unknown): boolean {
  if (!isNode(value) || value.type !== 'ArrayExpression') return false
  return (value.elements as unknown[]).some((element) => textOf(element) !== undefined)
}
