import { type ServerResponse, STATUS_CODES } from 'node:http'
import { UsageError } from '../../error.ts'
import { safeLocation } from '../../http/location.ts'
import { callBack, real } from '../failures.ts'
import { ask, type Conclusion, type LegacyStrategy } from './ask.ts'
import { AuthenticationError, type Refusal } from './authentication-error.ts'
import { leaveMessages } from './messages.ts'
import type { Done } from './promises.ts'
import { equip } from './request.ts'
import { SessionStrategy } from './session-strategy.ts'
import { warnWithoutState } from './state-warning.ts'
import type { AuthenticateCallback, AuthenticateOptions, Handler, PassportRequest, SessionLogins } from './types.ts'

/** What `authenticate` needs of its Passport. */
export interface Asking {
  readonly _sm: SessionLogins
  _strategy(name: string): LegacyStrategy | undefined
  transformAuthInfo(info: unknown, req: object, done: Done): unknown
}

export type Asked = string | LegacyStrategy | readonly (string | LegacyStrategy)[]

/** Middleware that asks strategies who sends a request, and does what the options, or the callback, say. */
export function authenticate(
  passport: Asking,
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
    const recalling = asked === 'session' && callback === undefined ? passport._strategy(asked) : undefined
    // What every request is asked: no strategy of others need be asked as theirs.
    if (recalling instanceof SessionStrategy && isOurs(recalling)) recalling.recall(req, shared.options, next)
    else askNext({ ...shared, req, res: response as ExpressResponse, next, refusals: [] })
  }
}

/** Whether nobody has put another `authenticate` into its place. */
function isOurs(strategy: SessionStrategy): boolean {
  return strategy.authenticate === SessionStrategy.prototype.authenticate
}

type ExpressResponse = ServerResponse & { redirect(url: string): void }

/** One request, on its way from strategy to strategy. */
interface Attempt {
  readonly passport: Asking
  readonly strategies: readonly (string | LegacyStrategy)[]
  readonly several: boolean
  readonly options: AuthenticateOptions
  readonly callback: AuthenticateCallback | undefined
  readonly req: PassportRequest
  readonly res: ExpressResponse
  readonly next: (error?: unknown) => void
  readonly refusals: readonly Refusal[]
}

function askNext(attempt: Attempt): unknown {
  const { passport, req, options, refusals } = attempt
  const which = attempt.strategies[refusals.length]
  if (!which) return refuse(attempt)
  const strategy = typeof which === 'object' || typeof which === 'function' ? which : passport._strategy(which)
  if (strategy === undefined) return attempt.next(unknownStrategy(String(which)))
  warnWithoutState(strategy, options)
  return ask(strategy, { req, options }, (conclusion) => act(attempt, nameOf(which, strategy), conclusion))
}

function nameOf(which: string | LegacyStrategy, strategy: LegacyStrategy): string {
  return typeof which === 'string' ? which : (strategy.name ?? '')
}

function unknownStrategy(name: string): UsageError {
  return new UsageError('ERR_PASSPORT_UNKNOWN_STRATEGY', `Unknown authentication strategy "${name}"`, {
    hint: `Register it: passport.use('${name}', strategy).`,
  })
}

function act(attempt: Attempt, strategy: string, conclusion: Conclusion): unknown {
  const { callback, next } = attempt
  switch (conclusion.type) {
    case 'success':
      return callback ? tell(attempt, null, conclusion.user, conclusion.info) : admit(attempt, conclusion)
    case 'fail': {
      const { challenge, status } = conclusion
      return askNext({ ...attempt, refusals: [...attempt.refusals, { strategy, challenge, status }] })
    }
    case 'redirect':
      return redirect(attempt.res, conclusion)
    case 'pass':
      return next()
    case 'error':
      // Without an error, `next` would let the request in.
      return callback ? tell(attempt, real(conclusion.error)) : next(real(conclusion.error))
  }
}

/** What a callback throws comes back to it, as in Passport (see {@link ask}); what it rejects with goes to `next`. */
function tell({ callback, next }: Attempt, ...told: Parameters<AuthenticateCallback>): void {
  const returned = callback?.(...told)
  if (returned instanceof Promise) returned.catch((error: unknown) => next(real(error)))
}

/** Not `res.redirect`, which only Express has. */
function redirect(res: ServerResponse, { url, status = 302 }: { url: string; status: number | undefined }): void {
  res.statusCode = status
  res.setHeader('Location', url)
  res.setHeader('Content-Length', '0')
  res.end()
}

// ── success ──────────────────────────────────────────────────────────────────────────────────────────────────────────

function admit(attempt: Attempt, { user, info }: { user: unknown; info: unknown }): void {
  const { req, options, next } = attempt
  // Read before the login: a new session knows nothing of it.
  const returnTo = req.session?.returnTo
  const goOnAfter = (error?: unknown) => {
    if (error) return next(error)
    // Left after the login, for the same reason.
    leaveMessages(req, options, 'success', info)
    return tellAuthInfo(attempt, info, () => (options.assignProperty ? next() : goOn(attempt, returnTo)))
  }
  // A session store or a promise calls back, and neither knows what to do with an exception.
  const admitted: Done = (error) => callBack(goOnAfter, [error], next)
  if (options.assignProperty) {
    req[options.assignProperty] = user
    admitted()
  } else req.logIn?.(user, options, admitted)
}

function tellAuthInfo({ passport, req, options, next }: Attempt, info: unknown, then: () => unknown): unknown {
  if (options.authInfo === false) return then()
  return passport.transformAuthInfo(info || {}, req, (error, transformed) => {
    if (error) return next(error)
    req.authInfo = transformed
    return then()
  })
}

function goOn({ req, res, options, next }: Attempt, returnTo: unknown): unknown {
  const { successReturnToOrRedirect, successRedirect } = options
  if (!successReturnToOrRedirect) return successRedirect ? res.redirect(successRedirect) : next()
  if (req.session) delete req.session.returnTo
  return res.redirect(targetOf(returnTo, successReturnToOrRedirect))
}

/** What an application writes there is mostly the path that was asked for, and `//evil.example` is such a path. */
function targetOf(returnTo: unknown, fallback: string): string {
  if (typeof returnTo !== 'string' || returnTo === '') return fallback
  return /^[/\\]/.test(returnTo) ? safeLocation(returnTo, { origin: 'http://here.invalid', fallback }) : returnTo
}

// ── failure ──────────────────────────────────────────────────────────────────────────────────────────────────────────

function refuse(attempt: Attempt): void {
  const { callback, several, refusals, req, res, options } = attempt
  const [first] = refusals
  if (callback) {
    const told = several ? refusals.map(({ challenge }) => challenge) : first?.challenge
    const statuses = several ? refusals.map(({ status }) => status) : first?.status
    tell(attempt, null, false, told, statuses)
    return
  }
  leaveMessages(req, options, 'failure', first?.challenge)
  if (options.failureRedirect) res.redirect(options.failureRedirect)
  else answerRefusal(attempt)
}

function answerRefusal({ res, next, options, refusals }: Attempt): void {
  const status = refusals.find((refusal) => refusal.status)?.status
  const challenges = refusals.map(({ challenge }) => challenge).filter((challenge) => typeof challenge === 'string')
  res.statusCode = status || 401
  if (res.statusCode === 401 && challenges.length > 0) res.setHeader('WWW-Authenticate', challenges)
  const words = STATUS_CODES[res.statusCode] ?? ''
  if (options.failWithError) next(new AuthenticationError(words, status, refusals))
  else res.end(words)
}
