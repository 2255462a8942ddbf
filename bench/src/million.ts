import { setTimeout as pause } from 'node:timers/promises'
import { longestStallDuring, type Stall } from './event-loop.ts'
import { type Measured, measuredStores } from './million-stores.ts'
import { ofEach } from './rows.ts'

/** The bytes of a million sessions, and the delays while they grow and expire. Times in milliseconds. */
export interface MillionRow {
  readonly store: string
  readonly sessions: number
  readonly bytesEach: number
  /** The longest time in which this process could do nothing else. */
  readonly stallWhileGrowing: Stall
  /** While nothing expired. */
  readonly control: Delays
  /** While half of them expired. */
  readonly expiring: Delays
  /** The time in which that half was removed. */
  readonly removal: number
}

export interface Delays {
  readonly stall: Stall
  /** The longest lookup. */
  readonly slowestRead: number
}

const SESSIONS = Number(process.env.BENCH_SESSIONS ?? 1_000_000)
/** There, a login takes five round trips, and each waits for the disk. */
const FEWER: Readonly<Record<string, number>> = { 'mysqlStore, MariaDB': SESSIONS / 5 }
/** Seconds in which the same is measured while nothing expires. */
const CONTROL = 30
/** How many sessions are stored at a time. */
const TOGETHER = 100

/** @param words selects the stores whose name contains one of them. Default: all stores */
export async function benchMillion(words: readonly string[] = []): Promise<MillionRow[]> {
  const wanted = ([name]: [string, unknown]) =>
    words.length === 0 || words.some((word) => name.toLowerCase().includes(word.toLowerCase()))
  const makers = Object.fromEntries(Object.entries(measuredStores).filter(wanted))
  return ofEach(Object.keys(makers), (name) => measure(name, makers[name] as () => Promise<Measured>))
}

/** Bytes that the engine needs for each session. */
export async function bytesOfEach(store: string, sessions: number): Promise<number> {
  const measured = await measuredStores[store]?.()
  if (measured === undefined) throw new Error(`no such store: ${store}`)
  try {
    await storeAll(measured, 0, sessions, () => false)
    return Math.round((await measured.bytes()) / sessions)
  } finally {
    await measured.close()
  }
}

async function measure(name: string, make: () => Promise<Measured>): Promise<MillionRow> {
  const sessions = FEWER[name] ?? SESSIONS
  const measured = await make()
  try {
    const stallWhileGrowing = await longestStallDuring(() => fill(measured, sessions))
    const bytesEach = (await measured.bytes()) / sessions
    // Storing takes minutes.
    console.error(`${name}: stored ${sessions} sessions`)
    const control = await delaysDuring(() => pause(CONTROL * 1000), measured, sessions)
    await measured.moment()
    const start = performance.now()
    let removal = 0
    const expiring = await delaysDuring(
      async () => {
        await measured.removeExpired(sessions / 2)
        removal = performance.now() - start
      },
      measured,
      sessions,
    )
    return { store: name, sessions, bytesEach, stallWhileGrowing, control, expiring, removal }
  } finally {
    await measured.close()
  }
}

/** Stores the first tenth, which does not expire, to learn how long the rest will take. */
async function fill(measured: Measured, sessions: number): Promise<void> {
  const start = performance.now()
  const tenth = sessions / 10
  await storeAll(measured, 0, tenth, () => false)
  measured.expireIn(10 + CONTROL + (2 * 9 * (performance.now() - start)) / 1000)
  // Five of the nine tenths that follow expire.
  await storeAll(measured, tenth, sessions, (n) => n % 9 < 5)
}

async function storeAll(measured: Measured, from: number, to: number, expires: (n: number) => boolean): Promise<void> {
  const numbers = range(from, to)
  const storeSome = async () => {
    for (const n of numbers) {
      const stored = measured.store(n, expires(n))
      // A synchronous store would let nothing else run.
      await (stored instanceof Promise ? stored : pause(0))
    }
  }
  await Promise.all(Array.from({ length: TOGETHER }, storeSome))
}

/** Not an array: the garbage collector would look through a million numbers, and that would be measured. */
function* range(from: number, to: number): Generator<number, void> {
  for (let n = from; n < to; n++) yield n
}

/** Reads sessions that do not expire, until `work` is done. */
async function delaysDuring(work: () => Promise<void>, measured: Measured, sessions: number): Promise<Delays> {
  let working = true
  let slowestRead = 0
  const read = async () => {
    for (let n = 0; working; n = (n + 7919) % (sessions / 10)) {
      const start = performance.now()
      await measured.read(n)
      slowestRead = Math.max(slowestRead, performance.now() - start)
      await pause(1)
    }
  }
  const stall = await longestStallDuring(async () => {
    const reading = read()
    await work()
    working = false
    await reading
  })
  return { stall, slowestRead }
}
