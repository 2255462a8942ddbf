import type { Awaitable } from '../awaitable.ts'

/** Waits until it is this request's turn, then runs `step` alone. `footprint` names what the step depends on. */
export type Turn = <T>(step: () => Awaitable<T>, footprint?: Footprint) => Promise<T>

/** What a step reads or writes. Without `on` it may be anything. */
export interface Footprint {
  readonly on?: string
  readonly reads?: boolean
}

/** One request. */
export interface Script {
  /** Scripts of one kind do the same, so that only the first of those that have not begun may begin. */
  readonly kind: string
  /** Runs the request. It must await only its turns. */
  run(turn: Turn): Promise<void>
}

/**
 * Runs the scripts in every possible order of their steps. It skips orders that differ from an earlier one only in adjacent
 * steps that do not depend on each other (sleep sets). Retries make new steps, so the orders are found while running: each run
 * repeats the choices of the previous run up to the last one that can be made differently.
 *
 * @param begin makes the scripts of one run, and the check after it
 * @param most how many orders to run at most; default all
 * @returns how many orders ran to their end
 */
export async function everyInterleaving(
  begin: () => Awaitable<{ scripts: readonly Script[]; check: () => Awaitable<void> }>,
  most: number = Number.POSITIVE_INFINITY,
): Promise<number> {
  const schedule = new Schedule()
  let runs = 0
  do {
    const { scripts, check } = await begin()
    if (!(await runInterleaved(scripts, schedule))) continue
    await check()
    runs++
  } while (runs < most && schedule.next())
  return runs
}

/** @returns false if the run was stopped, because every continuation has run before */
async function runInterleaved(scripts: readonly Script[], schedule: Schedule): Promise<boolean> {
  const requests = scripts.map((script) => new Request(script))
  for (const request of requests) await request.arrival
  // Requests whose next step was tried earlier, while no step since then depends on it.
  let asleep: Request[] = []
  for (;;) {
    const able = requests.filter((request, n) => request.waiting && !isTwinOfAny(request, requests.slice(0, n)))
    const awake = able.filter((request) => !asleep.includes(request))
    const chosen = awake[schedule.choose(awake.length)]
    if (chosen === undefined) return able.length === 0
    const tried = [...asleep, ...awake.slice(0, awake.indexOf(chosen))]
    asleep = tried.filter((request) => independent(request.footprint, chosen.footprint))
    await chosen.proceed()
  }
}

function independent(one: Footprint, other: Footprint): boolean {
  if (one.reads && other.reads) return true
  return one.on !== undefined && other.on !== undefined && one.on !== other.on
}

/** Whether an earlier request of the same kind has not begun either: then only that one may begin. */
function isTwinOfAny(request: Request, earlier: readonly Request[]): boolean {
  return !request.begun && earlier.some((other) => other.waiting && !other.begun && other.kind === request.kind)
}

/** The choices of one run. `next` turns them into the choices of the next run. */
class Schedule {
  #choices: { taken: number; of: number }[] = []
  #depth = 0

  choose(of: number): number {
    if (of === 0) return 0
    const choice = this.#choices[this.#depth] ?? { taken: 0, of }
    this.#choices[this.#depth++] = choice
    return choice.taken
  }

  next(): boolean {
    this.#depth = 0
    for (let last = this.#choices.pop(); last !== undefined; last = this.#choices.pop()) {
      if (last.taken + 1 === last.of) continue
      this.#choices.push({ taken: last.taken + 1, of: last.of })
      return true
    }
    return false
  }
}

/** A running script: either waiting for its turn, or at its end. */
class Request {
  #step: (() => Promise<void>) | undefined
  #arrive: () => void = () => {}
  #fail: (error: unknown) => void = () => {}
  /** Settles when the script waits for its next turn or has ended; rejects if it failed. */
  arrival: Promise<void>
  readonly kind: string
  begun = false
  /** The footprint of the step that it waits for. */
  footprint: Footprint = {}

  constructor(script: Script) {
    this.kind = script.kind
    this.arrival = this.#expectArrival()
    script
      .run((step, footprint) => this.#park(step, footprint))
      .then(
        () => this.#arrive(),
        (error) => this.#fail(error),
      )
  }

  get waiting(): boolean {
    return this.#step !== undefined
  }

  async proceed(): Promise<void> {
    const step = this.#step
    this.begun = true
    this.#step = undefined
    this.arrival = this.#expectArrival()
    await step?.()
    await this.arrival
  }

  #park<T>(step: () => Awaitable<T>, footprint: Footprint = {}): Promise<T> {
    return new Promise((resolve, reject) => {
      this.footprint = footprint
      this.#step = async () => {
        try {
          resolve(await step())
        } catch (error) {
          reject(error)
        }
      }
      this.#arrive()
    })
  }

  #expectArrival(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#arrive = resolve
      this.#fail = reject
    })
  }
}
