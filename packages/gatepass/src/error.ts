/** Every code an error of Gatepass can carry; never renamed, never reused. Each has an entry in `docs/errors.md`. */
export type ErrorCode =
  // cookies
  | 'ERR_COOKIE_ATTRIBUTE'
  | 'ERR_COOKIE_CONSENT'
  | 'ERR_COOKIE_DOMAIN'
  | 'ERR_COOKIE_EXPIRES'
  | 'ERR_COOKIE_KEYS'
  | 'ERR_COOKIE_MAX_AGE'
  | 'ERR_COOKIE_NAME'
  | 'ERR_COOKIE_PATH'
  | 'ERR_COOKIE_PREFIX'
  | 'ERR_COOKIE_SCHEMA'
  | 'ERR_COOKIE_SECURE_REQUIRED'
  | 'ERR_COOKIE_TOO_LARGE'
  | 'ERR_COOKIE_VALUE'
  // everywhere
  | 'ERR_NODE_VERSION'
  // http
  | 'ERR_BODY_MALFORMED'
  | 'ERR_BODY_READ'
  | 'ERR_BODY_TOO_LARGE'
  | 'ERR_BODY_TYPE'
  | 'ERR_CROSS_ORIGIN'
  | 'ERR_HTTP_OPTIONS'
  | 'ERR_HTTP_ORIGIN'
  | 'ERR_HTTP_PROXY'
  | 'ERR_RESPONSE_STARTED'
  // sessions
  | 'ERR_SESSION_CONFLICT'
  | 'ERR_SESSION_DATA'
  | 'ERR_SESSION_ENDED'
  | 'ERR_SESSION_INSECURE_ORIGIN'
  | 'ERR_SESSION_NOT_OPEN'
  | 'ERR_SESSION_OPTIONS'
  | 'ERR_SESSION_TOO_LARGE'
  | 'ERR_STORE_DUPLICATE'
  | 'ERR_STORE_FULL'
  | 'ERR_STORE_NO_INDEX'
  | 'ERR_STORE_OPTIONS'
  | 'ERR_STORE_SCHEMA'
  | 'ERR_STORE_UNAVAILABLE'
  // passport
  | 'ERR_INTERNAL'
  | 'ERR_LOGIN_REFUSED'
  | 'ERR_LOGIN_REQUIRED'
  | 'ERR_LOGIN_TOO_OLD'
  | 'ERR_PASSPORT_NO_SESSIONS'
  | 'ERR_PASSPORT_OPTIONS'
  | 'ERR_PASSPORT_STRATEGY'
  | 'ERR_PASSPORT_UNKNOWN_STRATEGY'
  | 'ERR_PASSPORT_SUBJECT'
  | 'ERR_PASSPORT_USER'
  | 'ERR_PASSPORT_USER_PENDING'
  // third-party login
  | 'ERR_OAUTH_ACCOUNT'
  | 'ERR_OAUTH_ADDRESS'
  | 'ERR_OAUTH_CALLBACK'
  | 'ERR_OAUTH_DENIED'
  | 'ERR_OAUTH_IDENTITY'
  | 'ERR_OAUTH_ISSUER'
  | 'ERR_OAUTH_LINK_ENDED'
  | 'ERR_OAUTH_OPTIONS'
  | 'ERR_OAUTH_PROVIDER'
  | 'ERR_OAUTH_RESPONSE'
  | 'ERR_OAUTH_STATE'
  | 'ERR_OAUTH_TOKEN'
  | 'ERR_OAUTH_UNAVAILABLE'
  | 'ERR_OIDC_ACR'
  | 'ERR_OIDC_AUDIENCE'
  | 'ERR_OIDC_AUTH_TIME'
  | 'ERR_OIDC_FORM'
  | 'ERR_OIDC_HASH'
  | 'ERR_OIDC_HOSTED_DOMAIN'
  | 'ERR_OIDC_ISSUER'
  | 'ERR_OIDC_LOGOUT_TOKEN'
  | 'ERR_OIDC_METADATA'
  | 'ERR_OIDC_NONCE'
  | 'ERR_OIDC_SIGNATURE'
  | 'ERR_OIDC_SUBJECT'
  | 'ERR_OIDC_TIME'
  | 'ERR_OIDC_USERINFO'
  // tokens
  | 'ERR_JWT_KEYS'
  | 'ERR_JWKS_UNAVAILABLE'
  | 'ERR_TOKEN_OPTIONS'
  | 'ERR_TOKEN_SCOPE'
  // passwords
  | 'ERR_PASSWORD_BUSY'
  | 'ERR_PASSWORD_HASHER_MISSING'
  | 'ERR_PASSWORD_OPTIONS'
  | 'ERR_PASSWORD_PEPPER'
  | 'ERR_PASSWORD_UNUSABLE'

