import type { NodeGatepass } from 'gatepass/node'
import type { Passwords } from 'gatepass/password'
import type { Account, Accounts } from './accounts/accounts.ts'
import type { Identities } from './accounts/identities.ts'
import type { Audit } from './audit.ts'
import type { Config } from './config.ts'
import type { ErrorLog } from './error-log.ts'
import type { KnownDevices } from './known-device.ts'
import type { Limits } from './limits.ts'
import type { ProviderConfig } from './provider-config.ts'
import type { Pseudonyms } from './secrets.ts'

/** What the routes work with; put together once, in `app.ts`. */
export interface Site {
  readonly config: Config
  /** As browsers see this server. */
  readonly origin: string
  readonly auth: NodeGatepass<Account, string>
  readonly accounts: Accounts
  readonly identities: Identities
  /** Where people may log in besides here. */
  readonly providers: readonly ProviderConfig[]
  readonly passwords: Passwords
  readonly limits: Limits
  readonly devices: KnownDevices
  /** Names accounts in counts and cookies without telling which they are. */
  readonly accountNames: Pseudonyms
  readonly audit: Audit
  readonly errors: ErrorLog
  /** @throws {StoreError} if the database cannot be read, or its file was removed */
  readonly check: () => Promise<void>
  /** Epoch milliseconds. */
  readonly clock: () => number
  /** Whether the server is on its way out, and new work should go elsewhere. */
  readonly stopping: () => boolean
}
