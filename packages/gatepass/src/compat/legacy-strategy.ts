import { checkOptions, type OptionKinds, UsageError } from '../error.ts'
import type { Exchange } from '../http/exchange.ts'
import { NodeExchange } from '../http/node.ts'
import type { Failure, Outcome, Redirect } from '../passport/outcome.ts'
import type { Attempt, Strategy } from '../passport/strategy.ts'
import { isCancelled } from '../protocols/oauth2/callback.ts'
import { failureOf, linkEnded, trustedOrigin } from '../strategies/oauth2/refusals.ts'
import { flowState } from './legacy-strategy/flow-state.ts'
import { requestFor } from './legacy-strategy/request.ts'
import { ask, type Conclusion, type LegacyStrategy } from './passport/ask.ts'

export type { LegacyStrategy } from './passport/ask.ts'

export interface FromPassportOptions<Name extends string = string> {
  /** Default: the strategy's own name. */
  name?: Name
  /** Seconds within which the strategy must conclude. Default 30. */
  timeout?: number
  /**
   * Each login proves now who the person is: by a password, or on a way to a provider and back. Guards with `maxAge` then let it
   * in. Default false, because a strategy may take a token of last year. A strategy that gets its `state` from us needs no word.
   */
  provedNow?: boolean
}

const fromPassportOptions: OptionKinds<FromPassportOptions> = {
  name: 'string',
  timeout: 'number',
  provedNow: 'boolean',
}

/**
 * A strategy made for Passport, from npm or one's own, for `gatepass({ strategies })` on the adapters for Node. What it calls
 * first (`success`, `fail`, `redirect`, `pass`, `error`) is its outcome. It finds `query`, `body`, `res` and the session's
 * data as `req.session` on the request, and there host, protocol and address as `origin` and `trustProxy` say. A strategy of passport-oauth2 that would check no `state` gets one, and PKCE.
 *
 * ```ts no-check: passport-github2 is not among our packages
 * import { Strategy as GitHub } from 'passport-github2'
 *
 * const github = fromPassport(new GitHub({ clientID, clientSecret, callbackURL }, verify))
 * ```
 *
 * What such a strategy calls a user is not known to TypeScript: it fits every application.
 *
 * @throws {UsageError} `ERR_PASSPORT_STRATEGY` if it is not a strategy, `ERR_PASSPORT_OPTIONS` for a wrong `timeout`
 */
export function fromPassport<User = never, const Name extends string = string>(
  strategy: LegacyStrategy,
  options: FromPassportOptions<Name> = {},
): Strategy<User, Name> {
  checkOptions('fromPassport()', options, fromPassportOptions, 'ERR_PASSPORT_OPTIONS')
  const name = options.name ?? strategy.name
  if (typeof strategy.authenticate !== 'function' || typeof name !== 'string') throw noStrategy(name)
  const timeout = options.timeout ?? 30
  if (typeof timeout !== 'number' || !(timeout > 0 && timeout <= longestTimeout)) throw noTimeout()
  return {
    name: name as Name,
    // It does not say when its user was asked, and may have taken a token of last year.
    ageUnknown: true,
    async authenticate(exchange, attempt): Promise<Outcome<User>> {
      if (!(exchange instanceof NodeExchange)) throw notOnNode(name)
      if (hasRelativeCallback(strategy, attempt.options)) trustedOrigin(name, exchange)
      const session = await attempt.sessions?.open(exchange)
      const req = await requestFor(exchange, session?.data)
      const conclusion = await within(timeout, name, exchange, conclusionOf(strategy, req, attempt))
      const outcome = outcomeOf<User>(conclusion, exchange, name)
      const provedNow = options.provedNow === true && outcome.type === 'success'
      return provedNow && attempt.clock ? { ...outcome, at: attempt.clock() } : outcome
    },
  }
}

/** A timer counts milliseconds in 31 bits, and one that is set for longer ends at once. */
const longestTimeout = (2 ** 31 - 1) / 1000

function noTimeout(): UsageError {
  return new UsageError('ERR_PASSPORT_OPTIONS', '`timeout` of fromPassport() is not a number of seconds', {
    hint: 'Give seconds, more than 0: the default is 30.',
  })
}

