import { type ServerResponse, STATUS_CODES } from 'node:http'
import { GatepassError, UsageError } from '../../error.ts'
import { safeLocation } from '../../http/location.ts'
import type { Done } from '../callback-or-promise.ts'
import { callBack, errorOrUnknown, type Next } from '../failures.ts'
import { equip, ownAuthenticate, recall, SessionStrategy } from './logins.ts'
import { ask, type Conclusion, type LegacyStrategy } from './strategy.ts'
import type {
  AuthenticateCallback,
  AuthenticateOptions,
  FlashWish,
  Handler,
  PassportRequest,
  SessionLogins,
} from './types.ts'

/** The parts of a Passport that `authenticate` uses. */
export interface PassportParts {
  readonly _sm: SessionLogins
  _strategy(name: string): LegacyStrategy | undefined
  transformAuthInfo(info: unknown, req: object, done: Done): unknown
}

export type Asked = string | LegacyStrategy | readonly (string | LegacyStrategy)[]

/** What one strategy gave as its reason to refuse. */
export interface Refusal {
  readonly strategy: string
  readonly challenge: unknown
  readonly status: number | undefined
}

/** Every strategy refused, and `failWithError` asked for an error instead of an answer. */
export class AuthenticationError extends GatepassError {
  override readonly name = 'AuthenticationError'
  /** What each strategy said, in the order of asking. */
  readonly refusals: readonly Refusal[]

  constructor(message: string, status: number | undefined, refusals: readonly Refusal[]) {
    super('ERR_LOGIN_REFUSED', message, status || 401, { hint: 'What each strategy said is in `refusals`.' })
    this.refusals = refusals
  }
}

/** Middleware that asks strategies who sends a request, and does what the options, or the callback, say. */
export function authenticate(
  passport: PassportParts,
  asked: Asked,
  options?: AuthenticateOptions | AuthenticateCallback,
  callback?: AuthenticateCallback,
): Handler {
  if (typeof options === 'function') return authenticate(passport, asked, {}, options)
  const several = Array.isArray(asked)
  const strategies = (several ? asked : [asked]) as readonly (string | LegacyStrategy)[]
  const shared = { passport, strategies, several, options: options ?? {}, callback }
  return function authenticate(request, response, next) {
    const req = request as unknown as PassportRequest
    equip(req, passport._sm)
    askNext({ ...shared, req, res: response as ExpressResponse, next, refusals: [] })
  }
}

type ExpressResponse = ServerResponse & { redirect(url: string): void }

/** One request, and what the strategies asked so far said. */
interface Authentication {
  readonly passport: PassportParts
  readonly strategies: readonly (string | LegacyStrategy)[]
  readonly several: boolean
  readonly options: AuthenticateOptions
  readonly callback: AuthenticateCallback | undefined
  readonly req: PassportRequest
  readonly res: ExpressResponse
  readonly next: Next
  readonly refusals: readonly Refusal[]
}

function askNext(authentication: Authentication): unknown {
  const { passport, req, options, refusals, next } = authentication
  // The strategies are asked in order, and each that was asked has refused.
  const which = authentication.strategies[refusals.length]
  if (!which) return refuse(authentication)
  const strategy = typeof which === 'object' || typeof which === 'function' ? which : passport._strategy(which)
  if (strategy === undefined) {
    const unknown = new UsageError('ERR_PASSPORT_UNKNOWN_STRATEGY', `Unknown authentication strategy "${which}"`, {
      hint: `Register it: passport.use('${which}', strategy).`,
    })
    return next(unknown)
  }
  const name = typeof which === 'string' ? which : (strategy.name ?? '')
  // Our own strategy needs no view, because it keeps nothing of a request. Every request asks it: with a view, the row “on the
  // drop-ins, memory” of `npm run bench` rises by 0.3.
  if (strategy instanceof SessionStrategy && strategy.authenticate === ownAuthenticate) {
    const done: Done = (error) => act(authentication, name, error ? { type: 'error', error } : { type: 'pass' })
    return recall(strategy, { req, options, done })
  }
  return ask(strategy, { req, options }, (conclusion) => act(authentication, name, conclusion))
}

function act(authentication: Authentication, strategy: string, conclusion: Conclusion): unknown {
  const { res, callback, next, refusals } = authentication
  switch (conclusion.type) {
    case 'success':
      return callback
        ? tell(authentication, null, conclusion.user, conclusion.info)
        : succeed(authentication, conclusion)
    case 'fail': {
      const { challenge, status } = conclusion
      return askNext({ ...authentication, refusals: [...refusals, { strategy, challenge, status }] })
    }
    case 'redirect':
      warnWithoutState(authentication.passport, strategy, conclusion.url)
      // Only Express has `res.redirect`.
      res.statusCode = conclusion.status ?? 302
      res.setHeader('Location', conclusion.url)
      res.setHeader('Content-Length', '0')
      return res.end()
    case 'pass':
      return next()
    case 'error':
      // Without an error, `next` would let the request in.
      return callback ? tell(authentication, errorOrUnknown(conclusion.error)) : next(errorOrUnknown(conclusion.error))
  }
}

/** If the callback throws, it is told of that, as in Passport (see {@link ask}). What it rejects with goes to `next`. */
function tell({ callback, next }: Authentication, ...told: Parameters<AuthenticateCallback>): void {
  const returned = callback?.(...told)
  if (returned instanceof Promise) returned.catch((error: unknown) => next(errorOrUnknown(error)))
}

