import { equal } from '../../crypto/equal.ts'
import { checkKeys, Keyring, type Keys } from '../../crypto/keyring.ts'
import { randomHandle, randomToken, sha256Hex } from '../../crypto/random.ts'
import { checkOptions, type OptionKinds, ProtocolError, StoreError, subjectText } from '../../error.ts'
import type { Exchange } from '../../http/exchange.ts'
import { report } from '../../report.ts'
import { deviceOf, type LoginProof, readAbout } from '../../session/about.ts'
import { hooksOf } from '../../session/hooks.ts'
import type { SessionManager } from '../../session/manager.ts'
import type { SessionId, SessionRecord, Timestamp } from '../../session/store.ts'
import { checkUsers, hasCurrentStamp, type Users } from '../users.ts'

export interface RefreshTokenOptions<User = unknown> {
  /** Where families of refresh tokens are stored, among the sessions: they are listed and ended with them. */
  sessions: SessionManager<object>
  /** The `users` of `gatepass()`: a family ends when its user is gone, or has another stamp than at the login. */
  users: Users<User>
  /** Keys of at least 32 characters that make the next token: the first makes it, all are tried in the grace period. */
  keys: Keys
  clock?: () => Timestamp
  onEvent?: (event: RefreshEvent) => void
}

/** A refresh token was used twice: it or the next one was stolen. The family has ended. */
export interface RefreshEvent {
  readonly type: 'refresh_reused'
  readonly session: SessionId
  readonly subject: string
}

const refreshTokenOptions: OptionKinds<RefreshTokenOptions> = {
  sessions: 'object',
  users: 'object',
  keys: 'any',
  clock: 'function',
  onEvent: 'function',
}

/** The user and client of a new family of refresh tokens. */
export interface RefreshGrant {
  subject: string
  /** When and how the user logged in: the `login` of the session. Needed if `users` has a `stamp`. */
  login?: LoginProof | undefined
  /** The client that may use the family. Default: clients that name no id. */
  clientId?: string
  scope?: readonly string[]
}

/** A refresh token, and what an access token for it needs: hand this to `AccessTokens.issue`. */
export interface Refreshed {
  readonly type: 'refreshed'
  /** Keep it in place of the presented token. */
  readonly token: string
  readonly id: SessionId
  readonly subject: string
  readonly login: LoginProof | undefined
  readonly scope?: readonly string[]
  readonly clientId?: string
  /** When the family ends if it is not used. */
  readonly expiresAt: Timestamp
}

/**
 * `ended`: the token is unknown or its family has ended, or the user is gone or has other credentials. `reused`: it was used
 * before. `client`: it belongs to another client.
 */
export interface RefreshRefusal {
  readonly type: 'refused'
  readonly reason: 'ended' | 'reused' | 'client'
}

/** The state of a family. */
interface Family {
  /** SHA-256 of the token that is valid. */
  readonly current: string
  /** SHA-256 of the token before. */
  readonly previous?: string
  /** The previous token, this nonce and the server's key make the current token. */
  readonly nonce: string
  readonly rotatedAt: Timestamp
  /** The kind of device that got the current token. */
  readonly device: string
  readonly clientId?: string
  readonly scope?: readonly string[]
}

/** The name of a {@link Family} among the notes of a record. */
const NOTES = 'refresh'
/** How long the previous token still returns the current one, in milliseconds: two tabs may ask at once. */
const GRACE = 10_000
const MAX_ATTEMPTS = 9
const SHAPE = /^([\w-]{43})\.([\w-]{43})$/

/**
 * Refresh tokens (RFC 6749 §6, RFC 9700 §4.14): opaque, and replaced with every use. If one is used twice, the whole family
 * ends. A token has two parts. The first names the family, which is a session in the store; the second is the generation.
 * Without the first part an attacker can neither use nor end a family.
 */
export class RefreshTokens {
  readonly #sessions: SessionManager<object>
  readonly #users: Users<unknown>
  readonly #rings: readonly Keyring[]
  readonly #clock: () => Timestamp
  readonly #onEvent: ((event: RefreshEvent) => void) | undefined

  constructor(options: RefreshTokenOptions) {
    checkOptions('refreshTokens()', options, refreshTokenOptions, 'ERR_TOKEN_OPTIONS')
    checkUsers(options.users)
    checkKeys(options.keys)
    this.#sessions = options.sessions
    this.#users = options.users
    this.#rings = options.keys.map((key) => new Keyring([key], 'refresh-token'))
    this.#clock = options.clock ?? Date.now
    this.#onEvent = options.onEvent
  }

