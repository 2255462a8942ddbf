import { statSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { join } from 'node:path'
import { type Exchange, type SessionEvent, type SessionId, StoreError, type Strategy } from 'gatepass'
import { gatepass } from 'gatepass/node'
import { type Passwords, passwords } from 'gatepass/password'
import { type SqliteStore, sqliteStore } from 'gatepass/stores/sqlite'
import { local } from 'gatepass/strategies/local'
import { type Account, Accounts, stampOf } from './accounts/accounts.ts'
import { beginServing, LONGEST_WAIT, openDatabase } from './accounts/database.ts'
import { parseEmailAddress } from './accounts/email-address.ts'
import { Identities } from './accounts/identities.ts'
import { migrate } from './accounts/migrations.ts'
import { Audit, type AuditDetails, type AuditEvent } from './audit.ts'
import type { Config } from './config.ts'
import { ErrorLog } from './error-log.ts'
import { Front } from './front.ts'
import { KnownDevices } from './known-device.ts'
import { Limits } from './limits.ts'
import type { Log } from './log.ts'
import { type Problem, problemOf, registrationClosed, tooManyTries } from './problem.ts'
import type { ProviderConfig } from './provider-config.ts'
import { providerStrategies, type StrategySettings } from './providers/strategies.ts'
import { WhoseAccount } from './providers/whose-account.ts'
import { refuse } from './refusal.ts'
import { router } from './router.ts'
import { accountRoutes } from './routes/account.ts'
import { assetRoutes } from './routes/assets.ts'
import { healthRoutes } from './routes/health.ts'
import { identityRoutes } from './routes/identities.ts'
import { loginRoutes } from './routes/login.ts'
import { logoutRoutes } from './routes/logout.ts'
import { providerRoutes } from './routes/provider.ts'
import { registerRoutes } from './routes/register.ts'
import { sessionRoutes } from './routes/session.ts'
import { sessionsRoutes } from './routes/sessions.ts'
import { type Keys, Pseudonyms } from './secrets.ts'
import type { Site } from './site.ts'
import { visitOf } from './visit.ts'

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

/** Accounts and sessions, in one file. */
export interface Stores {
  readonly accounts: Accounts
  readonly identities: Identities
  readonly sessions: SqliteStore
  /** @throws {StoreError} if a table cannot be read, or the file is not the one under its name any more */
  check(): Promise<void>
  close(): Promise<void>
}

export async function openStores({ data }: Pick<Config, 'data'>, clock: () => number): Promise<Stores> {
  const file = join(data, 'gatepass.db')
  const database = openDatabase(file)
  const accounts = new Accounts(database, clock)
  try {
    await migrate(database)
    const sessions = sqliteStore(file, { clock, busyTimeout: LONGEST_WAIT })
    await beginServing(database)
    const { ino } = statSync(file)
    return {
      accounts,
      identities: new Identities(database, clock),
      sessions,
      check: async () => {
        if (statSync(file, { throwIfNoEntry: false })?.ino !== ino) throw fileGone(file)
        await accounts.check()
        await sessions.load(NO_SESSION)
      },
      close: async () => {
        sessions.close()
        await accounts.close()
      },
    }
  } catch (error) {
    await accounts.close()
    throw error
  }
}

/** Of a session that never was: the table is asked for it to see that it answers. */
const NO_SESSION = '' as SessionId

/** SQLite goes on with a file that was removed: what is acknowledged then is lost with the process. */
function fileGone(file: string): StoreError {
  return new StoreError('ERR_STORE_UNAVAILABLE', `${file} was removed or replaced while the server runs`, {
    hint: 'Stop the server, restore a backup, and start it again.',
  })
}

/** Puts everything together: the only place that knows all the parts. */
export function createApp(options: AppOptions): App {
  const { config, keys, origins, stores, providers, log, stopping, clock } = options
  const audit = new Audit(log, new Pseudonyms(keys, 'log'))
  const chosenPasswords = passwordsOf(config, log)
  const limits = new Limits(config.limits)
  const strategies = [
    localStrategy(stores.accounts, chosenPasswords, log),
    ...providerStrategies(providers, { decide: decisionsOf(options, limits), onEvent: providerLog(log), clock }),
  ]
  const https = origins[0].startsWith('https:')
  const errors = new ErrorLog(log, clock)
  const site: Site = {
    config,
    origin: origins[0],
    auth: authOf(options, { audit, strategies, errors }),
    accounts: stores.accounts,
    identities: stores.identities,
    providers,
    passwords: chosenPasswords,
    limits,
    devices: new KnownDevices(keys, { https }),
    accountNames: new Pseudonyms(keys, 'account'),
    audit,
    check: () => stores.check(),
    errors,
    clock,
    stopping,
  }
  const front = new Front(site, { origins, answer: routesOf(site) })
  return (req, res) => front.handle(req, res)
}

/** Sessions and logins, as the library keeps them. */
function authOf(
  { config, keys, origins, stores, clock }: AppOptions,
  { audit, strategies, errors }: { audit: Audit; strategies: readonly Strategy<Account, string>[]; errors: ErrorLog },
): Site['auth'] {
  const { idleTimeout, absoluteTimeout, rememberIdleTimeout, rememberAbsoluteTimeout, perAccount } = config.session
  return gatepass({
    origin: origins,
    ...(config.trustProxy !== undefined && { trustProxy: config.trustProxy }),
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
      onEvent: (event, exchange) => recordSessionEvent(audit, event, exchange),
    },
    users: {
      subject: (account: Account) => account.id,
      find: async (id) => stores.accounts.byId(id),
      stamp: stampOf,
    },
    strategies,
  })
}

