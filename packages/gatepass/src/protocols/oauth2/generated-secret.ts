import { importPKCS8, SignJWT } from 'jose'
import { UsageError } from '../../error.ts'

/** How long a generated secret counts, in seconds, and how long before its end another one is made. */
const LIFETIME = 3600
const MARGIN = 300

/** What a generated secret says. */
export interface SecretSubject {
  readonly issuer: string
  readonly clientId: string
  readonly audience: string
  readonly keyId: string
  /** PKCS #8, as PEM, of a P-256 key. */
  readonly privateKey: string
}

/**
 * A client secret that is a token signed with ES256, made anew when it is about to expire.
 *
 * @throws {UsageError} `ERR_OAUTH_OPTIONS` when it is called, if the key is none
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
    // Without the cause, which may quote the key.
    throw new UsageError('ERR_OAUTH_OPTIONS', '`privateKey` is no PKCS #8 key for ES256, as PEM', {
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
