import { randomBytes } from 'node:crypto'
import type { SessionId } from 'gatepass'
import { type Kysely, type RawBuilder, sql } from 'kysely'
import { type Account, accountOf } from './accounts.ts'
import { type AccountRow, type AccountTables, type IdentityRow, queried } from './database.ts'
import type { EmailAddress } from './email-address.ts'

/** Somebody at a provider; `issuer` and `subject` together are the one key that never changes hands. */
export interface IdentityKey {
  readonly issuer: string
  readonly subject: string
}

/** What is kept of somebody at a provider. */
export interface GivenIdentity extends IdentityKey {
  /** As the configuration calls it. */
  readonly provider: string
  /** As the provider gives it; finds nobody. */
  readonly email: string | undefined
}

/** A way in, as the account's owner sees it. */
export interface LinkedIdentity {
  /** Names it on pages; the issuer's subject is nobody's business. */
  readonly handle: string
  readonly provider: string
  readonly email: string | undefined
  /** Epoch milliseconds. */
  readonly createdAt: number
  readonly lastUsedAt: number
}

/** An account that begins with an identity. */
export interface NewOwner {
  readonly email: EmailAddress | undefined
  /** Whether the provider proves that the mailbox is the person's. */
  readonly emailProved: boolean
  readonly name: string
}

/** What an account must still be when something takes effect that was allowed before. */
export type Standing = Pick<Account, 'id' | 'generation' | 'passwordVersion'>

/** Which way in is taken away. */
export interface Removal {
  readonly handle: string
  /** The providers that there are. */
  readonly configured: readonly string[]
  /** In which it was allowed, if in one. */
  readonly session?: SessionId | undefined
}

/** Whether an identity opens the account that it names: there is one, and it has not gone to somebody else since. */
const live: RawBuilder<boolean> = sql`exists (select 1 from accounts
  where accounts.id = identities.account_id and accounts.generation = identities.generation)`

/**
 * Who at which provider opens which account.
 *
 * Every write is one statement with its conditions in it (why, says `openDatabase`). An account that begins with an identity
 * takes two: the identity comes first and names an account to be, then the account is made under this id. Whoever repeats
 * either of them, at the same moment or after a crash, gets the same account.
 *
 * Every method throws a `StoreError` when the database does not answer.
 */
export class Identities {
  readonly #database: Kysely<AccountTables>
  readonly #clock: () => number

  constructor(database: Kysely<AccountTables>, clock: () => number = Date.now) {
    this.#database = database
    this.#clock = clock
  }

