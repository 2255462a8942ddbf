import { isIPv6 } from 'node:net'
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible'
import type { LimitConfig } from '../settings/config.ts'

const MINUTE = 60
const HOUR = 3600
const DAY = 86_400

/** One try to log in. */
export interface LoginTry {
  readonly address: string | undefined
  /** A pseudonym of the typed address, also where it has no account. */
  readonly account: string
  /** Set when this browser was logged in to this account before: failures of strangers then do not count against it. */
  readonly device: string | undefined
}

/** A try that may continue. It counts as failed until it says otherwise, so that simultaneous tries are counted. */
export interface AdmittedTry {
  readonly admitted: true
  /** Forgets the failures of the account, and returns how many they were. */
  succeeded(): Promise<number>
  /** The server could not decide: the try does not count. */
  undecided(): Promise<void>
}

export interface RefusedTry {
  readonly admitted: false
  /** Seconds. */
  readonly retryAfter: number
}

/** How often one person may do what. Kept in this process: several processes count separately. */
export class Limits {
  readonly #config: LimitConfig
  readonly #logins: LimitersByFactor
  readonly #pairs: RateLimiterMemory
  readonly #failures: RateLimiterMemory
  readonly #waits: RateLimiterMemory
  readonly #registrations: LimitersByFactor
  readonly #registrationForms: LimitersByFactor

  constructor(config: LimitConfig) {
    this.#config = config
    this.#logins = limitersByFactor(config.loginsPerAddress, 5 * MINUTE)
    this.#pairs = limiter(config.loginsPerPair, 15 * MINUTE)
    this.#failures = limiter(Number.MAX_SAFE_INTEGER, DAY)
    this.#waits = limiter(1, config.longestDelay)
    this.#registrations = limitersByFactor(config.registrationsPerAddress, HOUR)
    this.#registrationForms = limitersByFactor(config.registrationsPerAddress * 11, HOUR)
  }

  /** Counts a try in every limit. If one is used up, counts it in none and returns the time to wait. */
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
        // Without this try.
        return Math.max(0, (failures?.consumedPoints ?? 0) - 1)
      },
    }
  }

  /** Counts a provider's callback by its address, together with logins by password. */
  async admitCallback(address: string | undefined): Promise<Pick<AdmittedTry, 'admitted' | 'undecided'> | RefusedTry> {
    const taken = await this.#takeByAddress({ address })
    if (taken.retryAfter === undefined) return { admitted: true, undecided: () => taken.giveBack() }
    await taken.giveBack()
    return { admitted: false, retryAfter: taken.retryAfter }
  }

  /** @returns seconds to wait; `undefined` if it may continue */
  async admitRegistration(address: string | undefined): Promise<number | undefined> {
    return this.#admit(this.#registrations, address)
  }

  /**
   * Counts a form for a new account, before its password is judged: that takes time. Ten refused forms are allowed for each
   * registration.
   *
   * @returns seconds to wait; `undefined` if it may continue
   */
  async admitRegistrationForm(address: string | undefined): Promise<number | undefined> {
    return this.#admit(this.#registrationForms, address)
  }

  async #admit(limiters: LimitersByFactor, address: string | undefined): Promise<number | undefined> {
    const taken = new Taken()
    for (const { key, factor } of widestFirst(address)) {
      await taken.take(limiters[factor], key)
    }
    // A refused home must not use up the limit of its neighbours.
    if (taken.retryAfter !== undefined) await taken.giveBack()
    return taken.retryAfter
  }

  async #takeByAddress({ address, account }: Pick<LoginTry, 'address'> & { account?: string }): Promise<Taken> {
    const taken = new Taken()
    for (const { key, factor } of widestFirst(address)) {
      await taken.take(this.#logins[factor], key)
      if (factor === 1 && account !== undefined) await taken.take(this.#pairs, `${key} ${account}`)
    }
    return taken
  }

  /** Lets the first failures pass. After them, each try starts a wait, twice as long each time. */
  async #takeByAccount(account: string, taken: Taken): Promise<void> {
    const tries = await taken.take(this.#failures, account)
    const beyond = tries - this.#config.freeFailures
    if (beyond < 0) return
    await taken.take(this.#waits, account, { wait: Math.min(2 ** beyond, this.#config.longestDelay) })
  }
}

/** Addresses that one person or one site may use. */
interface AddressGroup {
  readonly key: string
  /** How many times the limit of one person this group may use. */
  readonly factor: 1 | 8
}

/** An IPv4 address alone; of an IPv6 address the /64 of a home or a phone, and the /48 of a site. */
export function addressGroups(address: string | undefined): readonly AddressGroup[] {
  // Without an address all visitors share one count: a count for each would not limit them.
  if (address === undefined) return [{ key: 'unknown', factor: 1 }]
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1]
  if (mapped !== undefined || !isIPv6(address)) return [{ key: mapped ?? address, factor: 1 }]
  // The eight parts of the address (RFC 4291 §2.2), without leading zeros and without the zone.
  const [left = [], right = []] = (address.split('%')[0] ?? '')
    .toLowerCase()
    .split('::')
    .map((half) => half.split(':').flatMap((part) => (part === '' ? [] : part.replace(/^0+(?=.)/, ''))))
  const zeros = Array<string>(Math.max(0, 8 - left.length - right.length)).fill('0')
  const parts = [...left, ...zeros, ...right]
  return [
    { key: `${parts.slice(0, 4).join(':')}::/64`, factor: 1 },
    { key: `${parts.slice(0, 3).join(':')}::/48`, factor: 8 },
  ]
}

type LimitersByFactor = Readonly<Record<AddressGroup['factor'], RateLimiterMemory>>

function limitersByFactor(points: number, duration: number): LimitersByFactor {
  return { 1: limiter(points, duration), 8: limiter(points * 8, duration) }
}

function limiter(points: number, duration: number): RateLimiterMemory {
  return new RateLimiterMemory({ points, duration })
}

/** The wide group first: a sender who has used it up cannot fill the memory with narrow ones. */
function widestFirst(address: string | undefined): readonly AddressGroup[] {
  return addressGroups(address).toReversed()
}

/** The counts that one try was counted in. */
class Taken {
  /** Seconds until the count that ran out has room again. */
  retryAfter: number | undefined
  readonly #back: (() => Promise<unknown>)[] = []

  /**
   * Counts one, unless an earlier count has refused: a refused try must leave no more entries, least of all under a key
   * that the sender invents.
   *
   * @returns the count, with this one
   */
  async take(from: RateLimiterMemory, key: string, options: { wait?: number } = {}): Promise<number> {
    if (this.retryAfter !== undefined) return 0
    const custom = options.wait === undefined ? {} : { customDuration: options.wait }
    // A wait ends when its time is up, also if the try that began it is given back.
    if (options.wait === undefined) this.#back.push(() => from.reward(key))
    try {
      return (await from.consume(key, 1, custom)).consumedPoints
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