/** What an error carries besides its code and message. */
export interface ErrorDetails {
  /** What to do about it, in a sentence. */
  hint?: string
  cause?: unknown
  /** HTTP status, where it differs from the class's own. */
  status?: number
  /** Seconds after which trying again makes sense; sent as Retry-After (RFC 9110 §10.2.3). */
  retryAfter?: number
}

/** The root of every error that Gatepass throws. Match on `code`, never on the message; neither holds a secret. */
export abstract class GatepassError extends Error {
  readonly code: ErrorCode
  readonly status: number
  readonly hint: string | undefined
  readonly retryAfter: number | undefined

  protected constructor(code: ErrorCode, message: string, status: number, details: ErrorDetails) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    this.code = code
    this.status = details.status ?? status
    this.hint = details.hint
    this.retryAfter = details.retryAfter
  }
}

/** The developer must act: an option or a call is wrong. Status 500. */
export class UsageError extends GatepassError {
  override readonly name = 'UsageError'
  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(code, message, 500, details)
  }
}

/** The browser or the provider sent something that cannot be accepted. Status 400 unless said otherwise. */
export class ProtocolError extends GatepassError {
  override readonly name = 'ProtocolError'
  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(code, message, 400, details)
  }
}

/** Operations must act: a store or another resource did not do its work. Status 503, nothing was lost. */
export class StoreError extends GatepassError {
  override readonly name = 'StoreError'
  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(code, cleaned(message), 503, { retryAfter: 1, ...details, cause: withoutPasswords(details.cause) })
  }
}