/** Whether the strategy makes its redirect URI of a path and of where the request is, as those of passport-oauth2 do. */
function hasRelativeCallback(strategy: LegacyStrategy, options: Attempt['options']): boolean {
  const callback: unknown = options.callbackURL ?? (strategy as { _callbackURL?: unknown })._callbackURL
  return typeof callback === 'string' && callback !== '' && !/^[a-z][a-z\d+.-]*:/i.test(callback)
}

function conclusionOf(strategy: LegacyStrategy, req: object, attempt: Attempt): Promise<Conclusion> {
  const options = { ...attempt.options }
  const instead = flowState(strategy, attempt.flow, options)
  const objection = async () => ((await attempt.stillStands?.()) === false ? linkEnded() : undefined)
  return new Promise((resolve) => ask(strategy, { req, options, objection, ...(instead && { instead }) }, resolve))
}

/** A strategy that answers by itself, through `req.res`, does not conclude, and need not. */
function within<T>(seconds: number, name: string, { response }: NodeExchange, asked: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => response.writableEnded || reject(tooLate(name, seconds)), seconds * 1000)
    asked.finally(() => clearTimeout(timer)).then(resolve, reject)
  })
}

function outcomeOf<User>(conclusion: Conclusion, exchange: Exchange, name: string): Outcome<User> {
  switch (conclusion.type) {
    case 'success': {
      const { user, info } = conclusion
      return { type: 'success', user: user as User, ...(info !== undefined && { info }) }
    }
    case 'fail':
      return failure(conclusion.challenge, conclusion.status, exchange)
    case 'redirect':
      return redirect(conclusion.url, conclusion.status)
    case 'pass':
      return { type: 'pass' }
    case 'error':
      // passport-oauth2 knows `access_denied` alone for a person who has cancelled.
      if (isCancellation(conclusion.error)) return { type: 'failure', reason: 'denied' }
      return refused(conclusion.error, name)
  }
}

/** A login that has ended meanwhile is a refusal; every other error is thrown on. */
function refused(error: unknown, name: string): Failure {
  const failure = failureOf(error, name)
  if (failure === undefined) throw error
  return failure
}

function redirect(location: string, status: number | undefined): Redirect {
  return status === 302 || status === 303 ? { type: 'redirect', location, status } : { type: 'redirect', location }
}

/** A challenge in words is one for WWW-Authenticate; one with a message is for the person who logs in. */
function failure(challenge: unknown, status: number | undefined, exchange: Exchange): Failure {
  const message = (challenge as { message?: unknown } | null | undefined)?.message
  return {
    type: 'failure',
    reason: reasonOf(challenge, status, exchange),
    ...(typeof challenge === 'string' && { challenge }),
    ...(typeof message === 'string' && { message }),
    ...(status !== undefined && { status }),
  }
}

function isCancellation(error: unknown): boolean {
  const { name, code } = (error ?? {}) as { name?: unknown; code?: unknown }
  return name === 'AuthorizationError' && typeof code === 'string' && isCancelled(code)
}

function reasonOf(challenge: unknown, status: number | undefined, { target }: Exchange): Failure['reason'] {
  if (isCancelled(/[?&]error=([a-z_]+)/.exec(target)?.[1] ?? '') || /[?&]denied=/.test(target)) return 'denied'
  const asks = typeof challenge === 'string' && !/\berror=/.test(challenge)
  return asks || status === 400 ? 'missing' : 'invalid'
}

function noStrategy(name: unknown): UsageError {
  const what = typeof name === 'string' ? `"${name}"` : 'without a name'
  return new UsageError('ERR_PASSPORT_STRATEGY', `fromPassport() was given no strategy, or one ${what} that is none`, {
    hint: 'Pass an instance with `name` and `authenticate`: fromPassport(new Strategy(…), { name: "…" }).',
  })
}

function notOnNode(name: string): UsageError {
  return new UsageError('ERR_PASSPORT_STRATEGY', `Strategy "${name}" is made for requests of Node, and this is none`, {
    hint: 'Use it with gatepass/express or another adapter for Node.',
  })
}

function tooLate(name: string, seconds: number): UsageError {
  return new UsageError('ERR_PASSPORT_STRATEGY', `Strategy "${name}" has not concluded within ${seconds} seconds`, {
    status: 503,
    hint: 'Its verify function must call its callback, or return a promise, in every case.',
  })
}
