import { equal } from '../crypto/equal.ts'
import { checkKeys, Keyring, type Keys } from '../crypto/keyring.ts'
import { randomToken, sha256Hex } from '../crypto/random.ts'
import type { SessionId } from './store.ts'

/** 32 bytes in base64url, then an optional tag. The last character is canonical, so that one session has one token. */
const SHAPE = /^[\w-]{42}[AEIMQUYcgkosw048](?:\.[\w-]{16})?$/
const SECRET_LENGTH = 43
const TAG_LENGTH = 16

/**
 * The verdict on a token. `genuine`: its form and tag are right. `untagged`: its form is right but it has no tag, so it
 * may be from a time without keys. `malformed`, `forged`: Gatepass did not make it.
 */
export type TokenReading = 'genuine' | 'untagged' | 'malformed' | 'forged'

/**
 * Writes and reads the tokens of session cookies: a secret of 256 random bits and, with keys, a 96-bit tag over it. The
 * secret alone names the session. The tag reveals a forgery without a store call. New keys change the tag and not the
 * session.
 */
export class SessionTokens {
  readonly #rings: readonly Keyring[]

  /** @throws {UsageError} `ERR_COOKIE_KEYS` */
  constructor(keys: Keys | undefined) {
    if (keys !== undefined) checkKeys(keys)
    this.#rings = (keys ?? []).map((key) => new Keyring([key], 'session-token'))
  }

  read(token: string): TokenReading {
    if (!SHAPE.test(token)) return 'malformed'
    const tagged = token.length > SECRET_LENGTH
    if (this.#rings.length === 0) return 'genuine'
    return tagged ? this.#readTag(token) : 'untagged'
  }

  /** The token that a cookie carries for this secret. */
  write(secret: string): string {
    const current = this.#rings[0]
    return current === undefined ? secret : `${secret}.${tag(current, secret)}`
  }

  #readTag(token: string): TokenReading {
    const secret = secretOf(token)
    const sent = token.slice(SECRET_LENGTH + 1)
    return this.#rings.some((ring) => equal(tag(ring, secret), sent)) ? 'genuine' : 'forged'
  }
}

/** Makes a new secret. `SessionTokens.write` makes a token from it. */
export function mintSecret(): string {
  return randomToken()
}

/** The secret in a token that {@link SessionTokens.read} accepted. */
export function secretOf(token: string): string {
  return token.length === SECRET_LENGTH ? token : token.slice(0, SECRET_LENGTH)
}

/** The session id of a secret. The id does not open the session. */
export function idOf(secret: string): SessionId {
  return sha256Hex(secret) as SessionId
}

/** Whether text from outside has the form of a session id. */
export function isSessionId(text: string): text is SessionId {
  return /^[0-9a-f]{64}$/.test(text)
}

function tag(ring: Keyring, secret: string): string {
  return ring.sign(secret).slice(0, TAG_LENGTH)
}
