import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Exchange } from 'gatepass'
import { accountRoutes } from './account/routes.ts'
import type { Stores } from './accounts/stores.ts'
import { createAuth } from './auth.ts'
import { deviceRoutes } from './devices/routes.ts'
import { KnownDevices } from './login/known-devices.ts'
import { Limits } from './login/limits.ts'
import { logoutRoutes } from './login/logout.ts'
import { passwordStrategy, passwordsOf } from './login/password.ts'
import { loginRoutes } from './login/routes.ts'
import { Audit } from './operation/audit.ts'
import { ErrorLog } from './operation/error-log.ts'
import { healthRoutes } from './operation/health.ts'
import type { Log } from './operation/log.ts'
import { providerRoutes } from './providers/routes.ts'
import { providerStrategies } from './providers/strategies.ts'
import { WhoseAccount } from './providers/whose-account.ts'
import { registerRoutes } from './register/routes.ts'
import type { Config } from './settings/config.ts'
import type { ProviderConfig } from './settings/provider-config.ts'
import { type Keys, Pseudonyms } from './settings/secrets.ts'
import { assetRoutes } from './web/assets.ts'
import { requestHandler } from './web/handler.ts'
import { Pages } from './web/pages.ts'
import { type Problem, registrationClosed, tooManyTries } from './web/problem.ts'

export interface AppOptions {
  readonly config: Config
  readonly keys: Keys
  /** As browsers see this server, the main one first. */
  readonly origins: readonly [string, ...string[]]
  readonly stores: Stores
  /** Where people may log in besides here. */
  readonly providers: readonly ProviderConfig[]
  readonly log: Log
  readonly stopping: () => boolean
  /** Epoch milliseconds. */
  readonly clock: () => number
}

/** What answers requests. */
export type App = (req: IncomingMessage, res: ServerResponse) => void

/** Puts everything together: the only place that knows all the parts. */
export function createApp({ config, keys, origins, stores, providers, log, stopping, clock }: AppOptions): App {
  const { accounts, identities } = stores
  const [origin] = origins
  const audit = new Audit(log, new Pseudonyms(keys, 'log'))
  const errors = new ErrorLog(log, clock)
  const limits = new Limits(config.limits)
  const passwords = passwordsOf(config, log)
  const knownDevices = new KnownDevices(keys, { https: origin.startsWith('https:') })
  const accountNames = new Pseudonyms(keys, 'account')

  const admitNewAccount = async ({ remoteAddress }: Exchange): Promise<Problem | undefined> => {
    if (!config.registration) return registrationClosed
    const wait = await limits.admitRegistration(remoteAddress)
    return wait === undefined ? undefined : tooManyTries(wait)
  }
  const whose = new WhoseAccount(accounts, identities, admitNewAccount)
  const strategies = [
    passwordStrategy(accounts, passwords, log),
    ...providerStrategies(providers, { whose, log, clock }),
  ]
  const auth = createAuth({ config, keys, origins, stores, strategies, audit, errors, clock })
  const { name: siteName, registration } = config
  const pages = new Pages({ auth, siteName, registration, providers })

  const routes = [
    ...accountRoutes({ auth, pages, identities, clock }),
    ...loginRoutes({ auth, pages, origin, accounts, limits, knownDevices, accountNames, audit }),
    ...logoutRoutes({ auth }),
    ...registerRoutes({ config, pages, accounts, passwords, limits, audit }),
    ...providerRoutes({ auth, pages, origin, providers, identities, limits, knownDevices, audit }),
    ...deviceRoutes({ auth, pages, audit, clock }),
    ...healthRoutes({ stores, stopping }),
    ...assetRoutes(),
  ]
  return requestHandler({ auth, pages, audit, errors, origins, routes, stopping })
}
