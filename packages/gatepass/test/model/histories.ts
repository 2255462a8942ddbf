import fc from 'fast-check'
import type { TestClock } from 'gatepass/testing'
import { expect } from 'vitest'
import type { Engine } from './engines.ts'
import { type Act, acts, type Ending, type Wish, World } from './world.ts'

/** How many histories are run on each store: `GATEPASS_HISTORIES` of them if that is set. */
export function historiesOr(usual: number): number {
  return Number(process.env.GATEPASS_HISTORIES ?? usual)
}

/** `<seed> <path> <commands>` as printed by a failure. Runs that history alone. */
const REPLAY = process.env.GATEPASS_REPLAY?.split(' ')

/** The state of a history that decides which events are possible. */
type Moment = Pick<World, 'schedule' | 'underWay'>
type Command = fc.AsyncCommand<Moment, World>

/** One event of a history. The world's oracle checks it. */
class Event implements Command {
  readonly #text: string
  readonly #happen: (world: World) => unknown
  readonly #possible: (moment: Moment) => boolean

  constructor(text: string, happen: (world: World) => unknown, possible: (moment: Moment) => boolean = () => true) {
    this.#text = text
    this.#happen = happen
    this.#possible = possible
  }

  check(moment: Moment): boolean {
    return this.#possible(moment)
  }

  async run(_: Moment, world: World): Promise<void> {
    await this.#happen(world)
    world.check()
  }

  toString(): string {
    return this.#text
  }
}

const browser = fc.nat(2)
const processNumber = fc.nat(1)
const which = fc.nat(30)
const act: fc.Arbitrary<Act> = fc.oneof(
  { weight: 7, arbitrary: fc.constantFrom(...acts) },
  { weight: 1, arbitrary: fc.constant('log out' as const) },
)
const wish: fc.Arbitrary<Wish> = fc.record({ browser, process: processNumber, act, who: fc.nat(1) })
const ending: fc.Arbitrary<Ending> = fc.record({
  process: processNumber,
  what: fc.constantFrom('id', 'handle', 'subject'),
  which,
})

const seconds = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom(1, 61, 300) },
  { weight: 1, arbitrary: fc.constantFrom(599, 601, 2500) },
)
const begins = wish.map(
  (wish) =>
    new Event(`browser ${wish.browser} asks process ${wish.process}: ${wish.act}`, (world) => world.begin(wish)),
)
const alone = wish.map(
  (wish) =>
    new Event(`browser ${wish.browser} asks process ${wish.process}, and is answered: ${wish.act}`, async (world) => {
      await world.begin(wish)
      await world.schedule.runAll()
    }),
)
const ends = ending.map(
  (ending) => new Event(`process ${ending.process} ends ${ending.what} ${ending.which}`, (world) => world.end(ending)),
)
const steps = which.map(
  (n) =>
    new Event(
      `step ${n}`,
      (world) => world.schedule.step(n),
      (world) => world.schedule.waiting > 0,
    ),
)
const passes = seconds.map((n) => new Event(`${n} seconds pass`, (world) => world.clock.advance(n)))
const crashes = fc.oneof(
  which.map(
    (n) =>
      new Event(
        `request ${n} crashes`,
        (world) => world.crash(n),
        (world) => world.underWay > 0,
      ),
  ),
  processNumber.map((n) => new Event(`process ${n} crashes`, (world) => world.crashProcess(n))),
)
const channels = fc
  .record({
    n: processNumber,
    what: fc.oneof(
      { weight: 5, arbitrary: fc.constant('deliver' as const) },
      { weight: 1, arbitrary: fc.constantFrom('cut', 'notice', 'connect') },
    ),
  })
  .map(({ n, what }) => new Event(`channel of process ${n}: ${what}`, (world) => world.onChannel(n, what)))

/** Each entry is equally likely. More frequent events have several entries. */
const events = [
  ...Array(3).fill(begins),
  ...Array(2).fill(alone),
  ...Array(10).fill(steps),
  ...Array(3).fill(channels),
  ends,
  passes,
  crashes,
]

async function runHistory(engine: Engine, clock: TestClock, history: Iterable<Command>): Promise<World> {
  const world = new World(engine, clock)
  for (const process of [0, 1]) {
    await world.begin({ browser: process, process, act: process === 0 ? 'log in and change' : 'change', who: 0 })
    await world.schedule.runAll()
  }
  await fc.asyncModelRun(() => ({ model: world, real: world }), history)
  await world.finish()
  return world
}

/** Runs histories until one fails. The error says how to run that one alone. */
export async function holdInHistories(engine: Engine, clock: TestClock, runs: number): Promise<void> {
  const [seed, path, commands] = REPLAY ?? []
  const checked: Record<string, number> = {}
  const histories = fc.commands(events, {
    size: 'max',
    maxCommands: 60,
    ...(commands !== undefined && { replayPath: commands }),
  })
  const details = await fc.check(
    fc.asyncProperty(histories, async (history) => {
      const { oracle } = await runHistory(engine, clock, history)
      for (const [what, count] of Object.entries(oracle.checked)) checked[what] = (checked[what] ?? 0) + count
    }),
    {
      numRuns: runs,
      endOnFailure: REPLAY !== undefined,
      ...(seed !== undefined && { seed: Number(seed) }),
      ...(path !== undefined && { path }),
    },
  )
  if (details.failed) throw failure(details)
  // A history in which nothing can go wrong proves nothing.
  if (REPLAY === undefined) for (const count of Object.values(checked)) expect(count).toBeGreaterThan(runs / 10)
}

function failure(details: fc.RunDetails<[Iterable<Command>]>): Error {
  const history = String(details.counterexample?.[0])
  const commands = /replayPath="([^"]*)"/.exec(history)?.[1] ?? ''
  const replay = `GATEPASS_REPLAY='${details.seed} ${details.counterexamplePath} ${commands}'`
  const text = `${details.errorInstance}\n\nafter: ${history}\n\nrun it alone: ${replay} npx vitest run packages/gatepass/test/model -t '${expect.getState().currentTestName?.split(' > ').at(-1)}'`
  return new Error(text, { cause: details.errorInstance })
}
