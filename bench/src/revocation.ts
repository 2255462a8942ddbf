import { type ChildProcess, fork } from 'node:child_process'
import { hash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { SessionId, SessionRecord } from 'gatepass/session'
import { Pool } from 'pg'
import { addresses } from './addresses.ts'
import { type Order, type Report, SCHEMA, storeOn } from './revocation-process.ts'

const PROCESSES = 4
const REVOCATIONS = 2000
/** Under way at a time. */
const AT_ONCE = 4
/** Upper bounds of the histogram, in ms. */
const BOUNDS = [1, 2, 3, 5, 10, 20, 50, Number.POSITIVE_INFINITY] as const

/** How long other processes went on believing in a session after its revocation was acknowledged, in ms. */
export interface RevocationRow {
  readonly engine: string
  readonly p50: number
  readonly p99: number
  readonly longest: number
  /** How many lie below each bound, and not below the one before. */
  readonly histogram: readonly { readonly below: number; readonly count: number }[]
}

const engines = { redis: addresses.redis, postgres: addresses.postgres }

/**
 * Four processes with near caches, each of which holds the session in its cache when one of them revokes it. Seen with a
 * look every millisecond, so up to one is the measurement's own.
 *
 * @returns a row for each engine that answers (`REDIS_URL`, `POSTGRES_URL`)
 */
export async function benchRevocation(): Promise<RevocationRow[]> {
  const rows: RevocationRow[] = []
  for (const [engine, address] of Object.entries(engines)) {
    try {
      rows.push(await measure(engine, address))
    } catch (error) {
      console.error(`revocation on ${engine} is NOT MEASURED: ${error instanceof Error ? error.message : error}`)
    }
  }
  return rows
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
        const record = session(n)
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

/** @returns for each of the others how long it took, in ms */
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
    const program = fileURLToPath(new URL('./revocation-process.ts', import.meta.url))
    const execArgv = ['--conditions=gatepass:source', '--disable-warning=ExperimentalWarning']
    this.#process = fork(program, [engine, address], { execArgv })
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

function session(n: number): SessionRecord {
  const now = Date.now()
  const times = { createdAt: now, seenAt: now, expiresAt: now + 600_000 }
  return {
    id: idOf(`session ${n}`),
    handle: `h${n}`,
    version: 1,
    subject: `subject ${n % 100}`,
    data: '{}',
    about: '{}',
    ...times,
  }
}

if (import.meta.main) {
  for (const { engine, p50, p99, longest, histogram } of await benchRevocation()) {
    const buckets = histogram.map(({ below, count }) => `${count} below ${below}`).join(', ')
    console.log(
      `${engine}: p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms, longest ${longest.toFixed(1)} ms (${buckets})`,
    )
  }
  process.exit()
}
