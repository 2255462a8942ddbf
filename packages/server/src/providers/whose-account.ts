import type { Exchange, Linking } from 'gatepass'
import type { Identity } from 'gatepass/strategies/oidc'
import { type Account, isPersonName, stampOf } from '../accounts/accounts.ts'
import { type EmailAddress, parseEmailAddress } from '../accounts/email-address.ts'
import type { GivenIdentity } from '../accounts/identities.ts'
import type { Stores } from '../accounts/stores.ts'
import { accountDisabled, emailInUse, identityTaken, linkEnded, type Problem, unsettled } from '../web/problem.ts'

/** The account that an identity opens, and what was done for it. */
export interface Opened {
  readonly type: 'opened'
  readonly account: Account
  /**
   * `known`: nothing. `linked`: the identity was added to an existing account. `reclaimed`: the account was given to the
   * owner of its mailbox, and what opened it before was removed.
   */
  readonly how: 'known' | 'linked' | 'reclaimed' | 'created'
  /** Whether this was the first proof that the mailbox belongs to the account's owner. */
  readonly emailProved?: boolean
}

export type Decision = Opened | { readonly type: 'refused'; readonly problem: Problem }

/** How often a decision starts again because another request changed what it was based on. */
const MOST_TRIES = 3

/**
 * Decides whose account an identity opens. An identity is issuer and subject. Its e-mail address counts only if the provider
 * runs the mailbox (`emailAuthoritative`), since then the person is its owner.
 *
 * @param admission says why a request may not create an account; `undefined` if it may
 */
export function whoseAccount(
  { accounts, identities }: Pick<Stores, 'accounts' | 'identities'>,
  admission: (exchange: Exchange) => Promise<Problem | undefined>,
): {
  toLogIn(provider: string, identity: Identity, exchange: Exchange): Promise<Decision>
  toLink(provider: string, identity: Identity, linking: Linking): Promise<Decision>
} {
  return { toLogIn, toLink }

  /** For a person who logs in. */
  async function toLogIn(provider: string, identity: Identity, exchange: Exchange): Promise<Decision> {
    const given = { ...identity, provider }
    for (let tries = 0; tries < MOST_TRIES; tries++) {
      const decision = (await known(given)) ?? (await decideNew(given, exchange))
      if (decision !== undefined) return decision
    }
    return refused(unsettled)
  }

  /**
   * For a person who is logged in and adds a way to log in. One statement adds it, if account and session are still those
   * that began the link.
   */
  async function toLink(provider: string, identity: Identity, linking: Linking): Promise<Decision> {
    const given = { ...identity, provider }
    const { subject, stamp, sessionId } = linking
    const account = await accounts.byId(subject)
    if (account === undefined || stampOf(account) !== stamp) return refused(linkEnded)
    if (!(await identities.add(given, account, sessionId))) {
      const owner = await identities.ownerOf(given)
      if (owner === account.id) return { type: 'opened', account, how: 'known' }
      return refused(owner === undefined ? linkEnded : identityTaken)
    }
    const email = identity.emailAuthoritative ? parseEmailAddress(identity.email) : undefined
    const emailProved = email !== undefined && (await accounts.emailProved(account.id, email.key))
    return { type: 'opened', account, how: 'linked', emailProved }
  }

  async function known(given: GivenIdentity): Promise<Decision | undefined> {
    const account = await identities.use(given)
    if (account === undefined) return undefined
    return account === 'disabled' ? refused(accountDisabled) : { type: 'opened', account, how: 'known' }
  }

  /** @returns `undefined` if another request was faster */
  async function decideNew(given: GivenIdentity & Identity, exchange: Exchange): Promise<Decision | undefined> {
    const email = parseEmailAddress(given.email)
    const existing = email && (await accounts.byEmail(email.key))
    if (existing === undefined) return create(given, email, exchange)
    // A provider that does not run the mailbox proves nothing: the person may have typed the address, or owned it once.
    if (!given.emailAuthoritative) return refused(emailInUse)
    if (!existing.emailVerified) return reclaim(given, existing)
    return (await identities.add(given, existing)) ? { type: 'opened', account: existing, how: 'linked' } : undefined
  }

  /**
   * The first proof of a mailbox. The person who created the account did not prove it, and may have wanted to catch its
   * owner: nothing that they left opens the account from now on.
   */
  async function reclaim(given: GivenIdentity & Identity, existing: Account): Promise<Decision | undefined> {
    const account = await accounts.giveToMailboxOwner(existing.id, { name: nameOf(given) })
    if (account === undefined || !(await identities.add(given, account))) return undefined
    return { type: 'opened', account, how: 'reclaimed', emailProved: true }
  }

  async function create(
    given: GivenIdentity & Identity,
    email: EmailAddress | undefined,
    exchange: Exchange,
  ): Promise<Decision | undefined> {
    const problem = await admission(exchange)
    if (problem !== undefined) return refused(problem)
    const emailProved = email !== undefined && given.emailAuthoritative
    const made = await identities.open(given, { email, emailProved, name: nameOf(given) })
    const decision = await known(given)
    if (decision?.type === 'opened') return { ...decision, ...(made && { how: 'created', emailProved }) }
    // The address of a disabled account does not open it either.
    return decision ?? (email === undefined ? undefined : refused(emailInUse))
  }
}

function refused(problem: Problem): Decision {
  return { type: 'refused', problem }
}

function nameOf({ name = '' }: Identity): string {
  const trimmed = name.trim()
  return isPersonName(trimmed) ? trimmed : ''
}
