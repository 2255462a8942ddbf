import { Random } from './random.ts'
import {
  type Act,
  Browser,
  KeptSessions,
  type NearCacheOptions,
  type Operation,
  operations,
  type Policy,
} from './sessions.ts'
import { Timeline } from './timeline.ts'

/** How people use an application. Times in seconds. */
export interface Habits {
  readonly visitsPerDay: number
  /** How much more often the busiest come than the others: the exponent of Zipf's law. */
  readonly skew: number
  readonly pagesPerVisit: number
  readonly betweenPages: number
  /** Their share of all requests. */
  readonly changes: number
  /** Their share of all visits. */
  readonly logouts: number
  /** How far the rate of visits moves from its mean in a day. */
  readonly swing: number
}

/** Server processes with near caches. */
export interface Processes extends NearCacheOptions {
  readonly count: number
  /** Whether all requests of a browser reach the same process. */
  readonly sticky: boolean
}

export interface PopulationOptions {
  readonly browsers: number
  readonly habits: Habits
  readonly policy: Policy
  readonly processes?: Processes
  /** Days until the number of live sessions is stable. */
  readonly settlingDays: number
  readonly seed: number
}

export type Rates = Readonly<Record<Operation, number>>

/** One day of the browsers, after the number of sessions has settled. */
export interface Day {
  readonly browsers: number
  /** Sessions at noon. */
  readonly live: number
  readonly requests: number
  readonly operations: Rates
  /** How many requests wait for no operation, for one, and for two in a row. */
  readonly waiting: readonly number[]
  /** Requests and operations of the busiest hour, per second. */
  readonly peak: { readonly requests: number; readonly operations: Rates }
  /** Browsers with a session at noon that send a request in the hour after it. */
  readonly backWithinAnHour: number
}

export const HOUR = 3600
export const DAY = 24 * HOUR

/** Lets browsers visit day by day, and counts the last one. */
export function simulateDay(options: PopulationOptions): Day {
  return new Population(options).lastDay()
}

interface Visitor {
  readonly browser: Browser
  /** Seconds between visits. */
  readonly between: number
  readonly process: number
  pagesLeft: number
}

class Population {
  readonly #options: PopulationOptions
  readonly #random: Random
  readonly #timeline = new Timeline<Visitor>()
  readonly #visitors: readonly Visitor[]
  readonly #caches: readonly KeptSessions[]

  constructor(options: PopulationOptions) {
    this.#options = options
    this.#random = new Random(options.seed)
    const { processes } = options
    this.#caches = Array.from({ length: processes?.count ?? 0 }, () => new KeptSessions(processes as Processes))
    const shares = Array.from({ length: options.browsers }, (_, rank) => (rank + 1) ** -options.habits.skew)
    const all = shares.reduce((sum, share) => sum + share, 0)
    this.#visitors = shares.map((share) => this.#visitor((share / all) * options.browsers))
  }

  lastDay(): Day {
    const begin = this.#options.settlingDays * DAY
    const [all, hours] = [tally(), Array.from({ length: 24 }, tally)]
    let atNoon: ReadonlySet<Visitor> | undefined
    const back = new Set<Visitor>()
    while (this.#timeline.nextAt < begin + DAY) {
      const now = this.#timeline.nextAt
      const visitor = this.#timeline.take() as Visitor
      const noon = begin + DAY / 2
      if (atNoon === undefined && now >= noon) {
        atNoon = new Set(this.#visitors.filter(({ browser }) => browser.alive(now)))
      }
      if (atNoon?.has(visitor) && now < noon + HOUR) back.add(visitor)
      const asked = this.#visit(visitor, now)
      if (now < begin) continue
      all.count(asked)
      hours[Math.floor((now - begin) / HOUR)]?.count(asked)
    }
    const busiest = hours.reduce((most, hour) => (hour.requests > most.requests ? hour : most))
    const peak = { requests: busiest.requests / HOUR, operations: scaled(busiest.operations, 1 / HOUR) }
    const { browsers } = this.#options
    const [live, backWithinAnHour] = [atNoon?.size ?? 0, back.size]
    const { requests, waiting } = all
    return { browsers, live, requests, operations: all.operations, waiting, peak, backWithinAnHour }
  }

  #visitor(share: number): Visitor {
    const between = DAY / (this.#options.habits.visitsPerDay * share)
    const process = this.#random.below(this.#options.processes?.count ?? 1)
    const visitor = { browser: new Browser(this.#options.policy), between, process, pagesLeft: 0 }
    this.#timeline.add(this.#nextVisit(0, between), this.#beginning(visitor))
    return visitor
  }

  /** Visits are rarest at midnight and most frequent at noon. */
  #nextVisit(now: number, between: number): number {
    const { swing } = this.#options.habits
    for (let at = now; ; ) {
      at += this.#random.exponential(between / (1 + swing))
      const share = (1 - swing * Math.cos((2 * Math.PI * at) / DAY)) / (1 + swing)
      if (this.#random.chance(share)) return at
    }
  }

  #beginning(visitor: Visitor): Visitor {
    const { pagesPerVisit } = this.#options.habits
    visitor.pagesLeft = 1 + Math.floor(this.#random.exponential(1 / Math.log(pagesPerVisit / (pagesPerVisit - 1))))
    return visitor
  }

  #visit(visitor: Visitor, now: number): Operation[] {
    const { betweenPages } = this.#options.habits
    const act = this.#act(--visitor.pagesLeft === 0)
    if (visitor.pagesLeft > 0) this.#timeline.add(now + this.#random.exponential(betweenPages), visitor)
    else this.#timeline.add(this.#nextVisit(now, visitor.between), this.#beginning(visitor))
    return visitor.browser.request(act, now, this.#cacheFor(visitor))
  }

  #act(last: boolean): Act {
    const { logouts, changes } = this.#options.habits
    if (last && this.#random.chance(logouts)) return 'logout'
    return this.#random.chance(changes) ? 'change' : 'read'
  }

  #cacheFor(visitor: Visitor): KeptSessions | undefined {
    const { processes } = this.#options
    if (processes === undefined) return undefined
    return this.#caches[processes.sticky ? visitor.process : this.#random.below(processes.count)]
  }
}

function tally() {
  const counts: Record<Operation, number> = { load: 0, login: 0, touch: 0, change: 0, logout: 0 }
  return {
    requests: 0,
    operations: counts as Rates,
    waiting: [0, 0, 0],
    count(asked: readonly Operation[]) {
      this.requests++
      this.waiting[asked.length] = (this.waiting[asked.length] ?? 0) + 1
      for (const operation of asked) counts[operation]++
    },
  }
}

export function scaled(rates: Rates, factor: number): Rates {
  return Object.fromEntries(operations.map((operation) => [operation, rates[operation] * factor])) as Rates
}
