import type { Adapter, ClientMetadata, Configuration, KoaContextWithOIDC } from 'oidc-provider'
import type { Jwk } from '../../crypto/signature.ts'
import { logoutPage, type ProviderPage, sayingPage } from './pages.ts'
import type { Person } from './person.ts'

/** What differs between pretend OpenID providers. */
export interface OpenIdSettings {
  readonly issuer: string
  /** The provider's name on its pages. */
  readonly label: string
  readonly clients: readonly ClientMetadata[]
  readonly people: readonly Person[]
  /** The claims of the provider's tokens besides the standard claims, by name. */
  readonly extraClaims?: Readonly<Record<string, (person: Person) => string | undefined>>
}

/** What a provider remembers while it runs, also when its keys change. */
export interface OpenIdMemory {
  readonly cookieKey: string
  recordsOf(kind: string): Adapter
  /** Whether a refresh token was requested with Google's parameter. */
  isOffline(grantId: string | undefined): boolean
}

/**
 * The configuration of the `oidc-provider` package.
 *
 * The package warns on the console about defaults that a real provider should not use: storage, keys, lifetimes, its own pages.
 * All of them are set here, so that it prints no warning. Its output is not silenced.
 */
export function configurationOf(settings: OpenIdSettings, memory: OpenIdMemory, keys: readonly Jwk[]): Configuration {
  const { clients, people, label, extraClaims = {} } = settings
  return {
    clients: [...clients],
    adapter: (kind) => memory.recordsOf(kind),
    jwks: { keys: keys as unknown as NonNullable<Configuration['jwks']>['keys'] },
    cookies: cookiesOf(label, memory.cookieKey),
    claims: {
      openid: ['sub', ...Object.keys(extraClaims)],
      email: ['email', 'email_verified'],
      profile: ['name', 'given_name', 'family_name'],
    },
    // As with Google and most others, name and address are in the ID token.
    conformIdTokenClaims: false,
    findAccount: async (_ctx, id) => {
      const person = people.find((candidate) => candidate.id === id)
      return person && { accountId: id, claims: async () => ({ sub: id, ...claimsOf(person, extraClaims) }) }
    },
    extraParams: ['access_type', 'hd', 'include_granted_scopes'],
    // Google issues refresh tokens for a parameter, others for a scope.
    issueRefreshToken: async (_ctx, _client, code) =>
      code.scopes.has('offline_access') || memory.isOffline(code.grantId),
    ttl: LIFETIMES,
    features: {
      devInteractions: { enabled: false },
      pushedAuthorizationRequests: { enabled: true },
      backchannelLogout: { enabled: true },
      rpInitiatedLogout: { enabled: true, ...logoutPages(label) },
    },
    // The package's own fetch refuses to send logout tokens to this machine.
    fetch: (url, request) => fetch(url, withoutDispatcher(request)),
    renderError: (ctx, { error, error_description: text = '' }) => respond(ctx, sayingPage(label, error, text)),
  }
}

/** Seconds. */
const LIFETIMES: NonNullable<Configuration['ttl']> = {
  AccessToken: 3600,
  AuthorizationCode: 60,
  IdToken: 3600,
  RefreshToken: 14 * 86_400,
  Interaction: 3600,
  Session: 86_400,
  Grant: 14 * 86_400,
}

/** Cookie names that differ for each provider on this machine, because cookies do not distinguish ports. */
function cookiesOf(label: string, key: string): NonNullable<Configuration['cookies']> {
  const name = `pretend-${label.toLowerCase().replace(/\W/g, '-')}`
  return { keys: [key], names: { session: name, interaction: `${name}-interaction`, resume: `${name}-resume` } }
}

function logoutPages(label: string) {
  return {
    logoutSource: (ctx: KoaContextWithOIDC, form: string) =>
      respond(ctx, logoutPage(label, form, originsOf(ctx.oidc.client?.postLogoutRedirectUris))),
    postLogoutSuccessSource: (ctx: KoaContextWithOIDC) =>
      respond(ctx, sayingPage(label, 'Logged out', `You are logged out of ${label}.`)),
  }
}

function claimsOf(
  person: Person,
  extraClaims: NonNullable<OpenIdSettings['extraClaims']>,
): Record<string, string | boolean | undefined> {
  const { name, email, emailVerified = true } = person
  const [given, ...family] = name.split(' ')
  return {
    name,
    given_name: given,
    ...(family.length > 0 && { family_name: family.join(' ') }),
    ...(email !== undefined && { email, email_verified: emailVerified }),
    ...Object.fromEntries(Object.entries(extraClaims).map(([claim, of]) => [claim, of(person)])),
  }
}

function originsOf(addresses: readonly string[] = []): string {
  return addresses.map((address) => new URL(address).origin).join(' ')
}

function withoutDispatcher(request: RequestInit & { dispatcher?: unknown } = {}): RequestInit {
  const { dispatcher: _refusing, ...plain } = request
  return plain
}

function respond(ctx: KoaContextWithOIDC, { headers, body }: ProviderPage): void {
  ctx.set({ ...headers })
  ctx.body = body
}
