import type { HonoGatepass } from 'gatepass/hono'
import type { Passwords } from 'gatepass/password'
import type { Account } from './accounts/accounts.ts'
import type { Stores } from './accounts/stores.ts'
import type { KnownDevices } from './login/known-devices.ts'
import type { Limits } from './login/limits.ts'
import type { Audit } from './operation/audit.ts'
import type { ErrorLog } from './operation/error-log.ts'
import type { Log } from './operation/log.ts'
import type { Config } from './settings/config.ts'
import type { ProviderConfig } from './settings/provider-config.ts'
import type { Keys } from './settings/secrets.ts'
import type { Pages } from './web/pages.ts'

/** The library's sessions and logins. */
export type Auth = HonoGatepass<Account>

/** What the parts of the server are made of. Each part names the services that it uses. */
export interface Services {
  readonly config: Config
  readonly keys: Keys
  /** As browsers see this server, the main one first. */
  readonly origins: readonly [string, ...string[]]
  readonly stores: Stores
  /** Where people may log in besides here. */
  readonly providers: readonly ProviderConfig[]
  readonly log: Log
  /** Whether the server is about to end, and new requests should go elsewhere. */
  readonly stopping: () => boolean
  /** Epoch milliseconds. */
  readonly clock: () => number
  readonly audit: Audit
  readonly errors: ErrorLog
  readonly limits: Limits
  readonly passwords: Passwords
  readonly knownDevices: KnownDevices
  readonly auth: Auth
  readonly pages: Pages
}
