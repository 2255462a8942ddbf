import { type Awaitable, andThen, settled } from '../awaitable.ts'
import { sha256Hex } from '../crypto/random.ts'
import { checkOptions, type OptionKinds } from '../error.ts'
import { bearerToken } from '../http/authorization.ts'
import type { Exchange } from '../http/exchange.ts'
import { type Found, isFailure, type UserObject, userFrom } from '../passport/outcome.ts'
import type { Strategy } from '../passport/strategy.ts'
import { malformedRequest, missing, refusedByApplication, refusedToken } from './bearer/failures.ts'

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
    authenticate(exchange) {
      const given = bearerToken(exchange)
      if (given === 'missing') return missing(realm)
      if (given === 'malformed') return malformedRequest(realm)
      return andThen(settled(options.find(sha256Hex(given.token), exchange)), (returned) => {
        const user = userFrom('`find` of bearer()', returned)
        if (user === undefined) return refusedToken(realm, 'invalid', 'The token is unknown.')
        return isFailure(user) ? refusedByApplication(realm, user) : { type: 'success', user, persist: false }
      })
    },
  }
}
