import type { CallExpression, NewExpression, Node } from '@babel/types'
import { isMissingFile, originalOf } from './drop-ins.ts'
import { moduleLoadedBy, moduleNames, moduleUses } from './modules.ts'
import { lineOf, nameOf, textOf } from './syntax.ts'

/** Something in an application that a person has to decide. */
export interface Finding {
  /** A `fault` breaks logins or opens them to others; a `remark` is for a person to judge. */
  readonly grade: 'fault' | 'remark'
  readonly where: string
  readonly what: string
  /** The consequence, and what to do. */
  readonly advice: string
}

export function fault(where: string, what: string, advice: string): Finding {
  return { grade: 'fault', where, what, advice }
}

export function remark(where: string, what: string, advice: string): Finding {
  return { grade: 'remark', where, what, advice }
}

/** What a person should look at in one file, from top to bottom. */
export function findingsIn(path: string, nodes: readonly Node[]): Finding[] {
  const names = moduleNames(nodes)
  const advice = 'Neither the drop-in nor its alias has such a file. Import what you need from the package itself.'
  const imports = moduleUses(nodes)
    .filter(({ specifier }) => isMissingFile(specifier))
    .map(({ specifier, line }) => ({ line, what: `imports "${specifier}", an internal file`, advice }))
  const calls = nodes.flatMap((node) => {
    if (node.type !== 'CallExpression' && node.type !== 'NewExpression') return []
    return remarksAt(node, names).flatMap((name) => (name ? [{ line: lineOf(node), ...remarks[name] }] : []))
  })
  return [...imports, ...calls]
    .sort((a, b) => a.line - b.line)
    .map(({ line, what, advice }) => remark(`${path}:${line}`, what, advice))
}

/** Names of remarks; `false` where one does not apply. */
type Remarks = readonly (keyof typeof remarks | false)[]

function remarksAt(node: CallExpression | NewExpression, names: ReadonlyMap<string, string>): Remarks {
  const { callee } = node
  const isMember = callee.type === 'MemberExpression'
  const object = isMember ? callee.object : undefined
  // require('express-session')({ … }), new (require('passport-google-oauth20').Strategy)({ … })
  const specifier = names.get(nameOf(callee) ?? nameOf(object) ?? '') ?? moduleLoadedBy(callee) ?? ''
  const [argument] = node.arguments
  if (node.type === 'NewExpression') return strategyRemarks(specifier, optionsOf(argument))
  // A method of the module, such as passport.use(), takes no options of the module.
  if (isMember && nameOf(callee.property) !== 'default') return []
  switch (originalOf(specifier)) {
    case 'express-session':
      return sessionRemarks(argument === undefined ? new Map() : optionsOf(argument))
    case 'cookie-session':
      return cookieSessionRemarks(optionsOf(argument))
    default:
      return []
  }
}

/** The options of an object literal, by name; `undefined` if they come from elsewhere. */
type Options = ReadonlyMap<string, Node> | undefined

function optionsOf(argument: Node | undefined): Options {
  if (argument?.type !== 'ObjectExpression') return undefined
  const options = new Map<string, Node>()
  for (const property of argument.properties) {
    if (property.type === 'SpreadElement') return undefined
    const value = property.type === 'ObjectProperty' ? property.value : property
    options.set(nameOf(property.key) ?? textOf(property.key) ?? '', value)
  }
  return options
}

function sessionRemarks(options: Options): Remarks {
  if (options === undefined) return ['unreadableSession']
  const cookie = options.has('cookie') ? optionsOf(options.get('cookie')) : new Map()
  return [
    !options.has('store') && 'noStore',
    isSecretText(options.get('secret')) && 'secretInSource',
    !isFalse(options.get('resave')) && 'resave',
    !isFalse(options.get('saveUninitialized')) && 'saveUninitialized',
    ...(cookie === undefined ? [] : cookieRemarks(cookie)),
  ]
}

function cookieSessionRemarks(options: Options): Remarks {
  if (options === undefined) return ['unreadableCookieSession']
  const keys = options.get('keys')
  const isSecretList = keys?.type === 'ArrayExpression' && isSecretText(keys)
  return [
    (isSecretList || isSecretText(options.get('secret'))) && 'secretInSource',
    isFalse(options.get('signed')) && 'notSigned',
    ...cookieRemarks(options),
  ]
}

function cookieRemarks(options: NonNullable<Options>): Remarks {
  const sameSite = options.get('sameSite')
  return [
    (!options.has('secure') || isFalse(options.get('secure'))) && 'notSecure',
    (sameSite === undefined || isFalse(sameSite)) && 'noSameSite',
    textOf(sameSite)?.toLowerCase() === 'none' && 'sameSiteNone',
    isFalse(options.get('httpOnly')) && 'notHttpOnly',
  ]
}

/** A strategy with the option `clientID` is one of OAuth 2. */
function strategyRemarks(specifier: string, options: Options): Remarks {
  const isOAuth = /^(?:@[\w-]+\/)?passport-/.test(specifier) && options?.has('clientID') === true
  const remembers = ['state', 'store', 'sessionKey'].some((name) => options?.has(name) && !isFalse(options.get(name)))
  return [isOAuth && !remembers && 'noState']
}

function isFalse(value: Node | undefined): boolean {
  return value?.type === 'BooleanLiteral' && !value.value
}

/** A text, or a list with a text in it. */
function isSecretText(value: Node | undefined): boolean {
  const texts = value?.type === 'ArrayExpression' ? value.elements : [value]
  return texts.some((text) => textOf(text) !== undefined)
}

const lookYourself = 'Look yourself for `store`, `resave`, `saveUninitialized`, and the attributes of the cookie.'
const remarks = {
  unreadableSession: { what: 'the options of express-session come from elsewhere', advice: lookYourself },
  unreadableCookieSession: { what: 'the options of cookie-session come from elsewhere', advice: lookYourself },
  noStore: {
    what: 'no `store`: sessions are kept in memory',
    advice: 'A restart ends all logins, and a second process does not see them. Give it a store in production.',
  },
  secretInSource: {
    what: 'a secret is written in the source',
    advice:
      'All who can read the code can sign cookies. Take the secret from the environment: put a new one first and this one second, so that logins stay.',
  },
  resave: {
    what: '`resave` is on, or left to its default',
    advice:
      'The drop-in ignores it: it writes only what a request changed, and never undoes another request. Set `resave: false` so that the original behaves if you go back.',
  },
  saveUninitialized: {
    what: '`saveUninitialized` is on, or left to its default',
    advice: 'Every visitor and every robot gets a stored session and a cookie. Set it to false unless you need that.',
  },
  notSigned: {
    what: '`signed: false`',
    advice: 'Any visitor can write a session of their choice. Sign it with `keys`.',
  },
  notSecure: {
    what: 'the cookie is not `secure`',
    advice: "It is also sent over http. Set `secure: 'auto'` or true, and `trust proxy` behind a proxy.",
  },
  noSameSite: { what: 'no `sameSite`', advice: "Browsers differ in their default. Set `sameSite: 'lax'`." },
  sameSiteNone: {
    what: "`sameSite: 'none'`",
    advice: 'Other sites can send requests as your users. Make every unsafe route check where a request comes from.',
  },
  notHttpOnly: {
    what: '`httpOnly: false`',
    advice: 'Any script on the page can read the cookie and send it elsewhere. Leave it out.',
  },
  noState: {
    what: 'an OAuth 2 strategy without `state`',
    advice: 'Another site can log your visitors in to an account of its own. Set `state: true`.',
  },
} as const