  /**
   * Begins a family. It lives as long as a remembered session: 14 days unused, 30 in all.
   *
   * @throws {ProtocolError} `ERR_TOKEN_SCOPE` (403) in a request that carries a token itself
   */
  async begin(exchange: Exchange, grant: RefreshGrant): Promise<Refreshed> {
    // A stolen access token is valid for ten minutes. It must not bring a token that is valid for a month.
    if (hooksOf(this.#sessions).adopted(exchange)) {
      throw new ProtocolError('ERR_TOKEN_SCOPE', 'A request with a token cannot begin a family of refresh tokens', {
        status: 403,
        hint: 'Send the request with the session cookie and without Authorization.',
      })
    }
    const [secret, generation] = [randomToken(), randomToken()]
    const now = this.#clock()
    const family: Family = {
      current: sha256Hex(generation),
      nonce: randomHandle(),
      rotatedAt: now,
      device: deviceOf(exchange.header('user-agent')),
      ...(grant.clientId !== undefined && { clientId: grant.clientId }),
      ...(grant.scope !== undefined && { scope: grant.scope }),
    }
    // Without a login its time is unknown: too long ago for every `maxAge`.
    const login = { ...(grant.login ?? { at: 0, amr: [] }), remembered: true }
    const start = {
      id: familyId(secret),
      subject: subjectText('refreshTokens().begin()', grant.subject),
      login,
      notes: { [NOTES]: family },
    }
    return refreshed(await hooksOf(this.#sessions).begin(exchange, start), family, `${secret}.${generation}`)
  }

  /**
   * Exchanges a token for the next one. Requests with the same token all get the same next token, within ten seconds and from
   * the same kind of device. A later use, or one from another device, ends the family. So does a changed password, and an
   * account that is gone.
   *
   * @throws {StoreError} and what `users.find` throws: then nothing has changed
   */
  async refresh(
    exchange: Exchange,
    token: string,
    options: { readonly clientId?: string } = {},
  ): Promise<Refreshed | RefreshRefusal> {
    const [, secret = '', generation = ''] = SHAPE.exec(token) ?? []
    if (secret === '') return ENDED
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const record = await hooksOf(this.#sessions).record(familyId(secret))
      const family = record && familyOf(record)
      if (record === undefined || family === undefined) return ENDED
      if (family.clientId !== options.clientId) return { type: 'refused', reason: 'client' }
      if (!(await this.#stands(record))) {
        await this.#sessions.revoke(record.id)
        return ENDED
      }
      const presented = { record, family, secret, generation }
      const hash = sha256Hex(generation)
      if (equal(hash, family.current)) {
        const next = await this.#rotate(exchange, presented)
        if (next !== undefined) return next
        // Another request changed the record meanwhile.
        continue
      }
      const successor = this.#successor(exchange, presented, hash)
      if (successor !== undefined) return refreshed(record, family, successor)
      await this.#sessions.revoke(record.id)
      const event: RefreshEvent = { type: 'refresh_reused', session: record.id, subject: record.subject ?? '' }
      report('refreshTokens()', () => this.#onEvent?.(event))
      return { type: 'refused', reason: 'reused' }
    }
    throw new StoreError(
      'ERR_SESSION_CONFLICT',
      `A refresh token's session was changed by others ${MAX_ATTEMPTS} times`,
      {
        hint: 'Too many requests write to the data of this session at once.',
      },
    )
  }

  /** Ends the family of a token, for a logout (RFC 7009). Does nothing if there is none. */
  async end(token: string): Promise<void> {
    const [, secret] = SHAPE.exec(token) ?? []
    if (secret !== undefined) await this.#sessions.revoke(familyId(secret))
  }

  /** Whether the user still exists, with the credentials of the login. */
  async #stands({ subject, about }: SessionRecord): Promise<boolean> {
    const user = await this.#users.find(subject ?? '')
    if (user === undefined || user === null || user === false) return false
    return hasCurrentStamp(this.#users, user, readAbout(about).login)
  }

  async #rotate(exchange: Exchange, presented: Presented): Promise<Refreshed | undefined> {
    const { record, family, secret, generation } = presented
    const nonce = randomHandle()
    const child = childOf(this.#rings[0], generation, nonce)
    const next: Family = {
      ...family,
      current: sha256Hex(child),
      previous: family.current,
      nonce,
      rotatedAt: this.#clock(),
      device: deviceOf(exchange.header('user-agent')),
    }
    const renewed = await hooksOf(this.#sessions).renew(record, { [NOTES]: next })
    return renewed && refreshed(renewed, next, `${secret}.${child}`)
  }

  /** The current token again, for a request with the previous token that comes soon after and from the same kind of device. */
  #successor(exchange: Exchange, { family, secret, generation }: Presented, hash: string): string | undefined {
    if (family.previous === undefined || !equal(hash, family.previous)) return undefined
    if (this.#clock() - family.rotatedAt > GRACE) return undefined
    if (deviceOf(exchange.header('user-agent')) !== family.device) return undefined
    // The key may have been rotated in these ten seconds.
    const children = this.#rings.map((ring) => childOf(ring, generation, family.nonce))
    const child = children.find((candidate) => equal(sha256Hex(candidate), family.current))
    return child === undefined ? undefined : `${secret}.${child}`
  }
}

interface Presented {
  readonly record: SessionRecord
  readonly family: Family
  readonly secret: string
  readonly generation: string
}

const ENDED: RefreshRefusal = { type: 'refused', reason: 'ended' }

/**
 * Makes refresh tokens: opaque tokens that are exchanged for access tokens, and replaced each time.
 *
 * @throws {UsageError} `ERR_COOKIE_KEYS`
 */
export function refreshTokens<User>(options: RefreshTokenOptions<User>): RefreshTokens {
  return new RefreshTokens(options)
}

/** Differs from the id of a session cookie with the same secret, so that neither can be used as the other. */
function familyId(secret: string): SessionId {
  return sha256Hex(`gatepass:refresh-family:${secret}`) as SessionId
}

/** The next generation. It is computed, so that it need not be stored for requests that ask twice. */
function childOf(ring: Keyring | undefined, generation: string, nonce: string): string {
  return ring === undefined ? '' : ring.sign(`${generation}.${nonce}`)
}

/** `undefined` for a session of another kind. */
function familyOf(record: SessionRecord): Family | undefined {
  return readAbout(record.about)[NOTES] as Family | undefined
}

function refreshed(record: SessionRecord, family: Family, token: string): Refreshed {
  const { id, subject, expiresAt } = record
  const { clientId, scope } = family
  return {
    type: 'refreshed',
    token,
    id,
    subject: subject ?? '',
    login: readAbout(record.about).login,
    expiresAt,
    ...(clientId !== undefined && { clientId }),
    ...(scope !== undefined && { scope }),
  }
}
