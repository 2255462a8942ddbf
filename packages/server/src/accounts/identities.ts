import { randomBytes } from 'node:crypto'
import type { SessionId } from 'gatepass'
import { type Account, accountOf } from './accounts.ts'
import type { AccountDatabase, AccountRow, IdentityRow } from './database.ts'
import type { EmailAddress } from './email-address.ts'

/** A person at a provider. Only `issuer` and `subject` together always mean the same person. */
export interface GivenIdentity {
  readonly issuer: string
  readonly subject: string
  /** As the configuration calls it. */
  readonly provider: string
  /** As the provider gives it. Accounts are never looked up by it. */
  readonly email: string | undefined
}

/** A linked provider, as the account's owner sees it. */
export interface LinkedIdentity {
  /** Names it on pages, which must not show the subject. */
  readonly handle: string
  readonly provider: string
  readonly email: string | undefined
  /** Epoch milliseconds. */
  readonly createdAt: number
  readonly lastUsedAt: number
}

/** An account that begins with an identity. */
interface NewOwner {
  readonly email: EmailAddress | undefined
  /** Whether the provider proves that the mailbox belongs to the person. */
  readonly emailProved: boolean
  readonly name: string
}

/** What must not have changed in an account since something was allowed. */
type Standing = Pick<Account, 'id' | 'generation' | 'passwordVersion'>

/** The identity to remove. */
interface Removal {
  readonly handle: string
  /** The names of the configured providers. */
  readonly configured: readonly string[]
  /** The session that allowed it, if it was one. */
  readonly session?: SessionId | undefined
}

/** Whether an identity opens its account: the account exists, and has the same owner as when the identity was linked. */
const live = `exists (select 1 from accounts
  where accounts.id = identities.account_id and accounts.generation = identities.generation)`

const insert = `insert into identities
  (handle, issuer, subject, provider, email, created_at, last_used_at, account_id, generation)`

/** Replaces an identity that opens nothing. */
const overwrite = `handle = excluded.handle, provider = excluded.provider, email = excluded.email,
  created_at = excluded.created_at, last_used_at = excluded.last_used_at,
  account_id = excluded.account_id, generation = excluded.generation`

/**
 * Which person at which provider opens which account.
 *
 * Every write is one statement with its conditions in it (`AccountDatabase` says why). A new account with an identity takes
 * two statements: the first reserves an account id with the identity, the second creates the account under this id. If a
 * second request does the same, at the same moment or after a crash, both get the same account.
 *
 * Every method throws a `StoreError` if the database does not answer.
 */
export class Identities {
  readonly #database: AccountDatabase
  readonly #clock: () => number

  constructor(database: AccountDatabase, clock: () => number = Date.now) {
    this.#database = database
    this.#clock = clock
  }

  /**
   * Notes that the identity is being used.
   *
   * @returns the account that it opens; `undefined` if none; `disabled` if the account is disabled
   */
  async use({ issuer, subject, email }: GivenIdentity): Promise<Account | 'disabled' | undefined> {
    const [used] = await this.#database.query<Pick<IdentityRow, 'account_id' | 'generation'>>(
      `update identities set last_used_at = :now, email = :email
      where issuer = :issuer and subject = :subject and ${live}
      returning account_id, generation`,
      { issuer, subject, email: email ?? null, now: this.#clock() },
    )
    if (used === undefined) return undefined
    const sql = 'select * from accounts where id = :id'
    const [row] = await this.#database.query<AccountRow>(sql, { id: used.account_id })
    // Between the two statements another process may have given the account to the owner of its mailbox.
    if (row === undefined || row.generation !== used.generation) return undefined
    return row.disabled_at === null ? accountOf(row) : 'disabled'
  }

