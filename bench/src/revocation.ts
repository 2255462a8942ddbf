import type { ChildProcess } from 'node:child_process'
import { hash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { SessionId } from 'gatepass/session'
import { Pool } from 'pg'
import { addresses, forked } from './engines.ts'
import { type Order, type Report, SCHEMA, storeOn } from './revocation-process.ts'
import { ofEach } from './rows.ts'
import { sampleSession } from './sample-session.ts'

const PROCESSES = 4
const REVOCATIONS = 2000
/** How many revocations run at a time. */
const AT_ONCE = 4
/** Upper bounds of the histogram, in ms. */
const BOUNDS = [1, 2, 3, 5, 10, 20, 50, Number.POSITIVE_INFINITY] as const

/** How long other processes accepted a session after its revocation was acknowledged, in ms. */
export interface RevocationRow {
  readonly engine: string
  readonly p50: number
  readonly p99: number
  readonly longest: number
  /** How many times lie below each bound, and not below the one before. */
  readonly histogram: readonly { readonly below: number; readonly count: number }[]
}

/**
 * Four processes hold a session in their near caches when one of them revokes it. The others look every millisecond, so up to
 * one millisecond comes from the measurement.
 *
 * @returns a row for each engine that answers (`REDIS_URL`, `POSTGRES_URL`)
 */
export async function benchRevocation(): Promise<RevocationRow[]> {
  return ofEach(['redis', 'postgres'], (engine) => measure(engine, addresses[engine as 'redis' | 'postgres']))
}

async function measure(engine: string, address: string): Promise<RevocationRow> {
  const store = storeOn(engine, address)
  await store.load(idOf('whether it answers'))
  const workers = Array.from({ length: PROCESSES }, () => new Worker(engine, address))
  try {
    const delays: number[] = []
    const numbers = Array(REVOCATIONS).keys()
    const revoke = async () => {
      for (const n of numbers) {
        const record = { ...sampleSession(n), id: idOf(`session ${n}`) }
        await store.insert(record)
        delays.push(...(await revocation(workers, record.id, n)))
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, revoke))
    return rowOf(engine, delays)
  } finally {
    for (const worker of workers) await worker.end()
    if (engine === 'postgres') await tidyUp(address)
  }
}

async function tidyUp(address: string): Promise<void> {
  const pool = new Pool({ connectionString: address, max: 1 })
  await pool.query(`DROP SCHEMA ${SCHEMA} CASCADE`)
  await pool.end()
}

/** @returns the time until each of the others refused the session, in ms */
async function revocation(workers: readonly Worker[], id: SessionId, n: number): Promise<number[]> {
  const revoking = workers[n % workers.length] as Worker
  const others = workers.filter((worker) => worker !== revoking)
  await Promise.all(workers.map((worker) => worker.do('keep', id)))
  const refusing = Promise.all(others.map((worker) => worker.do('watch', id)))
  const acknowledged = await revoking.do('revoke', id)
  return (await refusing).map((refused) => Math.max(refused - acknowledged, 0))
}

class Worker {
  readonly #process: ChildProcess
  readonly #waiting = new Map<number, (at: number) => void>()
  #orders = 0

  constructor(engine: string, address: string) {
    this.#process = forked('./revocation-process.ts', [engine, address])
    this.#process.on('message', ({ number, at }: Report) => this.#waiting.get(number)?.(at))
  }

  /** @returns when it was done, in ms */
  do(what: Order['what'], id: SessionId): Promise<number> {
    const number = ++this.#orders
    this.#process.send({ number, what, id } satisfies Order)
    const { promise, resolve } = Promise.withResolvers<number>()
    this.#waiting.set(number, resolve)
    return promise.finally(() => this.#waiting.delete(number))
  }

  async end(): Promise<void> {
    const exit = once(this.#process, 'exit')
    this.#process.kill()
    await exit
  }
}

function rowOf(engine: string, delays: number[]): RevocationRow {
  delays.sort((a, b) => a - b)
  const at = (part: number) => delays[Math.min(Math.floor(delays.length * part), delays.length - 1)] ?? Number.NaN
  const below = (bound: number) => delays.filter((delay) => delay < bound).length
  const histogram = BOUNDS.map((bound, n) => ({ below: bound, count: below(bound) - below(BOUNDS[n - 1] ?? 0) }))
  return { engine, p50: at(0.5), p99: at(0.99), longest: at(1), histogram }
}

const salt = randomBytes(8).toString('hex')

function idOf(name: string): SessionId {
  return hash('sha256', `${salt} ${name}`) as SessionId
}
