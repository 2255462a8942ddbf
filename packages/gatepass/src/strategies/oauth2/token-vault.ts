import type { Awaitable } from '../../awaitable.ts'
import type { Keys } from '../../crypto/keyring.ts'
import { Sealer } from '../../crypto/seal.ts'
import type { ProviderTokens } from '../../protocols/oauth2/token-request.ts'

/** How long an access token must count on to be handed out, in milliseconds. */
const MARGIN = 60_000

/** Where sealed tokens are kept: one text for each user and provider. */
export interface TokenVaultOptions {
  /** At least 32 characters each, kept apart from the table: the first seals, all open. */
  keys: Keys
  load(subject: string, issuer: string): Awaitable<string | undefined | null>
  /** Stores `sealed` in place of what is there. */
  save(subject: string, issuer: string, sealed: string): Awaitable<unknown>
  /** Default `Date.now`. */
  clock?: () => number
}

/** What renews tokens: a strategy. */
export interface Refreshing {
  refresh(refreshToken: string): Promise<ProviderTokens>
}

/** The tokens by which an application does something at a provider for its users. */
export interface TokenVault {
  /** Seals what `account` was given, and stores it. */
  keep(subject: string, issuer: string, tokens: ProviderTokens): Promise<void>
  /**
   * An access token that counts for another minute at least, renewed if need be; `undefined` if none is kept, or it cannot
   * be renewed.
   *
   * @throws {ProtocolError} `ERR_OAUTH_TOKEN` if the provider refuses to renew it: ask the person to log in there again
   */
  accessToken(subject: string, issuer: string, strategy: Refreshing): Promise<string | undefined>
}

/**
 * Keeps providers' tokens sealed (AES-256-GCM), each bound to its user and provider: a row that is copied to another does
 * not open.
 *
 * @throws {UsageError} `ERR_COOKIE_KEYS` if a key is shorter than 32 characters
 */
export function tokenVault(options: TokenVaultOptions): TokenVault {
  const { clock = Date.now } = options
  const sealer = new Sealer(options.keys, 'provider tokens')
  const renewing = new Map<string, Promise<string | undefined>>()

  const keep = async (subject: string, issuer: string, tokens: ProviderTokens): Promise<void> => {
    const { idToken: _proof, ...kept } = tokens
    await options.save(subject, issuer, sealer.seal(JSON.stringify(kept), nameOf(subject, issuer)))
  }
  const find = async (subject: string, issuer: string): Promise<ProviderTokens | undefined> => {
    const sealed = await options.load(subject, issuer)
    const text = sealed ? sealer.unseal(sealed, nameOf(subject, issuer))?.text : undefined
    return text === undefined ? undefined : (JSON.parse(text) as ProviderTokens)
  }
  const counts = ({ expiresAt }: ProviderTokens): boolean => expiresAt === undefined || expiresAt > clock() + MARGIN
  const renew = async (subject: string, issuer: string, strategy: Refreshing): Promise<string | undefined> => {
    // Read again: another request may have renewed it since this one looked.
    const kept = await find(subject, issuer)
    if (kept === undefined || counts(kept)) return kept?.accessToken
    if (kept.refreshToken === undefined) return undefined
    const tokens = await strategy.refresh(kept.refreshToken)
    await keep(subject, issuer, tokens)
    return tokens.accessToken
  }
  return {
    keep,
    async accessToken(subject, issuer, strategy) {
      const kept = await find(subject, issuer)
      if (kept === undefined || counts(kept)) return kept?.accessToken
      // Requests share one renewal: a provider that rotates refresh tokens would take the second for a theft.
      const name = nameOf(subject, issuer)
      const renewal = renewing.get(name) ?? renew(subject, issuer, strategy).finally(() => renewing.delete(name))
      renewing.set(name, renewal)
      return renewal
    },
  }
}

function nameOf(subject: string, issuer: string): string {
  return JSON.stringify([subject, issuer])
}
