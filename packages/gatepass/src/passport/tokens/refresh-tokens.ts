import { equal } from '../../crypto/equal.ts'
import { checkKeys, Keyring, type Keys } from '../../crypto/keyring.ts'
import { randomHandle, randomToken, sha256Hex } from '../../crypto/random.ts'
import { checkOptions, type OptionKinds, ProtocolError, StoreError, subjectText } from '../../error.ts'
import type { Exchange } from '../../http/exchange.ts'
import { type LoginProof, readAbout } from '../../session/about.ts'
import { deviceOf } from '../../session/client.ts'
import { hooksOf } from '../../session/hooks.ts'
import type { SessionManager } from '../../session/manager.ts'
import type { SessionId, SessionRecord, Timestamp } from '../../session/store.ts'
import { checkUsers, hasCurrentStamp, type Users } from '../users.ts'

export interface RefreshTokenOptions<User = unknown> {
  /** Where families of refresh tokens are kept, among the sessions: they are listed and ended with them. */
  sessions: SessionManager<object>
  /** What `gatepass()` was given: a family ends when its user is gone, or has another stamp than at the login. */
  users: Users<User>
  /** For the successors of tokens, at least 32 characters each: the first makes them, all are tried in the grace period. */
  keys: Keys
  clock?: () => Timestamp
  onEvent?: (event: RefreshEvent) => void
}

/** Somebody presented a refresh token that had been used: it, or its successor, is in the wrong hands. The family has ended. */
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

/** For whom a family of refresh tokens begins. */
export interface RefreshGrant {
  subject: string
  /** When and how they proved who they are: that of the session it is made from. Needed where `users` has a `stamp`. */
  login?: LoginProof | undefined
  /** The client that may use it. Default: none in particular. */
  clientId?: string
  scope?: readonly string[]
}

/** A refresh token, and what an access token beside it says: hand this to `AccessTokens.issue`. */
export interface Refreshed {
  readonly type: 'refreshed'
  /** To be kept in place of the one that was presented. */
  readonly token: string
  readonly id: SessionId
  readonly subject: string
  readonly login: LoginProof | undefined
  readonly scope?: readonly string[]
  readonly clientId?: string
  /** When the family ends if it is not used. */
  readonly expiresAt: Timestamp
}

/** `ended`: there is no such token any more, or never was, or its user is gone or has other credentials by now. `reused`: it was used before. `client`: it is another one's. */
export interface RefreshRefusal {
  readonly type: 'refused'
  readonly reason: 'ended' | 'reused' | 'client'
}

/** What a family knows of its tokens. */
interface Family {
  /** SHA-256 of the token that counts. */
  readonly current: string
  /** SHA-256 of the one before. */
  readonly previous?: string
  /** With the one before and the server's key it makes the current one. */
  readonly nonce: string
  readonly rotatedAt: Timestamp
  /** What the current one was given to. */
  readonly device: string
  readonly clientId?: string
  readonly scope?: readonly string[]
}

/** Under which name a record keeps its {@link Family}. */
const NOTES = 'refresh'
/** For how long the token before the current one gives the current one, in milliseconds: two tabs may ask at once. */
const GRACE = 10_000
const MAX_ATTEMPTS = 9
const SHAPE = /^([\w-]{43})\.([\w-]{43})$/

