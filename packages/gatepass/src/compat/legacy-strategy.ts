import { randomToken } from '../crypto/random.ts'
import { checkOptions, GatepassError, type OptionKinds, UsageError } from '../error.ts'
import { bodilessMethods } from '../http/body.ts'
import { type Exchange, queryOf } from '../http/exchange.ts'
import { NodeExchange } from '../http/node.ts'
import type { Failure, Outcome } from '../passport/outcome.ts'
import { type Attempt, LONGEST_LOGIN, type LoginFlow, type Strategy } from '../passport/strategy.ts'
import { isCancelled } from '../protocols/oauth2/callback.ts'
import { failureOf, linkEnded, trustedOrigin } from '../strategies/oauth2/refusals.ts'
import { clearTimeout, setTimeout } from '../timers.ts'
import type { Done } from './callback-or-promise.ts'
import { ask, type Conclusion, type LegacyStrategy } from './passport/strategy.ts'

export type { LegacyStrategy } from './passport/strategy.ts'

export interface FromPassportOptions<Name extends string = string> {
  /** Default: the strategy's own name. */
  name?: Name
  /** Seconds within which the strategy must conclude. Default 30. */
  timeout?: number
  /**
   * Whether each login proves at that moment who the person is: by a password, or on a way to a provider and back. Guards with
   * `maxAge` then accept it. Default false, because a strategy may accept a token of last year. A strategy that gets its
   * `state` from us does not need it.
   */
  provedNow?: boolean
}

const fromPassportOptions: OptionKinds<FromPassportOptions> = {
  name: 'string',
  timeout: 'number',
  provedNow: 'boolean',
}

/**
 * Adapts a strategy made for Passport, from npm or your own, to `gatepass({ strategies })` on the adapters for Node. The first
 * call of `success`, `fail`, `redirect`, `pass` or `error` is its outcome. On the request it finds `query`, `body`, `res` and,
 * as `req.session`, the session's data. Host, protocol and address there follow `origin` and `trustProxy`. A strategy of
 * passport-oauth2 that checks no `state` gets one, and PKCE.
 *
 * ```ts no-check: passport-github2 is not among our packages
 * import { Strategy as GitHub } from 'passport-github2'
 *
 * const github = fromPassport(new GitHub({ clientID, clientSecret, callbackURL }, verify))
 * ```
 *
 * TypeScript does not know the strategy's type of user, so the result fits every application.
 *
 * @throws {UsageError} `ERR_PASSPORT_STRATEGY` if it is not a strategy, `ERR_PASSPORT_OPTIONS` for a wrong `timeout`
 */
export function fromPassport<User = never, const Name extends string = string>(
  strategy: LegacyStrategy,
  options: FromPassportOptions<Name> = {},
): Strategy<User, Name> {
  checkOptions('fromPassport()', options, fromPassportOptions, 'ERR_PASSPORT_OPTIONS')
  const { provedNow = false } = options
  const name = options.name ?? strategy.name
  if (typeof strategy.authenticate !== 'function' || typeof name !== 'string') {
    const what = typeof name === 'string' ? `"${name}"` : 'without a name'
    throw new UsageError('ERR_PASSPORT_STRATEGY', `What fromPassport() got, ${what}, is not a strategy`, {
      hint: 'Pass an instance with `name` and `authenticate`: fromPassport(new Strategy(…), { name: "…" }).',
    })
  }
  const timeout = options.timeout ?? 30
  if (typeof timeout !== 'number' || !(timeout > 0 && timeout <= longestTimeout)) {
    throw new UsageError('ERR_PASSPORT_OPTIONS', '`timeout` of fromPassport() is not a number of seconds', {
      hint: 'Give seconds, more than 0: the default is 30.',
    })
  }
  let unchecked: boolean | undefined
  return {
    name: name as Name,
    // It does not say when the user proved who they are, and may have accepted a token of last year.
    ageUnknown: true,
    async authenticate(exchange, attempt): Promise<Outcome<User>> {
      if (!(exchange instanceof NodeExchange)) {
        const message = `Strategy "${name}" needs a request of Node, and this is another one`
        const hint = 'Use it with gatepass/express or another adapter for Node.'
        throw new UsageError('ERR_PASSPORT_STRATEGY', message, { hint })
      }
      if (hasRelativeCallback(strategy, attempt.options)) trustedOrigin(name, exchange)
      const session = await attempt.sessions?.open(exchange)
      const req = await requestFor(exchange, session?.data)
      const options = { ...attempt.options }
      unchecked ??= acceptsAnyState(strategy)
      const instead = unchecked ? flowState(attempt.flow, options) : undefined
      const objection = async () => ((await attempt.stillStands()) === false ? linkEnded() : undefined)
      const inquiry = { req, options, objection, ...(instead && { instead }) }
      const asked = new Promise<Conclusion>((resolve) => ask(strategy, inquiry, resolve))
      const outcome = outcomeOf<User>(await within(timeout, name, exchange, asked), exchange, name)
      const proved = provedNow && outcome.type === 'success' && attempt.clock
      return proved ? { ...outcome, at: proved() } : outcome
    },
  }
}