function routesOf(site: Site): ReturnType<typeof router> {
  return router({
    routes: [
      ...accountRoutes(site),
      ...loginRoutes(site),
      ...registerRoutes(site),
      ...logoutRoutes(site),
      ...providerRoutes(site),
      ...identityRoutes(site),
      ...sessionRoutes(site),
      ...sessionsRoutes(site),
      ...healthRoutes(site),
      ...assetRoutes(),
    ],
    refuse: (visit, problem) => refuse(site, visit, problem),
    failed: (visit, error) => {
      site.errors.record(error, visit.requestId)
      return refuse(site, visit, problemOf(error))
    },
  })
}

function passwordsOf({ name, password }: Config, log: Log): Passwords {
  return passwords({
    minimum: password.minLength,
    contextWords: [name, 'gatepass', ...password.words],
    onEvent: (event) => log.warn({ event: `password_${event.type}`, ...('error' in event && { err: event.error }) }),
  })
}

function localStrategy(accounts: Accounts, chosenPasswords: Passwords, log: Log): Strategy<Account, 'local'> {
  return local<Account>({
    fields: { name: ['email', 'username'] },
    passwords: chosenPasswords,
    find: async (typed) => {
      const email = parseEmailAddress(typed)
      const account = email && (await accounts.byEmail(email.key))
      // A disabled password is like none: it takes as long to say no, and says the same.
      return account && { user: account, hash: account.passwordDisabled ? undefined : account.passwordHash }
    },
    rehash: (account, { from, to }) => accounts.rehash(account.id, { from, to }),
    onEvent: ({ type, error }) => log.warn({ event: type, err: error }),
  })
}

/** Whose account an identity opens, with the limits that registering has. */
function decisionsOf({ config, stores }: AppOptions, limits: Limits): StrategySettings['decide'] {
  const whose = new WhoseAccount(stores.accounts, stores.identities)
  const admission = async ({ remoteAddress }: Exchange): Promise<Problem | undefined> => {
    if (!config.registration) return registrationClosed
    const wait = await limits.admitRegistration(remoteAddress)
    return wait === undefined ? undefined : tooManyTries(wait)
  }
  return (provider, identity, { linking, exchange }) =>
    linking === undefined
      ? whose.toLogIn(provider, identity, () => admission(exchange))
      : whose.toLink(provider, identity, linking)
}

/** What exactly was wrong is for operators; whoever logs in is told what to do. What we decided ourselves is in the audit. */
function providerLog(log: Log): StrategySettings['onEvent'] {
  return ({ strategy, code, error }) => {
    if (code !== 'ERR_OAUTH_ACCOUNT') log.warn({ event: 'provider_refused', provider: strategy, err: error })
  }
}

function recordSessionEvent(audit: Audit, event: SessionEvent, exchange: Exchange | undefined): void {
  const [name, details] = auditOf(event)
  audit.record(name, exchange && visitOf(exchange), details)
}

function auditOf(event: SessionEvent): [AuditEvent, AuditDetails] {
  switch (event.type) {
    case 'created':
      return ['session_created', { sessionId: event.id, userId: event.subject }]
    case 'rotated':
      return ['session_renewed', { sessionId: event.id, userId: event.subject }]
    case 'ended':
      return ['session_logout', { sessionId: event.id, userId: event.subject }]
    case 'revoked':
      return ['session_ended', { sessionId: event.id, userId: event.subject, count: event.count }]
    case 'evicted':
      return ['excess_sessions_exceeded', { userId: event.subject, count: event.count }]
    case 'discarded':
      return ['session_expired', { sessionId: event.id, reason: 'ended_meanwhile' }]
    case 'touch_failed':
      return ['session_touch_failed', { sessionId: event.id }]
    case 'cookie_duplicate':
      return ['cookie_duplicate', { reason: 'session_cookie' }]
    case 'token_forged':
      return ['cookie_forged', { reason: 'session_cookie' }]
  }
}
