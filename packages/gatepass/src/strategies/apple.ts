/**
 * Sign in with Apple is OpenID Connect, with these differences:
 * - The callback is a POST from Apple's page, without our session cookie. We answer with a page that posts it again.
 * - The client secret is a token that we sign, and it expires.
 * - A user's name comes only once, with the first login, unsigned and outside the ID token.
 * - `email_verified` may be a string.
 */

import { checkOptions, type OptionKinds } from '../error.ts'
import type { UserObject } from '../passport/outcome.ts'
import { generatedSecret } from '../protocols/oauth2/generated-secret.ts'
import { type Identity, textOf } from '../protocols/oauth2/identity.ts'
import { openId } from './oauth2/openid.ts'
import { type ProviderLoginOptions, type ProviderStrategy, providerOptions } from './oauth2/options.ts'

export type { Identity } from '../protocols/oauth2/identity.ts'
export type { AccountRequest, OAuthEvent, ProviderCallOptions, ProviderStrategy } from './oauth2/options.ts'

export interface AppleOptions<User> extends ProviderLoginOptions<User> {
  /** The ten characters of the developer account. */
  teamId: string
  /** The ten characters that name the key. */
  keyId: string
  /** The text of the .p8 file. */
  privateKey: string
  /** Another address of Apple, for tests. */
  issuer?: string
}

const appleOptions: OptionKinds<AppleOptions<unknown>> = {
  ...providerOptions,
  teamId: 'string',
  keyId: 'string',
  privateKey: 'string',
  issuer: 'string',
}

/**
 * Logs in with Apple. Register the callback with POST.
 *
 * Store `givenName` and `familyName` when they come: Apple sends them only with the first login.
 *
 * @throws {UsageError} `ERR_OAUTH_OPTIONS`
 */
export function apple<User extends UserObject>(options: AppleOptions<User>): ProviderStrategy<User, 'apple'> {
  checkOptions('apple()', options, appleOptions, 'ERR_OAUTH_OPTIONS')
  const { issuer = 'https://appleid.apple.com', teamId, clientId, keyId, privateKey } = options
  const secret = { issuer: teamId, clientId, audience: issuer, keyId, privateKey }
  return openId(
    {
      name: 'apple',
      label: 'Apple',
      address: { issuer },
      scope: ['openid', 'name', 'email'],
      formPost: true,
      refine: (identity, callback) => ({
        ...identity,
        ...nameIn(callback.get('user')),
        emailVerified:
          identity.emailVerified || (identity.email !== undefined && identity.claims.email_verified === 'true'),
      }),
    },
    {
      ...options,
      clientSecret: generatedSecret(secret, options.clock ?? Date.now),
      authentication: 'client_secret_post',
    },
  )
}

/** Reads `{"name":{"firstName":"Ada","lastName":"Lovelace"}}`. The browser sends it unsigned: use it only to prefill a new profile. */
function nameIn(user: string | null): Partial<Identity> {
  const { firstName, lastName } = memberOf(parsed(user), 'name') as { firstName?: unknown; lastName?: unknown }
  const [givenName, familyName] = [textOf(firstName), textOf(lastName)]
  const name = [givenName, familyName].filter((part) => part !== undefined).join(' ')
  return name === '' ? {} : { givenName, familyName, name }
}

function parsed(json: string | null): unknown {
  try {
    return JSON.parse(json ?? '')
  } catch {
    return undefined
  }
}

function memberOf(value: unknown, name: string): object {
  const member = typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined
  return typeof member === 'object' && member !== null ? member : {}
}
