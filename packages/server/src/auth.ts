import type { Strategy } from 'gatepass'
import { gatepass, type HonoGatepass } from 'gatepass/hono'
import { type Account, stampOf } from './accounts/accounts.ts'
import type { Stores } from './accounts/stores.ts'
import type { Audit } from './operation/audit.ts'
import type { ErrorLog } from './operation/error-log.ts'
import type { Config } from './settings/config.ts'
import type { Keys } from './settings/secrets.ts'
import { knownRequest, type ServerEnv } from './web/request.ts'

/** Sessions and logins, as the library keeps them. */
export type Auth = HonoGatepass<Account>

export interface AuthOptions {
  readonly config: Config
  readonly keys: Keys
  /** As browsers see this server, the main one first. */
  readonly origins: readonly [string, ...string[]]
  readonly stores: Stores
  readonly strategies: readonly Strategy<Account, string>[]
  readonly audit: Audit
  readonly errors: ErrorLog
  /** Epoch milliseconds. */
  readonly clock: () => number
}

export function createAuth({ config, keys, origins, stores, strategies, audit, errors, clock }: AuthOptions): Auth {
  const { idleTimeout, absoluteTimeout, rememberIdleTimeout, rememberAbsoluteTimeout, perAccount } = config.session
  return gatepass({
    origin: origins,
    ...(config.trustProxy !== undefined && { trustProxy: config.trustProxy }),
    address: (c) => (c.env as ServerEnv['Bindings']).incoming.socket.remoteAddress,
    trustedOrigins: config.trustedOrigins,
    csrfKeys: keys,
    clock,
    onError: (error) => errors.record(error, undefined),
    sessions: {
      store: stores.sessions,
      keys,
      clock,
      idleTimeout,
      absoluteTimeout,
      remember: { idleTimeout: rememberIdleTimeout, absoluteTimeout: rememberAbsoluteTimeout },
      perSubject: perAccount,
      onEvent: (event, exchange) => audit.recordSession(event, exchange && knownRequest(exchange)),
    },
    users: {
      subject: (account: Account) => account.id,
      find: async (id) => stores.accounts.byId(id),
      stamp: stampOf,
    },
    strategies,
  })
}