  /** @returns the id of the account that the identity opens */
  async ownerOf({ issuer, subject }: Pick<GivenIdentity, 'issuer' | 'subject'>): Promise<string | undefined> {
    const [row] = await this.#database.query<Pick<IdentityRow, 'account_id'>>(
      `select account_id from identities where issuer = :issuer and subject = :subject and ${live}`,
      { issuer, subject },
    )
    return row?.account_id
  }

  /** @returns the id of the account that the identity with this handle opens */
  async ownerOfHandle(handle: string): Promise<string | undefined> {
    const sql = `select account_id from identities where handle = :handle and ${live}`
    const [row] = await this.#database.query<Pick<IdentityRow, 'account_id'>>(sql, { handle })
    return row?.account_id
  }

  /** Whether the account has not changed since something was allowed, and the session that allowed it still lives. */
  async stands(account: Standing, session: SessionId | undefined): Promise<boolean> {
    const values = { ...standingValues(account), ...(session !== undefined && { session, now: this.#clock() }) }
    return (await this.#database.query(`select 1 where ${stands(session)}`, values)).length > 0
  }

  /**
   * Creates an account that the identity opens, unless it opens one already.
   *
   * @returns whether this call created it. Afterwards `use` finds the account, or none if the address has another account.
   */
  async open(identity: GivenIdentity, owner: NewOwner): Promise<boolean> {
    const accountId = await this.#reserve(identity)
    const now = this.#clock()
    const made = await this.#database.query(
      `insert into accounts (id, email, email_key, email_verified_at, name, password_version, created_at)
      select :accountId, :email, :key, :verifiedAt, :name, 1, :now
      where exists (select 1 from identities
        where issuer = :issuer and subject = :subject and account_id = :accountId and generation = 1)
      on conflict do nothing
      returning id`,
      {
        accountId,
        email: owner.email?.address ?? null,
        key: owner.email?.key ?? null,
        verifiedAt: owner.emailProved ? now : null,
        name: owner.name,
        now,
        issuer: identity.issuer,
        subject: identity.subject,
      },
    )
    return made.length > 0
  }

  /** The id of the account that the identity opens or will open. The first request decides. */
  async #reserve(identity: GivenIdentity): Promise<string | null> {
    await this.#database.query(
      `${insert}
      values (:handle, :issuer, :subject, :provider, :email, :now, :now, :accountId, 1)
      on conflict (issuer, subject) do update set ${overwrite}
      where exists (select 1 from accounts
        where accounts.id = identities.account_id and accounts.generation <> identities.generation)`,
      { ...this.#valuesOf(identity), accountId: randomName() },
    )
    const { issuer, subject } = identity
    const sql = 'select account_id from identities where issuer = :issuer and subject = :subject'
    const [row] = await this.#database.query<Pick<IdentityRow, 'account_id'>>(sql, { issuer, subject })
    return row?.account_id ?? null
  }

  /**
   * Lets the identity open an existing account, unless it opens one already.
   *
   * @param account as it was when this was allowed
   * @param session that allowed it, if it was one
   * @returns whether it was added. It is not if the account has changed since, or the session has ended.
   */
  async add(identity: GivenIdentity, account: Standing, session?: SessionId): Promise<boolean> {
    const added = await this.#database.query(
      `${insert}
      select :handle, :issuer, :subject, :provider, :email, :now, :now, :id, :generation
      where ${stands(session)}
      on conflict (issuer, subject) do update set ${overwrite} where not ${live}
      returning handle`,
      { ...this.#valuesOf(identity), ...standingValues(account), ...(session !== undefined && { session }) },
    )
    return added.length > 0
  }

  /**
   * Removes an identity from an account, unless it is the last way to log in. A disabled password is not counted, nor is a
   * provider that is not configured any more.
   *
   * @param account as it was when this was allowed
   * @returns the provider; `undefined` if the account has no such identity, or no other way to log in
   */
  async remove(account: Standing, { handle, configured, session }: Removal): Promise<string | undefined> {
    const [removed] = await this.#database.query<Pick<IdentityRow, 'provider'>>(
      `delete from identities
      where handle = :handle and account_id = :id and generation = :generation and ${stands(session)} and (
        exists (select 1 from accounts
          where id = :id and password_hash is not null and password_disabled_at is null)
        or exists (select 1 from identities as other
          where other.account_id = :id and other.generation = :generation and other.handle <> :handle
            and other.provider in (select value from json_each(:configured))))
      returning provider`,
      {
        handle,
        configured: JSON.stringify(configured),
        ...standingValues(account),
        ...(session !== undefined && { session, now: this.#clock() }),
      },
    )
    return removed?.provider
  }

  /** The oldest first. */
  async list({ id, generation }: Pick<Account, 'id' | 'generation'>): Promise<LinkedIdentity[]> {
    const rows = await this.#database.query<IdentityRow>(
      `select * from identities where account_id = :id and generation = :generation
      order by created_at, handle`,
      { id, generation },
    )
    return rows.map((row) => ({
      handle: row.handle,
      provider: row.provider,
      email: row.email ?? undefined,
      createdAt: row.created_at,
      lastUsedAt: row.last_used_at,
    }))
  }

  #valuesOf({ issuer, subject, provider, email }: GivenIdentity) {
    return { handle: randomName(), issuer, subject, provider, email: email ?? null, now: this.#clock() }
  }
}

/**
 * Whether the account is unchanged, and the session that allowed it still lives. The sessions are in the same file, so one
 * statement can decide and write.
 */
function stands(session: SessionId | undefined): string {
  const account = `exists (select 1 from accounts where id = :id and generation = :generation
    and password_version = :passwordVersion and disabled_at is null)`
  if (session === undefined) return account
  return `${account} and exists (select 1 from gatepass_sessions
    where id = :session and subject = :id and expires_at > :now)`
}

function standingValues({ id, generation, passwordVersion }: Standing): Record<string, string | number> {
  return { id, generation, passwordVersion }
}

function randomName(): string {
  return randomBytes(16).toString('base64url')
}
