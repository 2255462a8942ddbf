import type { Claims } from './provider-token.ts'

/** Who somebody is at a provider. `issuer` and `subject` together are the one key that never changes hands. */
export interface Identity {
  readonly issuer: string
  readonly subject: string
  /** May change, and may come to belong to somebody else: nothing to find an account by. */
  readonly email: string | undefined
  /** Whether the provider says that the mailbox is this person's. */
  readonly emailVerified: boolean
  /** Whether the provider must know, since it runs the mailbox. */
  readonly emailAuthoritative: boolean
  readonly name: string | undefined
  readonly givenName: string | undefined
  readonly familyName: string | undefined
  readonly username: string | undefined
  /** An address on the web, not checked. */
  readonly picture: string | undefined
  readonly locale: string | undefined
  /** All that the provider said, as it said it. */
  readonly claims: Claims
}

/** The standard claims (OpenID Connect Core §5.1), each only if it is text. */
export function identityOf(issuer: string, subject: string, claims: Claims): Identity {
  return {
    issuer,
    subject,
    email: textOf(claims.email, 254),
    // Text that says true says it about nothing in particular: a provider that writes so gets a file of its own.
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

/** Text of a provider that is fit to be kept: not empty, not endless, without control characters. */
export function textOf(value: unknown, longest = 256): string | undefined {
  if (typeof value !== 'string' || value === '' || value.length > longest || !value.isWellFormed()) return undefined
  return /[\u0000-\u001f\u007f]/.test(value) ? undefined : value
}
