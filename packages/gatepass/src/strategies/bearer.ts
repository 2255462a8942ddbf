import type { Awaitable } from '../awaitable.ts'
import { sha256Hex } from '../crypto/random.ts'
import { checkOptions, type OptionKinds } from '../error.ts'
import type { Exchange } from '../http/exchange.ts'
import type { Found, UserObject } from '../passport/outcome.ts'
import type { Strategy } from '../passport/strategy.ts'
import { concluded, withToken } from './bearer/token.ts'

export interface BearerOptions<User, Name extends string = 'bearer'> {
  /**
   * Finds the user of a token by its SHA-256 in hex. Store only this hash. Tokens must have at least 128 random bits: a hash
   * like this does not protect a text that a person chose.
   */
  find(hash: string, exchange: Exchange): Awaitable<Found<User>>
  /** Name of the strategy, if you use several. Default `bearer`. */
  name?: Name
  /** The realm in WWW-Authenticate. Default `api`. */
  realm?: string
}

const bearerOptions: OptionKinds<BearerOptions<unknown>> = { find: 'needed', name: 'string', realm: 'string' }

/** Reads your own opaque tokens from `Authorization: Bearer` (RFC 6750). */
export function bearer<User extends UserObject, const Name extends string = 'bearer'>(
  options: BearerOptions<User, Name>,
): Strategy<User, Name> {
  checkOptions('bearer()', options, bearerOptions, 'ERR_TOKEN_OPTIONS')
  const { realm = 'api' } = options
  return {
    name: options.name ?? ('bearer' as Name),
    authenticate: (exchange) =>
      withToken(exchange, realm, (token) =>
        concluded<User>(realm, {
          callback: '`find` of bearer()',
          returned: options.find(sha256Hex(token), exchange),
          unknown: 'The token is unknown.',
          success: (user) => ({ type: 'success', user, persist: false }),
        }),
      ),
  }
}