/** A password in an address, and one that is named: `postgres://app:…@db`, `password=…`, `"password": "…"`. */
const passwords: readonly [RegExp, string][] = [
  // Up to the last @, since a password may hold any character: a space as well, unless a port comes first.
  [/(:\/\/)(?:[^\s/:@]*:(?!\d+(?:[\s/?,;)\]]|$))[^\n]*@|\S*@)/g, '$1…@'],
  [/(pass(?:word|wd|phrase)?|pwd)(["'`]?\s*[=:]\s*)(?!(?:YES|NO)\b)("[^"]*"?|'[^']*'?|`[^`]*`?|[^\s&;,]+)/gi, '$1$2…'],
  [/(IDENTIFIED BY\s+)("[^"]*"?|'[^']*'?)/gi, '$1…'],
  [/(\bAUTH\s+)\S+/g, '$1…'],
]
/** A member of an error, or of the options in it, that is a password. */
const passwordMember = /^(?:.*pass(?:word|wd|phrase)?|pwd)$/i

/**
 * What a driver threw may quote the address that it was given, or hold its options. Texts of errors are changed in place: the
 * error stays what it is. Of options that hold a password a copy takes the place, since the driver goes on using its own.
 */
function withoutPasswords(value: unknown, known: Map<object, unknown> = new Map()): unknown {
  if (typeof value === 'string') return cleaned(value)
  if (typeof value !== 'object' || value === null) return value
  if (value instanceof URL) return cleaned(value.href) === value.href ? value : cleaned(value.href)
  if (known.has(value)) return known.get(value)
  const prototype: unknown = Object.getPrototypeOf(value)
  const isError = value instanceof Error
  if (!isError && !Array.isArray(value) && prototype !== Object.prototype && prototype !== null) return value
  const cleanCopy: object = isError ? value : Array.isArray(value) ? [] : {}
  known.set(value, cleanCopy)
  let changed = false
  for (const key of isError ? Object.getOwnPropertyNames(value) : Object.keys(value)) {
    const member: unknown = Reflect.get(value, key)
    const secret = passwordMember.test(key) && member !== undefined && member !== null
    const clean = secret ? '…' : withoutPasswords(member, known)
    changed ||= clean !== member
    if (!isError || clean !== member) Reflect.set(cleanCopy, key, clean)
  }
  return changed ? cleanCopy : value
}

function cleaned(text: string): string {
  return passwords.reduce((rest, [pattern, instead]) => rest.replace(pattern, instead), text)
}

/** What kind of thing a value is, for an error: never the value itself, which may be a secret. */
export function kindOf(value: unknown): string {
  if (value === undefined || value === null || value === true || value === false) return String(value)
  if (typeof value === 'string')
    return noKeys.has(value) ? `the text "${value}"` : value.trim() === '' ? 'an empty text' : 'a text'
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list'
  if (value instanceof Error) return 'an Error'
  if (typeof value !== 'object') return `a ${typeof value}`
  return 'then' in value && typeof value.then === 'function' ? 'a promise' : 'an object'
}

/** What `String(…)` makes of a key that is not there: all users would share it. */
const noKeys: ReadonlySet<string> = new Set([
  ...['undefined', 'null', 'true', 'false', 'NaN', 'Infinity', '-Infinity', 'Invalid Date'],
  ...['[object Object]', '[object Promise]'],
])
/** The same of objects, symbols, classes, functions and methods. */
const noKeyForms =
  /^(?:\[object .*\]|Symbol\(.*\)|class\b.*\{.*\}|(?:async )?(?:function\b.*\}|(?:\(.*\)|[\w$]+)\s*=>.*|[\w$]+\s*\(.*\)\s*\{.*\}))$/s

/** Whether text can tell one user from another: it is not empty, and not what `String(…)` makes of a missing key. */
export function isKeyText(value: unknown): value is string {
  if (typeof value !== 'string') return false
  const text = value.trim()
  return text !== '' && !noKeys.has(text) && !noKeyForms.test(text)
}

/**
 * A subject, as it may be kept.
 *
 * @param giver what the application calls the place that it comes from
 * @throws {UsageError} `ERR_PASSPORT_SUBJECT`
 */
export function subjectText(giver: string, subject: unknown): string {
  if (isKeyText(subject)) return subject
  throw new UsageError('ERR_PASSPORT_SUBJECT', `${giver} gave ${kindOf(subject)}`, {
    hint: 'Give a stable, non-empty text for each user: user.id, or user.id.toString() for a numeric key. Does the user have that member?',
  })
}

/** What an option may be: what `typeof` says, or a list; `needed` is a function that must be there, `any` is checked elsewhere. */
export type OptionKind = 'string' | 'number' | 'boolean' | 'function' | 'object' | 'list' | 'needed' | 'any'

/** Every option by its name. TypeScript holds the list complete, for a type that is a union too. */
export type OptionKinds<Options> = Readonly<
  Record<Options extends unknown ? Extract<keyof Options, string> : never, OptionKind>
>

/**
 * Refuses options that do not exist or have a wrong type. JavaScript would ignore them, so that a misspelt timeout is the
 * default one, or fail when a person logs in.
 *
 * @param where what takes the options, for the error: `local()`
 * @param others `allowed` where the object is the application's own: then a name is refused only if it looks like an option that is
 *   not given
 * @throws {UsageError} with `code`, naming the option and what may be meant
 */
export function checkOptions(
  where: string,
  options: unknown,
  known: Readonly<Record<string, OptionKind>>,
  code: ErrorCode,
  others: 'refused' | 'allowed' = 'refused',
): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new UsageError(code, `${where}: the options are ${kindOf(options)}, not an object`)
  }
  const given = options as Readonly<Record<string, unknown>>
  // An object of a class is the application's own, and may have members of its own.
  const prototype: unknown = Object.getPrototypeOf(options)
  const names = prototype === Object.prototype || prototype === null ? Object.keys(options) : []
  for (const name of names) {
    if (Object.hasOwn(known, name) || given[name] === undefined) continue
    const meant = closest(name, Object.keys(known))
    if (others === 'allowed' && (meant === undefined || given[meant] !== undefined)) continue
    throw new UsageError(code, `${where}: there is no option \`${name.slice(0, 40)}\``, {
      hint: meant === undefined ? `The options are ${Object.keys(known).join(', ')}.` : `Did you mean \`${meant}\`?`,
    })
  }
  for (const [name, kind] of Object.entries(known)) {
    const value = given[name]
    if (kind === 'any' || (value === undefined && kind !== 'needed') || isKind(kind, value)) continue
    throw new UsageError(code, `${where}: \`${name}\` is ${kindOf(value)}, not ${kindNames[kind]}`)
  }
}

