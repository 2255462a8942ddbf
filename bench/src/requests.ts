import { resolve } from 'node:path'
import { addresses, OwnPlaces } from './engines.ts'
import { type Amount, LoadedServer, type Sample } from './request-load.ts'
import type { Engines } from './request-stores.ts'
import { chosen, type Goal, type Subject, unit } from './request-subjects.ts'
import { type Estimate, estimate } from './rows.ts'

export interface RequestOptions {
  /** Only rows whose name contains one of them, and what they are compared with. Default: all rows. */
  readonly words?: readonly string[]
  readonly rounds?: number
  /** Another checkout. Its Gatepass takes turns with this one's, in every row of Gatepass. */
  readonly against?: string
}

export interface RequestReport {
  readonly rows: readonly RequestRow[]
  readonly rounds: number
  readonly seconds: number
}

export interface RequestRow {
  readonly name: string
  /** CPU added to a request over the bare framework, divided by the CPU of a bare `node:http` request. */
  readonly b: Estimate
  /** The other checkout's B, and how much less it is than this one's. */
  readonly other?: { readonly b: Estimate; readonly difference: Estimate }
  readonly goal: number | undefined
  /** Of CPU, for a request. */
  readonly microseconds: Estimate
  readonly requestsPerSecond: number
}

/** Before the first round, so that V8 has compiled the server. */
const warmUp: Amount = { requests: 30_000 }
/** For each server and round. */
const measured: Amount = { cpu: 100_000 }
/** Seconds after which no other round begins. */
const enough = 9 * 60
const thisCheckout = resolve(import.meta.dirname, '../..')

/**
 * Each row is a server in a process of its own. In each round, every server is under load once: one at a time, in random order.
 * Only figures of the same round are compared, so that a machine that gets slower slows both.
 */
export async function benchRequests(options: RequestOptions = {}): Promise<RequestReport> {
  const { words = [], rounds = 45, against } = options
  const start = performance.now()
  const seconds = () => (performance.now() - start) / 1000
  const run = new Run(chosen(words), against)
  try {
    await run.start()
    await run.round(warmUp)
    run.forget()
    let round = 0
    for (; round < rounds && seconds() < enough; round++) await run.round(measured)
    return { rows: run.rows(), rounds: round, seconds: seconds() }
  } finally {
    await run.stop()
  }
}

/** The samples of one server, a sample for each round. */
interface Contender {
  readonly server: LoadedServer
  readonly samples: Sample[]
}

class Run {
  readonly #subjects: readonly Subject[]
  readonly #against: string | undefined
  readonly #places = new OwnPlaces()
  readonly #here = new Map<string, Contender>()
  readonly #there = new Map<string, Contender>()

  constructor(subjects: readonly Subject[], against: string | undefined) {
    this.#subjects = subjects
    this.#against = against
  }

  /** Starts all servers. If an engine does not answer, an error names the row, and the others are measured. */
  async start(): Promise<void> {
    for (const subject of this.#subjects) {
      try {
        await this.#start(subject)
      } catch (error) {
        console.error(`${subject.name} is NOT MEASURED: ${error instanceof Error ? error.message : error}`)
      }
    }
  }

  async round(amount: Amount): Promise<void> {
    for (const { name } of shuffled(this.#subjects)) {
      for (const contender of shuffled([this.#here.get(name), this.#there.get(name)])) {
        contender?.samples.push(await contender.server.load(amount))
      }
    }
  }

  forget(): void {
    for (const { samples } of this.#contenders()) samples.length = 0
  }

  rows(): RequestRow[] {
    return this.#subjects.filter(({ name }) => this.#here.has(name)).map((subject) => this.#row(subject))
  }

  async stop(): Promise<void> {
    for (const { server } of this.#contenders()) await server.stop()
    await this.#places.free()
  }

  #contenders(): Contender[] {
    return [...this.#here.values(), ...this.#there.values()]
  }

  async #start(subject: Subject): Promise<void> {
    const contender = async (checkout: string): Promise<Contender> => {
      const engines = await this.#enginesOf(subject.variant)
      return { server: await LoadedServer.start(subject, engines, checkout), samples: [] }
    }
    this.#here.set(subject.name, await contender(thisCheckout))
    if (this.#against !== undefined && subject.gatepass) this.#there.set(subject.name, await contender(this.#against))
  }

  async #enginesOf(variant: string): Promise<Engines> {
    return {
      file: this.#places.file(),
      redis: variant.includes('redis') ? await this.#places.redis() : '',
      postgres: addresses.postgres,
      schema: variant.includes('postgres') ? await this.#places.schema() : '',
    }
  }

  #row(subject: Subject): RequestRow {
    const { name, goal } = subject
    const samples = this.#samples(name)
    const others = this.#there.get(name)?.samples
    const b = this.#added(samples, this.#samples(subject.over))
    return {
      name,
      b,
      ...(others !== undefined && {
        other: { b: this.#added(others, this.#samples(subject.over)), difference: this.#added(samples, others) },
      }),
      goal: this.#figure(goal),
      microseconds: estimate(samples.map(({ total }) => total)),
      requestsPerSecond: estimate(samples.map(({ rate }) => rate)).median,
    }
  }

  /** The larger of total and user time. */
  #added(samples: readonly Sample[], over: readonly Sample[]): Estimate {
    const units = this.#samples(unit)
    const of = (time: 'total' | 'user') =>
      estimate(samples.map((sample, n) => (sample[time] - (over[n]?.[time] ?? NaN)) / (units[n]?.[time] ?? NaN)))
    const [total, user] = [of('total'), of('user')]
    return user.median > total.median ? user : total
  }

  #figure(goal: Goal | undefined): number | undefined {
    if (typeof goal !== 'object') return goal
    const subject = this.#subjects.find(({ name }) => name === goal.of)
    return subject && this.#added(this.#samples(subject.name), this.#samples(subject.over)).median + goal.within
  }

  #samples(name: string): readonly Sample[] {
    return this.#here.get(name)?.samples ?? []
  }
}

function shuffled<T>(list: readonly T[]): T[] {
  return list
    .map((item) => ({ item, at: Math.random() }))
    .sort((one, other) => one.at - other.at)
    .map(({ item }) => item)
}
