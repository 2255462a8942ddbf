import { type IRateLimiterRes, RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible'
import type { LimitConfig } from '../settings/config.ts'
import { type AddressGroup, addressGroups } from './address-group.ts'

const MINUTE = 60
const HOUR = 3600
const DAY = 86_400

/** Who tries to log in to which account. */
export interface LoginTry {
  readonly address: string | undefined
  /** Names the account without telling which; the same for an address that has no account. */
  readonly account: string
  /** Set when this browser has been in this account before: strangers' failures then do not count against it. */
  readonly device: string | undefined
}

/** A try that may go on. It counts as failed until it says otherwise, so that tries at the same moment cannot slip by. */
export interface AdmittedTry {
  readonly admitted: true
  /** Failures of the account that this success puts an end to. */
  succeeded(): Promise<number>
  /** It was neither right nor wrong: the server could not look. */
  undecided(): Promise<void>
}

export interface RefusedTry {
  readonly admitted: false
  /** Seconds. */
  readonly retryAfter: number
}

/** What one person may do how often. Kept in this process: with several, each counts for itself. */
export class Limits {
  readonly #config: LimitConfig
  readonly #addresses: RateLimiterMemory
  readonly #sites: RateLimiterMemory
  readonly #pairs: RateLimiterMemory
  readonly #failures: RateLimiterMemory
  readonly #waits: RateLimiterMemory
  readonly #registrations: RateLimiterMemory
  readonly #siteRegistrations: RateLimiterMemory

  constructor(config: LimitConfig) {
    this.#config = config
    this.#addresses = limiter(config.loginsPerAddress, 5 * MINUTE)
    this.#sites = limiter(config.loginsPerAddress * 8, 5 * MINUTE)
    this.#pairs = limiter(config.loginsPerPair, 15 * MINUTE)
    this.#failures = limiter(Number.MAX_SAFE_INTEGER, DAY)
    this.#waits = limiter(1, config.longestDelay)
    this.#registrations = limiter(config.registrationsPerAddress, HOUR)
    this.#siteRegistrations = limiter(config.registrationsPerAddress * 8, HOUR)
  }

  /** Takes one login try from every count that it touches, or gives all back and says when to come again. */
  async admitLogin(attempt: LoginTry): Promise<AdmittedTry | RefusedTry> {
    const account = attempt.device === undefined ? attempt.account : `${attempt.account} ${attempt.device}`
    const taken = attempt.device === undefined ? await this.#takeByAddress(attempt) : new Taken()
    if (taken.retryAfter === undefined) await this.#takeByAccount(account, taken)
    if (taken.retryAfter !== undefined) {
      await taken.giveBack()
      return { admitted: false, retryAfter: taken.retryAfter }
    }
    return {
      admitted: true,
      undecided: () => taken.giveBack(),
      succeeded: async () => {
        const failures = await this.#failures.get(account)
        await Promise.all([taken.giveBack(), this.#failures.delete(account), this.#waits.delete(account)])
        // The try itself is among them.
        return Math.max(0, (failures?.consumedPoints ?? 0) - 1)
      },
    }
  }

  /** Takes a callback of a provider from the counts of its address, which are those of logins by password, too. */
  async admitCallback(address: string | undefined): Promise<Pick<AdmittedTry, 'admitted' | 'undecided'> | RefusedTry> {
    const taken = await this.#takeByAddress({ address })
    if (taken.retryAfter === undefined) return { admitted: true, undecided: () => taken.giveBack() }
    await taken.giveBack()
    return { admitted: false, retryAfter: taken.retryAfter }
  }

  /** @returns seconds to wait, or `undefined`: go on */
  async admitRegistration(address: string | undefined): Promise<number | undefined> {
    const taken = new Taken()
    for (const { key, factor } of widestFirst(address)) {
      await taken.take(factor === 1 ? this.#registrations : this.#siteRegistrations, key)
    }
    // What one home is refused must not use up what its neighbours have.
    if (taken.retryAfter !== undefined) await taken.giveBack()
    return taken.retryAfter
  }

  async #takeByAddress({ address, account }: Pick<LoginTry, 'address'> & { account?: string }): Promise<Taken> {
    const taken = new Taken()
    for (const { key, factor } of widestFirst(address)) {
      await taken.take(factor === 1 ? this.#addresses : this.#sites, key)
      if (factor === 1 && account !== undefined) await taken.take(this.#pairs, `${key} ${account}`)
    }
    return taken
  }

  /** Lets the first failures pass; from then on each try closes the door behind it, twice as long each time. */
  async #takeByAccount(account: string, taken: Taken): Promise<void> {
    const tries = await taken.take(this.#failures, account)
    const beyond = tries - this.#config.freeFailures
    if (beyond < 0) return
    const delay = Math.min(2 ** beyond, this.#config.longestDelay)
    await taken.take(this.#waits, account, { wait: delay })
  }
}

/** The wide group first: a sender who has used it up cannot fill the memory with narrow ones. */
function widestFirst(address: string | undefined): readonly AddressGroup[] {
  return addressGroups(address).toReversed()
}

function limiter(points: number, duration: number): RateLimiterMemory {
  return new RateLimiterMemory({ points, duration })
}

/** The counts that one try has been taken from. */
class Taken {
  /** Seconds until the count that ran out has room again. */
  retryAfter: number | undefined
  readonly #back: (() => Promise<unknown>)[] = []

  /**
   * Takes one, unless an earlier count has refused: what is refused already must leave no more traces, least of all under
   * a key that the sender makes up.
   *
   * @returns how many are taken from this count now, this one included
   */
  async take(from: RateLimiterMemory, key: string, options: { wait?: number } = {}): Promise<number> {
    if (this.retryAfter !== undefined) return 0
    const custom = options.wait === undefined ? {} : { customDuration: options.wait }
    // A wait is over when its time is up, not when the try that began it is given back.
    if (options.wait === undefined) this.#back.push(() => from.reward(key))
    try {
      const count: IRateLimiterRes = await from.consume(key, 1, custom)
      return count.consumedPoints ?? 1
    } catch (refusal) {
      if (!(refusal instanceof RateLimiterRes)) throw refusal
      this.retryAfter = Math.max(1, Math.ceil(refusal.msBeforeNext / 1000))
      return refusal.consumedPoints
    }
  }

  async giveBack(): Promise<void> {
    await Promise.all(this.#back.splice(0).map((back) => back()))
  }
}
