/**
 * Microsoft Entra ID is an OpenID provider, with these differences:
 * - One address serves all tenants, and its metadata contains a template (`{tenantid}`) in place of an issuer.
 * - A tenant's administrator can write any address into `email`, so it proves nothing ("nOAuth").
 */

import { checkOptions, type OptionKinds, UsageError } from '../error.ts'
import type { UserObject } from '../passport/outcome.ts'
import type { Claims } from '../protocols/oauth2/provider-token.ts'
import { openId } from './oauth2/openid.ts'
import { type ProviderLoginOptions, type ProviderStrategy, providerOptions } from './oauth2/options.ts'

export type { Identity } from '../protocols/oauth2/identity.ts'
export type { AccountRequest, OAuthEvent, ProviderCallOptions, ProviderStrategy } from './oauth2/options.ts'

export interface MicrosoftOptions<User> extends ProviderLoginOptions<User> {
  /** The id of one tenant, `organizations` for all tenants, `consumers` for personal accounts, or `common` for both. */
  tenant: string
  /** With `organizations` or `common`: accepts only the tenants with these ids. */
  tenants?: readonly string[]
  /** Another address of Microsoft: national clouds and tests. Default `https://login.microsoftonline.com`. */
  authority?: string
}

const microsoftOptions: OptionKinds<MicrosoftOptions<unknown>> = {
  ...providerOptions,
  tenant: 'any',
  tenants: 'list',
  authority: 'string',
}

/** The tenant of all personal accounts. */
const CONSUMERS = '9188040d-6c67-4c5b-b112-36a304b66dad'

/**
 * Logs in with Microsoft, with accounts of organisations and personal accounts.
 *
 * @throws {UsageError} `ERR_OAUTH_OPTIONS`
 */
export function microsoft<User extends UserObject>(
  options: MicrosoftOptions<User>,
): ProviderStrategy<User, 'microsoft'> {
  checkOptions('microsoft()', options, microsoftOptions, 'ERR_OAUTH_OPTIONS')
  const { authority = 'https://login.microsoftonline.com' } = options
  const tenants = options.tenants?.map(lowerCase)
  const named = lowerCase(options.tenant)
  const tenant = named === 'consumers' ? CONSUMERS : named
  const severalTenants = tenant === 'common' || tenant === 'organizations'
  if (!severalTenants && !isTenantId(tenant)) {
    throw new UsageError(
      'ERR_OAUTH_OPTIONS',
      "microsoft: `tenant` is neither an id nor 'organizations', 'consumers' or 'common'",
      {
        hint: "Write the tenant's id, 'organizations', 'consumers' or 'common'.",
      },
    )
  }
  if (tenants !== undefined && (!severalTenants || tenants.length === 0 || !tenants.every(isTenantId))) {
    throw new UsageError(
      'ERR_OAUTH_OPTIONS',
      'microsoft: `tenants` is not a list of ids, or `tenant` names one tenant',
      {
        hint: "List the tenants' ids beside tenant: 'organizations' or 'common'. A domain is not an id.",
      },
    )
  }
  const accepts = (id: string) =>
    tenants === undefined ? tenant === 'common' || id !== CONSUMERS : tenants.includes(id)
  return openId(
    {
      name: 'microsoft',
      label: 'Microsoft',
      address: severalTenants ? sharedAddress(authority, tenant) : { issuer: `${authority}/${tenant}/v2.0` },
      ...(severalTenants && { issuerOf: (claims: Claims) => tenantIssuer(authority, claims, accepts) }),
      refine: (identity) => ({ ...identity, emailVerified: false }),
    },
    options,
  )
}

function sharedAddress(authority: string, tenant: string) {
  return {
    issuer: `${authority}/{tenantid}/v2.0`,
    metadataUrl: `${authority}/${tenant}/v2.0/.well-known/openid-configuration`,
  }
}

/** The issuer of a tenant's tokens, if the token names that tenant and the tenant is accepted. */
function tenantIssuer(authority: string, { iss, tid }: Claims, accepts: (id: string) => boolean): string | undefined {
  const id = typeof iss === 'string' ? iss.slice(authority.length + 1, -'/v2.0'.length) : ''
  if (!isTenantId(id) || (tid ?? id) !== id || !accepts(id)) return undefined
  return `${authority}/${id}/v2.0`
}

/** Microsoft writes ids in lower case. Configured ids may be in capitals. */
function lowerCase(text: unknown): string {
  return typeof text === 'string' ? text.toLowerCase() : ''
}

function isTenantId(text: string): boolean {
  return /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text)
}