/**
 * Refresh tokens (RFC 6749 §6, RFC 9700 §4.14): opaque, replaced with every use, ended with all their successors when one is
 * used twice. A token has two parts. The first names the family, which is a session in the store; the second is the
 * generation. Whoever does not know the first can neither use nor end anything.
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
    if (hooksOf(this.#sessions).adopted(exchange)) throw fromToken()
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
    // Without a login it is unknown when it was proved: too long ago for every `maxAge`.
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
   * The next token. Of several requests with the same one, all get the same next one, within ten seconds and from the same
   * kind of device; whatever comes later or from elsewhere ends the family. So does a changed password, and an account that
   * is gone.
   *
   * @throws {StoreError} and whatever `users.find` throws: then nothing has changed
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
      if (!(await this.#stands(record))) return this.#end(record)
      const answer = await this.#use(exchange, { record, family, secret, generation })
      if (answer !== undefined) return answer
    }
    throw new StoreError(
      'ERR_SESSION_CONFLICT',
      `A refresh token's session was changed by others ${MAX_ATTEMPTS} times`,
      {
        hint: 'Too many requests write to the data of this session at once.',
      },
    )
  }

  /** Ends the family of a token, for a logout (RFC 7009). Harmless where there is none. */
  async end(token: string): Promise<void> {
    const [, secret] = SHAPE.exec(token) ?? []
    if (secret !== undefined) await this.#sessions.revoke(familyId(secret))
  }

  /** Whether its user is still there, with the credentials of the login. */
  async #stands({ subject, about }: SessionRecord): Promise<boolean> {
    const user = await this.#users.find(subject ?? '')
    if (user === undefined || user === null || user === false) return false
    return hasCurrentStamp(this.#users, user, readAbout(about).login)
  }

  async #end({ id }: SessionRecord): Promise<RefreshRefusal> {
    await this.#sessions.revoke(id)
    return ENDED
  }

  /** `undefined`: somebody changed the record meanwhile, look again. */
  async #use(exchange: Exchange, presented: Presented): Promise<Refreshed | RefreshRefusal | undefined> {
    const { family, generation } = presented
    const hash = sha256Hex(generation)
    if (equal(hash, family.current)) return this.#rotate(exchange, presented)
    const successor = this.#successor(exchange, presented, hash)
    return successor === undefined ? this.#endFor(presented) : refreshed(presented.record, family, successor)
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

  /** The current token once more, for a request that came with the one before, just now and from the same device. */
  #successor(exchange: Exchange, { family, secret, generation }: Presented, hash: string): string | undefined {
    if (family.previous === undefined || !equal(hash, family.previous)) return undefined
    if (this.#clock() - family.rotatedAt > GRACE) return undefined
    if (deviceOf(exchange.header('user-agent')) !== family.device) return undefined
    // The key may have been rotated in these ten seconds.
    const children = this.#rings.map((ring) => childOf(ring, generation, family.nonce))
    const child = children.find((candidate) => equal(sha256Hex(candidate), family.current))
    return child === undefined ? undefined : `${secret}.${child}`
  }

  async #endFor({ record }: Presented): Promise<RefreshRefusal> {
    await this.#sessions.revoke(record.id)
    this.#onEvent?.({ type: 'refresh_reused', session: record.id, subject: record.subject ?? '' })
    return { type: 'refused', reason: 'reused' }
  }
}

interface Presented {
  readonly record: SessionRecord
  readonly family: Family
  readonly secret: string
  readonly generation: string
}

/** A stolen access token ends after ten minutes, and that must not be how to get one that lives for a month. */
function fromToken(): ProtocolError {
  return new ProtocolError('ERR_TOKEN_SCOPE', 'A token is not good for beginning a family of refresh tokens', {
    status: 403,
    hint: 'Send the request with the session cookie and without Authorization.',
  })
}

const ENDED: RefreshRefusal = { type: 'refused', reason: 'ended' }

/**
 * Opaque tokens that are exchanged for access tokens, and replaced each time.
 *
 * @throws {UsageError} `ERR_COOKIE_KEYS`
 */
export function refreshTokens<User>(options: RefreshTokenOptions<User>): RefreshTokens {
  return new RefreshTokens(options)
}

/** Other than that of a session cookie with the same secret, so that neither can stand in for the other. */
function familyId(secret: string): SessionId {
  return sha256Hex(`gatepass:refresh-family:${secret}`) as SessionId
}

/** The next generation: computed, so that it need not be stored for those who ask for it twice. */
function childOf(ring: Keyring | undefined, generation: string, nonce: string): string {
  return ring === undefined ? '' : ring.sign(`${generation}.${nonce}`)
}

/** `undefined`: a session of another kind. */
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
