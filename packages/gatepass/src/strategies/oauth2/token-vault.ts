import type { Awaitable } from '../../awaitable.ts'
import type { Keys } from '../../crypto/keyring.ts'
import { Sealer } from '../../crypto/seal.ts'
import { StoreError } from '../../error.ts'
import type { ProviderTokens } from '../../protocols/oauth2/token-request.ts'
import type { Timestamp } from '../../session/store.ts'
import { setTimeout } from '../../timers.ts'

/** Minimum remaining lifetime of an access token that is returned, in milliseconds. */
const MARGIN = 60_000

/** How long one process may take to renew tokens before another tries, in milliseconds: two requests to the provider. */
const LONGEST_RENEWAL = 15_000
/** How often other processes may claim the renewal first, before this one gives up. */
const MOST_LOST = 9
/** How long to wait between two checks of another process's renewal, in milliseconds. */
const PAUSE = 50
/** The longest pause before tokens that could not be stored are stored again, in milliseconds. */
const LONGEST_PAUSE = 1000

/** Where sealed tokens are stored: one text for each user and provider. */
export interface TokenVaultOptions {
  /** Keys of at least 32 characters, kept apart from the table. The first key seals, all keys open. */
  keys: Keys
  load(subject: string, issuer: string): Awaitable<string | undefined | null>
  /** Stores `sealed`, and replaces an earlier text. */
  save(subject: string, issuer: string, sealed: string): Awaitable<unknown>
  /**
   * Stores `to` if `from` is stored, in one statement, and returns whether it did. Several processes need it, to agree on the
   * one that renews. Default: `load` and `save`, which is right for one process.
   */
  replace?(subject: string, issuer: string, sealed: { readonly from: string; readonly to: string }): Awaitable<boolean>
  /** Epoch milliseconds. Default `Date.now`. */
  clock?: () => number
}

/** A strategy that can renew tokens. */
export interface Refreshing {
  refresh(refreshToken: string): Promise<ProviderTokens>
}

/** Stores the tokens with which an application calls a provider for its users. */
export interface TokenVault {
  /** Seals and stores the tokens that `account` received. */
  keep(subject: string, issuer: string, tokens: ProviderTokens): Promise<void>
  /**
   * Returns an access token that is valid for at least another minute, and renews it if necessary. `undefined` if none is
   * stored or it cannot be renewed.
   *
   * @throws {ProtocolError} `ERR_OAUTH_TOKEN` if the provider refuses to renew it: ask the user to log in there again
   */
  accessToken(subject: string, issuer: string, strategy: Refreshing): Promise<string | undefined>
}

/**
 * Stores providers' tokens sealed (AES-256-GCM) and bound to their user and provider: a row that is copied to another user
 * cannot be opened.
 *
 * @throws {UsageError} `ERR_COOKIE_KEYS` if a key is shorter than 32 characters
 */