function isKind(kind: Exclude<OptionKind, 'any'>, value: unknown): boolean {
  if (kind === 'list') return Array.isArray(value)
  return value !== null && typeof value === (kind === 'needed' ? 'function' : kind)
}

const kindNames: Readonly<Record<Exclude<OptionKind, 'any'>, string>> = {
  string: 'a text',
  number: 'a number',
  boolean: 'true or false',
  function: 'a function',
  needed: 'a function',
  object: 'an object',
  list: 'a list',
}

/** What other packages call some of our options. */
const elsewhere: ReadonlyMap<string, string> = new Map([
  ['secret', 'keys'],
  ['ttl', 'idleTimeout'],
  ['maxAge', 'absoluteTimeout'],
])

/** The name that was probably meant: a third of its letters apart at most. */
function closest(name: string, known: readonly string[]): string | undefined {
  const ours = elsewhere.get(name)
  if (ours !== undefined && known.includes(ours)) return ours
  const apart = known.map((one) => ({ one, letters: distance(name.toLowerCase(), one.toLowerCase()) }))
  const [best] = apart.sort((a, b) => a.letters - b.letters)
  return best !== undefined && best.letters <= Math.max(1, name.length / 3) ? best.one : undefined
}

/** How many letters must be put in, left out, replaced, or change places with their neighbour (Levenshtein, Damerau). */
function distance(one: string, other: string): number {
  const rows = [Array.from({ length: other.length + 1 }, (_, n) => n)]
  const at = (i: number, j: number): number => rows[i]?.[j] ?? 0
  for (let i = 1; i <= one.length; i++) {
    const row = [i]
    rows.push(row)
    for (let j = 1; j <= other.length; j++) {
      const same = one[i - 1] === other[j - 1]
      const swapped = i > 1 && j > 1 && one[i - 1] === other[j - 2] && one[i - 2] === other[j - 1]
      const ways = [at(i - 1, j) + 1, at(i, j - 1) + 1, at(i - 1, j - 1) + (same ? 0 : 1)]
      row.push(Math.min(...ways, swapped ? at(i - 2, j - 2) + 1 : Number.POSITIVE_INFINITY))
    }
  }
  return at(one.length, other.length)
}

// Every entry loads this file: an old Node is told here, rather than by the first function that it lacks, perhaps in the
// middle of a login. Other runtimes say which Node they are like, and a browser says nothing.
const OLDEST_NODE = '22.13'
const node = globalThis.process?.versions?.node ?? OLDEST_NODE
if (node.localeCompare(OLDEST_NODE, 'en', { numeric: true }) < 0) {
  throw new UsageError('ERR_NODE_VERSION', `Gatepass needs Node ${OLDEST_NODE} or newer, and this is Node ${node}`, {
    hint: 'Install a newer Node, and look at which one starts the application: node --version.',
  })
}