// ── success ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Logs the user in, or assigns the account, leaves the messages and the auth info, and goes where the options say. */
function succeed(
  { passport, req, res, options, next }: Authentication,
  { user, info }: { user: unknown; info: unknown },
): void {
  const { assignProperty, successReturnToOrRedirect, successRedirect } = options
  // Read before the login, because the new session does not have it.
  const returnTo = req.session?.returnTo
  const goOn = (): unknown => {
    if (assignProperty || !(successReturnToOrRedirect || successRedirect)) return next()
    if (!successReturnToOrRedirect) return res.redirect(successRedirect as string)
    if (req.session) delete req.session.returnTo
    return res.redirect(targetOf(returnTo, successReturnToOrRedirect))
  }
  const loggedIn = (error?: unknown): unknown => {
    if (error) return next(error)
    // Left after the login, because the old session is gone.
    leaveMessages(req, options, 'success', info)
    if (options.authInfo === false) return goOn()
    return passport.transformAuthInfo(info || {}, req, (failure, transformed) => {
      if (failure) return next(failure)
      req.authInfo = transformed
      return goOn()
    })
  }
  // A session store or a promise calls this, and neither can handle an exception.
  const done: Done = (error) => callBack(loggedIn, [error], next)
  if (assignProperty) {
    req[assignProperty] = user
    done()
  } else req.logIn?.(user, options, done)
}

/** Applications store the path that was asked for in `returnTo`, and `//evil.example` is such a path. */
function targetOf(returnTo: unknown, fallback: string): string {
  if (typeof returnTo !== 'string' || returnTo === '') return fallback
  return /^[/\\]/.test(returnTo) ? safeLocation(returnTo, { origin: 'http://here.invalid', fallback }) : returnTo
}

// ── failure ──────────────────────────────────────────────────────────────────────────────────────────────────────────

function refuse(authentication: Authentication): void {
  const { callback, several, refusals, req, res, options, next } = authentication
  const [first] = refusals
  if (callback) {
    const told = several ? refusals.map(({ challenge }) => challenge) : first?.challenge
    const statuses = several ? refusals.map(({ status }) => status) : first?.status
    tell(authentication, null, false, told, statuses)
    return
  }
  leaveMessages(req, options, 'failure', first?.challenge)
  if (options.failureRedirect) {
    res.redirect(options.failureRedirect)
    return
  }
  const status = refusals.find((refusal) => refusal.status)?.status
  const challenges = refusals.map(({ challenge }) => challenge).filter((challenge) => typeof challenge === 'string')
  res.statusCode = status || 401
  if (res.statusCode === 401 && challenges.length > 0) res.setHeader('WWW-Authenticate', challenges)
  const words = STATUS_CODES[res.statusCode] ?? ''
  if (options.failWithError) next(new AuthenticationError(words, status, refusals))
  else res.end(words)
}

// ── messages for the next page ───────────────────────────────────────────────────────────────────────────────────────

/** What a strategy says about a success or a failure: a text, or an object with a `message` and a `type`. */
type Said = { readonly message?: unknown; readonly type?: string } | string

/** Leaves the messages that the options ask for: by `req.flash`, and in `req.session.messages`. */
function leaveMessages(
  req: PassportRequest,
  options: AuthenticateOptions,
  outcome: 'success' | 'failure',
  said: unknown,
): void {
  const { [`${outcome}Flash` as const]: flash, [`${outcome}Message` as const]: message } = options
  if (!flash && !message) return
  const words = (said || {}) as Said
  const own = typeof words === 'object' ? words.message || words : words
  if (flash) leaveFlash(req, flash, { words, own, usual: outcome === 'success' ? 'success' : 'error' })
  const text = typeof message === 'boolean' ? own : message
  if (!message || typeof text !== 'string') return
  const { session } = req
  if (!session) throw cannot('successMessage and failureMessage', 'req.session: mount a session middleware')
  session.messages ||= []
  ;(session.messages as string[]).push(text)
}

/** @param said the strategy's words, its own message in them, and the type of a message without one */
function leaveFlash(req: PassportRequest, wish: FlashWish, said: { words: Said; own: unknown; usual: string }): void {
  const { words, own, usual } = said
  const source = typeof wish === 'boolean' ? words : wish
  const type = (typeof source === 'object' && source.type) || usual
  const message = typeof wish === 'object' ? wish.message : typeof wish === 'string' ? wish : undefined
  const text = message || own
  if (typeof text !== 'string') return
  if (typeof req.flash !== 'function') throw cannot('successFlash and failureFlash', 'req.flash(): mount connect-flash')
  req.flash(type, text)
}

function cannot(options: string, need: string): UsageError {
  return new UsageError('ERR_PASSPORT_OPTIONS', `${options} need ${need} before authenticate()`, {
    hint: 'Mount it, or remove the option.',
  })
}

// ── OAuth without `state` ────────────────────────────────────────────────────────────────────────────────────────────

/** The strategies of each Passport that were warned of. */
const warned = new WeakMap<PassportParts, Set<string>>()

/**
 * Warns once of a strategy that begins a login at an OAuth provider without a `state` (RFC 6749 §10.12). Those of
 * passport-oauth2 do so unless they are told otherwise.
 */
function warnWithoutState(passport: PassportParts, name: string, url: unknown): void {
  const asked = URL.parse(String(url))?.searchParams
  if (asked?.get('response_type') !== 'code' || asked.get('state')) return
  const names = warned.get(passport) ?? new Set()
  warned.set(passport, names)
  if (names.has(name)) return
  names.add(name)
  process.emitWarning(`Strategy "${name}" accepts a callback that this browser never asked for: it has no \`state\``, {
    type: 'SecurityWarning',
    code: 'GATEPASS_OAUTH_STATE',
    detail: `Any page can log your visitors in to an account of its own. Add \`state: true\` (and \`pkce: true\`) to the options of "${name}".`,
  })
}