export function tokenVault(options: TokenVaultOptions): TokenVault {
  const { clock = Date.now } = options
  const sealer = new Sealer(options.keys, 'provider tokens')
  const renewing = new Map<string, Promise<string | undefined>>()
  /** Tokens that a provider has given and that could not be stored yet. The refresh token in their row is spent. */
  const unstored = new Map<string, ProviderTokens>()
  const rowOf = (subject: string, issuer: string): Row => new Row(options, sealer, subject, issuer)
  const counts = ({ expiresAt }: ProviderTokens): boolean => expiresAt === undefined || expiresAt > clock() + MARGIN

  /** Repeats a failed write until the store answers, because the refresh token in the row has been used. */
  const storeFresh = async (row: Row, claim: string, fresh: ProviderTokens): Promise<void> => {
    unstored.set(row.name, fresh)
    for (let pause = PAUSE; ; pause = Math.min(2 * pause, LONGEST_PAUSE)) {
      await new Promise((resolve) => setTimeout(resolve, pause).unref())
      // Does nothing if a login has stored newer tokens meanwhile, or if the row was deleted.
      const stored = await row.replace(claim, fresh).then(
        () => true,
        () => false,
      )
      if (stored) break
    }
    unstored.delete(row.name)
  }

  const renew = async (row: Row, strategy: Refreshing): Promise<string | undefined> => {
    const fresh = unstored.get(row.name)
    if (fresh !== undefined) {
      if (counts(fresh)) return fresh.accessToken
      throw new StoreError('ERR_STORE_UNAVAILABLE', 'The token vault could not store renewed tokens until they expired')
    }
    for (let lost = 0; lost < MOST_LOST; ) {
      // Read again, because another request may have renewed the tokens meanwhile.
      const found = await row.find()
      if (found === undefined || counts(found.tokens)) return found?.tokens.accessToken
      const { renewing, ...tokens } = found.tokens
      const { refreshToken } = tokens
      if (refreshToken === undefined) return undefined
      if (renewing !== undefined && Math.abs(clock() - renewing) < LONGEST_RENEWAL) {
        await new Promise((resolve) => setTimeout(resolve, PAUSE))
        continue
      }
      // Claimed before the refresh token is used: a provider that rotates refresh tokens treats a second use as theft.
      const claim = await row.replace(found.sealed, { ...tokens, renewing: clock() })
      if (claim === undefined) {
        lost++
        continue
      }
      const fresh = await strategy.refresh(refreshToken).catch(async (error: unknown) => {
        // The error is thrown even if the claim cannot be released.
        await row.replace(claim, tokens).catch(() => undefined)
        throw error
      })
      await row.replace(claim, fresh).catch((error: unknown) => {
        warn(error)
        void storeFresh(row, claim, fresh)
      })
      return fresh.accessToken
    }
    throw new StoreError(
      'ERR_STORE_UNAVAILABLE',
      `\`replace\` of the token vault has stored nothing ${MOST_LOST} times`,
      { hint: 'It must store `to` if `from` is stored, and return true if it did.' },
    )
  }

  return {
    async keep(subject, issuer, tokens) {
      await options.save(subject, issuer, rowOf(subject, issuer).seal(tokens))
    },
    async accessToken(subject, issuer, strategy) {
      const row = rowOf(subject, issuer)
      const found = await row.find()
      if (found === undefined || counts(found.tokens)) return found?.tokens.accessToken
      // Requests of one process share one renewal: a provider that rotates refresh tokens would treat a second one as theft.
      const renewal = renewing.get(row.name) ?? renew(row, strategy).finally(() => renewing.delete(row.name))
      renewing.set(row.name, renewal)
      return renewal
    },
  }
}

/** The content of a row. */
interface KeptTokens extends ProviderTokens {
  /** When a process claimed the renewal. */
  readonly renewing?: Timestamp
}

/** The row of one user and provider. */
class Row {
  readonly name: string
  readonly #options: TokenVaultOptions
  readonly #sealer: Sealer
  readonly #key: readonly [subject: string, issuer: string]

  constructor(options: TokenVaultOptions, sealer: Sealer, subject: string, issuer: string) {
    this.name = JSON.stringify([subject, issuer])
    this.#options = options
    this.#sealer = sealer
    this.#key = [subject, issuer]
  }

  seal({ idToken: _proof, ...kept }: KeptTokens): string {
    return this.#sealer.seal(JSON.stringify(kept), this.name)
  }

  async find(): Promise<{ readonly sealed: string; readonly tokens: KeptTokens } | undefined> {
    const sealed = await this.#options.load(...this.#key)
    const text = sealed ? this.#sealer.unseal(sealed, this.name)?.text : undefined
    return sealed && text !== undefined ? { sealed, tokens: JSON.parse(text) as KeptTokens } : undefined
  }

  /** Replaces the sealed text `from`, if it is still stored. @returns the new sealed text, if it was stored */
  async replace(from: string, tokens: KeptTokens): Promise<string | undefined> {
    const to = this.seal(tokens)
    if (this.#options.replace !== undefined) {
      return (await this.#options.replace(...this.#key, { from, to })) ? to : undefined
    }
    if ((await this.#options.load(...this.#key)) !== from) return undefined
    await this.#options.save(...this.#key, to)
    return to
  }
}

/** A StoreError has no passwords in its message. */
function warn(cause: unknown): void {
  const reason = cause instanceof Error ? cause.message : 'unknown reason'
  const { message } = new StoreError(
    'ERR_STORE_UNAVAILABLE',
    `tokenVault: renewed tokens are not stored yet: ${reason}`,
  )
  process.emitWarning(message, { code: 'GATEPASS_VAULT' })
}
