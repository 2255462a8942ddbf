import type { Claims } from './provider-token.ts'

/** A user's identity at a provider. `issuer` and `subject` together are the only key that never belongs to another user. */
export interface Identity {
  readonly issuer: string
  readonly subject: string
  /** May change, and may later belong to another user: do not find accounts by it. */
  readonly email: string | undefined
  /** Whether the provider says that the mailbox belongs to this user. */
  readonly emailVerified: boolean
  /** Whether the provider runs the mailbox, so that it knows the owner. */
  readonly emailAuthoritative: boolean
  readonly name: string | undefined
  readonly givenName: string | undefined
  readonly familyName: string | undefined
  readonly username: string | undefined
  /** A web address, unchecked. */
  readonly picture: string | undefined
  readonly locale: string | undefined
  /** All claims of the provider, unchanged. */
  readonly claims: Claims
}

/** Reads the standard claims (OpenID Connect Core §5.1). A claim that is not text is left out. */
export function identityOf(issuer: string, subject: string, claims: Claims): Identity {
  return {
    issuer,
    subject,
    email: textOf(claims.email, 254),
    // Only the boolean counts. A provider that sends the text "true" (Apple) has its own file.
    emailVerified: claims.email_verified === true && textOf(claims.email, 254) !== undefined,
    emailAuthoritative: false,
    name: textOf(claims.name),
    givenName: textOf(claims.given_name),
    familyName: textOf(claims.family_name),
    username: textOf(claims.preferred_username),
    picture: textOf(claims.picture, 2048),
    locale: textOf(claims.locale),
    claims,
  }
}

/** A provider's text if it can be stored: not empty, not too long, without control characters. */
export function textOf(value: unknown, longest = 256): string | undefined {
  if (typeof value !== 'string' || value === '' || value.length > longest || !value.isWellFormed()) return undefined
  return /[\u0000-\u001f\u007f]/.test(value) ? undefined : value
}
