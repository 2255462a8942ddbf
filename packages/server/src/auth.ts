import type { Strategy } from 'gatepass'
import { gatepass } from 'gatepass/hono'
import { type Account, stampOf } from './accounts/accounts.ts'
import type { Auth, Services } from './services.ts'
import { knownRequest, type ServerEnv } from './web/request.ts'

export interface AuthOptions
  extends Pick<Services, 'config' | 'keys' | 'origins' | 'stores' | 'audit' | 'errors' | 'clock'> {
  readonly strategies: readonly Strategy<Account, string>[]
}

/** Configures the library. */
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