  /**
   * Notes that the identity is being used.
   *
   * @returns whose it is, or `undefined`: nobody's; `disabled` if nobody is let into its account
   */
  async use({ issuer, subject, email }: GivenIdentity): Promise<Account | 'disabled' | undefined> {
    const [used] = await this.#run<Pick<IdentityRow, 'account_id' | 'generation'>>(sql`
      update identities set last_used_at = ${this.#clock()}, email = ${email ?? null}
      where issuer = ${issuer} and subject = ${subject} and ${live}
      returning account_id, generation`)
    if (used === undefined) return undefined
    const [row] = await this.#run<AccountRow>(sql`select * from accounts where id = ${used.account_id}`)
    // Between the two statements the account may have gone to the owner of its mailbox.
    if (row === undefined || row.generation !== used.generation) return undefined
    return row.disabled_at === null ? accountOf(row) : 'disabled'
  }

  /** Whose it is. */
  async ownerOf({ issuer, subject }: IdentityKey): Promise<string | undefined> {
    const [row] = await this.#run<{ account_id: string }>(sql`
      select account_id from identities where issuer = ${issuer} and subject = ${subject} and ${live}`)
    return row?.account_id
  }

  /**
   * Makes an account that the identity opens, unless there is one already.
   *
   * @returns whether this call made it; afterwards `use` says whose the identity is: nobody's if the address has an account
   */
  async open(identity: GivenIdentity, owner: NewOwner): Promise<boolean> {
    const accountId = await this.#reserve(identity)
    const now = this.#clock()
    const made = await this.#run(sql`
      insert into accounts (id, email, email_key, email_verified_at, name, password_version, created_at)
      select ${accountId}, ${owner.email?.address ?? null}, ${owner.email?.key ?? null},
        ${owner.emailProved ? now : null}, ${owner.name}, 1, ${now}
      where exists (select 1 from identities where issuer = ${identity.issuer} and subject = ${identity.subject}
        and account_id = ${accountId} and generation = 1)
      on conflict do nothing
      returning id`)
    return made.length > 0
  }

  /** The id of the account that the identity opens, or is going to: the first to ask decides. */
  async #reserve(identity: GivenIdentity): Promise<string | undefined> {
    const given = this.#rowOf(identity)
    await this.#run(sql`
      insert into identities (${columns}) values (${given}, ${randomName()}, 1)
      on conflict (issuer, subject) do update set ${overwrite}
      where exists (select 1 from accounts
        where accounts.id = identities.account_id and accounts.generation <> identities.generation)`)
    const [row] = await this.#run<{ account_id: string }>(sql`
      select account_id from identities where issuer = ${identity.issuer} and subject = ${identity.subject}`)
    return row?.account_id
  }

  /**
   * Lets the identity open an account that exists, unless it opens one already.
   *
   * @param account as it was when this was allowed
   * @param session in which it was allowed, if in one
   * @returns whether it was added; not if the account is another by now, or the session has ended
   */
  async add(identity: GivenIdentity, account: Standing, session?: SessionId): Promise<boolean> {
    const given = this.#rowOf(identity)
    const added = await this.#run(sql`
      insert into identities (${columns})
      select ${given}, ${account.id}, ${account.generation}
      where ${this.#stands(account, session)}
      on conflict (issuer, subject) do update set ${overwrite} where not ${live}
      returning handle`)
    return added.length > 0
  }

  /**
   * Takes a way in from an account, unless it is the last one. A disabled password, and a provider that is not configured
   * any more, are no ways in.
   *
   * @param account as it was when this was allowed
   * @returns the provider; `undefined` if the account has no such identity, or no other way in
   */
  async remove(account: Standing, { handle, configured, session }: Removal): Promise<string | undefined> {
    const { id, generation } = account
    const [removed] = await this.#run<{ provider: string }>(sql`
      delete from identities
      where handle = ${handle} and account_id = ${id} and generation = ${generation} and ${this.#stands(account, session)} and (
        exists (select 1 from accounts
          where id = ${id} and password_hash is not null and password_disabled_at is null)
        or exists (select 1 from identities as other
          where other.account_id = ${id} and other.generation = ${generation} and other.handle <> ${handle}
            and other.provider in (${sql.join(configured)})))
      returning provider`)
    return removed?.provider
  }

  /** The oldest first. */
  async list({ id, generation }: Pick<Account, 'id' | 'generation'>): Promise<LinkedIdentity[]> {
    const rows = await queried(
      this.#database
        .selectFrom('identities')
        .selectAll()
        .where('account_id', '=', id)
        .where('generation', '=', generation)
        .orderBy('created_at')
        .orderBy('handle')
        .execute(),
    )
    return rows.map((row) => ({
      handle: row.handle,
      provider: row.provider,
      email: row.email ?? undefined,
      createdAt: row.created_at,
      lastUsedAt: row.last_used_at,
    }))
  }

  /**
   * Whether the account is what it was, and the session in which something was allowed lives. The sessions are in the same
   * file, so that one statement decides and writes.
   */
  #stands({ id, generation, passwordVersion }: Standing, session: SessionId | undefined): RawBuilder<boolean> {
    const account = sql<boolean>`exists (select 1 from accounts where id = ${id} and generation = ${generation}
      and password_version = ${passwordVersion} and disabled_at is null)`
    if (session === undefined) return account
    return sql`${account} and exists (select 1 from gatepass_sessions
      where id = ${session} and subject = ${id} and expires_at > ${this.#clock()})`
  }

  #rowOf({ issuer, subject, provider, email }: GivenIdentity): RawBuilder<unknown> {
    const now = this.#clock()
    return sql.join([randomName(), issuer, subject, provider, email ?? null, now, now])
  }

  async #run<Row>(query: RawBuilder<unknown>): Promise<Row[]> {
    const { rows } = await queried(query.execute(this.#database))
    return rows as Row[]
  }
}

/** What {@link Identities} writes of a new identity, in its order. */
const columns: RawBuilder<unknown> = sql`handle, issuer, subject, provider, email, created_at, last_used_at, account_id, generation`

/** In place of an identity that opens nothing. */
const overwrite: RawBuilder<unknown> = sql`handle = excluded.handle, provider = excluded.provider, email = excluded.email,
  created_at = excluded.created_at, last_used_at = excluded.last_used_at,
  account_id = excluded.account_id, generation = excluded.generation`

function randomName(): string {
  return randomBytes(16).toString('base64url')
}