/** The longest timer in seconds: a timer counts milliseconds in 31 bits, and a longer one ends at once. */
const longestTimeout = (2 ** 31 - 1) / 1000

/** Whether the strategy makes its redirect URI from a path and the address of the request, as passport-oauth2 does. */
function hasRelativeCallback(strategy: LegacyStrategy, options: Attempt['options']): boolean {
  const callback: unknown = options.callbackURL ?? (strategy as { _callbackURL?: unknown })._callbackURL
  return typeof callback === 'string' && callback !== '' && !/^[a-z][a-z\d+.-]*:/i.test(callback)
}

/**
 * Limits the wait for a conclusion. A strategy that answers by itself, through `req.res`, does not conclude. The promise then
 * stays pending, because as in Passport nothing that follows may run: it would answer a second time.
 */
function within<T>(seconds: number, name: string, { response }: NodeExchange, asked: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const expire = () => {
      if (response.writableEnded) return
      const message = `Strategy "${name}" has not concluded within ${seconds} seconds`
      const hint = 'Its verify function must call its callback, or return a promise, in every case.'
      reject(new UsageError('ERR_PASSPORT_STRATEGY', message, { status: 503, hint }))
    }
    const timer = setTimeout(expire, seconds * 1000)
    asked.finally(() => clearTimeout(timer)).then(resolve, reject)
  })
}

// ── what the strategy concluded ──────────────────────────────────────────────────────────────────────────────────────

function outcomeOf<User>(conclusion: Conclusion, exchange: Exchange, name: string): Outcome<User> {
  switch (conclusion.type) {
    case 'success': {
      const { user, info } = conclusion
      return { type: 'success', user: user as User, ...(info !== undefined && { info }) }
    }
    case 'fail':
      return failure(conclusion.challenge, conclusion.status, exchange)
    case 'redirect': {
      const { url: location, status } = conclusion
      return status === 302 || status === 303 ? { type: 'redirect', location, status } : { type: 'redirect', location }
    }
    case 'pass':
      return { type: 'pass' }
    case 'error': {
      // passport-oauth2 makes a refusal of `access_denied`, and an error of every other code for a cancelled login.
      const { code } = (conclusion.error ?? {}) as { code?: unknown }
      if (typeof code === 'string' && isCancelled(code)) return { type: 'failure', reason: 'denied' }
      // A login that ended meanwhile is a refusal.
      const refused = failureOf(conclusion.error, name)
      if (refused === undefined) throw conclusion.error
      return refused
    }
  }
}

/** A challenge that is a text is for WWW-Authenticate. The message of an object is for the person who logs in. */
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

function reasonOf(challenge: unknown, status: number | undefined, { target }: Exchange): Failure['reason'] {
  if (isCancelled(/[?&]error=([a-z_]+)/.exec(target)?.[1] ?? '') || /[?&]denied=/.test(target)) return 'denied'
  const asks = typeof challenge === 'string' && !/\berror=/.test(challenge)
  return asks || status === 400 ? 'missing' : 'invalid'
}

// ── `state` for a strategy that checks none ──────────────────────────────────────────────────────────────────────────

/** Where a strategy of passport-oauth2 keeps its `state`. Its functions name the arguments that they want. */
interface StateStore {
  verify(...args: unknown[]): unknown
}

/**
 * Whether a strategy of passport-oauth2 accepts a `state` that it never issued. Then any page can log a visitor in to an account
 * of its own (RFC 6749 §10.12). A store that checks the `state` refuses this one, or throws for want of its cookie.
 */
function acceptsAnyState(strategy: LegacyStrategy): boolean {
  const { _stateStore: store } = strategy as { _stateStore?: StateStore }
  if (typeof store?.verify !== 'function') return false
  let accepted = false
  const told = (error: unknown, ok: unknown, state: unknown) => {
    accepted = !error && ok === true && state === undefined
  }
  const state = randomToken()
  const req = { method: 'GET', url: '/', headers: {}, query: { state }, body: {}, cookies: {}, session: {} }
  try {
    const returned = store.verify.length === 4 ? store.verify(req, state, {}, told) : store.verify(req, state, told)
    if (returned instanceof Promise) returned.catch(() => {})
  } catch {
    return false
  }
  return accepted
}

