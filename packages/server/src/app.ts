import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Strategy } from 'gatepass'
import { gatepass } from 'gatepass/hono'
import { accountRoutes } from './account/routes.ts'
import { type Account, stampOf } from './accounts/accounts.ts'
import { deviceRoutes } from './devices/routes.ts'
import { KnownDevices } from './login/known-devices.ts'
import { Limits } from './login/limits.ts'
import { passwordStrategy, passwordsOf } from './login/password.ts'
import { loginRoutes } from './login/routes.ts'
import { Audit } from './operation/audit.ts'
import { ErrorLog } from './operation/error-log.ts'
import { healthRoutes } from './operation/health.ts'
import { providerRoutes } from './providers/routes.ts'
import { providerStrategies } from './providers/strategies.ts'
import { registerRoutes } from './register/routes.ts'
import type { Auth, Services } from './services.ts'
import { Pseudonyms } from './settings/secrets.ts'
import { assetResponse, assets } from './web/assets.ts'
import { requestHandler } from './web/handler.ts'
import { Pages } from './web/pages.ts'
import { knownRequest, type ServerEnv } from './web/request.ts'

export type AppOptions = Pick<
  Services,
  'config' | 'keys' | 'origins' | 'stores' | 'providers' | 'log' | 'stopping' | 'clock'
>

/** Answers requests. */
export type App = (req: IncomingMessage, res: ServerResponse) => void

/** Puts everything together: the only place that knows all the parts. */
export function createApp(options: AppOptions): App {
  const { config, keys, providers, log } = options
  const base = {
    ...options,
    audit: new Audit(log, new Pseudonyms(keys, 'log')),
    errors: new ErrorLog(log),
    limits: new Limits(config.limits),
    passwords: passwordsOf(config, log),
    knownDevices: new KnownDevices(keys),
  }
  const auth = createAuth(base, [passwordStrategy(base), ...providerStrategies(base)])
  const { name: siteName, registration } = config
  const services: Services = { ...base, auth, pages: new Pages(auth, { siteName, registration, providers }) }
  return requestHandler(services, [
    ...accountRoutes(services),
    ...loginRoutes(services),
    ...registerRoutes(services),
    ...providerRoutes(services),
    ...deviceRoutes(services),
    ...healthRoutes(services),
    ...assets.map((asset) => ({ method: 'GET' as const, path: asset.path, answer: () => assetResponse(asset) })),
  ])
}

/** Configures the library. */
function createAuth(
  { config, keys, origins, stores, audit, errors, clock }: Omit<Services, 'auth' | 'pages'>,
  strategies: readonly Strategy<Account, string>[],
): Auth {
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
