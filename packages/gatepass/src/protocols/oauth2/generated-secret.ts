import { importPKCS8, SignJWT } from 'jose'
import { UsageError } from '../../error.ts'

/** Lifetime of a generated secret, and how long before its end the next one is made. Seconds. */
const LIFETIME = 3600
const MARGIN = 300

/** The content of a generated secret. */
export interface SecretSubject {
  readonly issuer: string
  readonly clientId: string
  readonly audience: string
  readonly keyId: string
  /** A P-256 key as PKCS #8 in PEM. */
  readonly privateKey: string
}

/**
 * Returns a function that makes a client secret: a token signed with ES256. It makes a new one before the old one expires.
 *
 * @throws {UsageError} `ERR_OAUTH_OPTIONS` when the returned function is called, if the private key cannot be read
 */
export function generatedSecret(subject: SecretSubject, clock: () => number): () => Promise<string> {
  let made: { secret: Promise<string>; until: number } | undefined
  return () => {
    const now = Math.floor(clock() / 1000)
    if (made === undefined || now >= made.until) {
      made = { secret: sign(subject, now), until: now + LIFETIME - MARGIN }
    }
    return made.secret
  }
}

async function sign(subject: SecretSubject, now: number): Promise<string> {
  const key = await importPKCS8(subject.privateKey, 'ES256').catch(() => {
    // Without the cause, which could quote the key.
    throw new UsageError('ERR_OAUTH_OPTIONS', '`privateKey` is not a PKCS #8 key for ES256 in PEM', {
      hint: 'Pass the text of the .p8 file, with its line breaks.',
    })
  })
  return new SignJWT()
    .setProtectedHeader({ alg: 'ES256', kid: subject.keyId })
    .setIssuer(subject.issuer)
    .setSubject(subject.clientId)
    .setAudience(subject.audience)
    .setIssuedAt(now)
    .setExpirationTime(now + LIFETIME)
    .sign(key)
}