interface Remembered {
  readonly verifier: string | undefined
  /** The application's own state. The provider never sees it. */
  readonly state: unknown
}

/**
 * Members for such a strategy: a store whose `state` is the handle of a login flow. The flow keeps the PKCE verifier. Several
 * tabs can be on their way at once.
 */
function flowState(flow: LoginFlow, options: { state?: unknown }): Record<string, unknown> {
  const { state } = options
  delete options.state
  // passport-oauth2 calls it by the number of parameters: (req, verifier, state, meta, done). Older versions pass fewer.
  const store = (...args: unknown[]): void => {
    const done = args.at(-1) as Done
    const verifier = args.length === 5 ? (args[1] as string | undefined) : undefined
    flow.start({ verifier, state } satisfies Remembered, LONGEST_LOGIN).then((handle) => done(null, handle), done)
  }
  Object.defineProperty(store, 'length', { value: 5 })
  const verify = (...args: unknown[]): void => {
    const done = args.at(-1) as Done
    const found = typeof args[1] === 'string' ? flow.finish<Remembered>(args[1]) : Promise.resolve(undefined)
    found.then((remembered) => {
      if (remembered === undefined) done(null, false, unknownState)
      else done(null, remembered.verifier ?? true, remembered.state)
    }, done)
  }
  return { _pkceMethod: 'S256', _stateStore: { store, verify } }
}

const unknownState = { message: 'This login did not begin in this browser, or it took too long. Please try again.' }

// ── the request that the strategy sees ───────────────────────────────────────────────────────────────────────────────

/**
 * Puts over a request of Node or of a framework what Passport's middleware would have put there. What a strategy writes to the
 * result does not reach the request.
 */
async function requestFor(exchange: NodeExchange, session: object | undefined): Promise<object> {
  const { request, response, target } = exchange
  const given = request as { query?: unknown; body?: unknown }
  const over: Record<string, unknown> = { session, res: response, originalUrl: target, ...placeOf(exchange) }
  if (typeof given.query !== 'object') over.query = queryFields(queryOf(exchange))
  const body = await bodyOf(exchange)
  if (body !== undefined) over.body = body
  return Object.assign(Object.create(request, writable(Object.keys(over))) as object, over)
}

/**
 * The address of the request and its sender, in every place where strategies look for them: as `gatepass()` knows them by
 * `origin` and `trustProxy`, not as Host and the forwarded fields say. The fields of proxies are left out.
 */
function placeOf(exchange: NodeExchange): Record<string, unknown> {
  const { request, target, secure, remoteAddress } = exchange
  const { host, hostname } = new URL(exchange.origin)
  const kept = Object.entries(request.headers).filter(([name]) => !placeFields.test(name))
  const headers = { ...Object.fromEntries(kept), host }
  const socket = request.socket && Object.create(request.socket, writable(['encrypted', 'remoteAddress']))
  if (socket) Object.assign(socket, { encrypted: secure, remoteAddress })
  return {
    ...{ headers, host, hostname, secure, socket, ip: remoteAddress },
    protocol: secure ? 'https' : 'http',
    connection: socket,
    rawHeaders: Object.entries(headers).flatMap(([name, value]) => [name, String(value)]),
    url: request.url?.startsWith('/') ? request.url : target,
  }
}

/** `X-Forwarded-User` and similar fields stay: in them a proxy says who the user is. */
const placeFields =
  /^(?::authority|forwarded|x-forwarded-(?:by|for|host|port|prefix|proto|protocol|scheme|server|ssl))$/

/** Own properties, so that assignments do not reach the framework's accessors of the same names. */
function writable(names: readonly string[]): PropertyDescriptorMap {
  return Object.fromEntries(names.map((name) => [name, { writable: true, configurable: true, enumerable: true }]))
}

function queryFields(query: string): Record<string, string | string[]> {
  const fields: Record<string, string | string[]> = {}
  const params = new URLSearchParams(query)
  for (const name of new Set(params.keys())) {
    const [only = '', ...more] = params.getAll(name)
    fields[name] = more.length === 0 ? only : [only, ...more]
  }
  return fields
}

/** The fields of a form or of JSON; `undefined` for another body, which no login reads. */
async function bodyOf(exchange: NodeExchange): Promise<object | undefined> {
  if (bodilessMethods.has(exchange.method)) return undefined
  try {
    return { ...(await exchange.fields()) }
  } catch (error) {
    if (error instanceof GatepassError && error.code === 'ERR_BODY_TYPE') return undefined
    throw error
  }
}
