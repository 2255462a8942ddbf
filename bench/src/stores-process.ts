/** Grows one store to a million sessions, then lets half of them expire: `stores-process.ts <store>`. Prints figures as JSON. */
import { hash, randomBytes } from 'node:crypto'
import { performance } from 'node:perf_hooks'
import { setTimeout as pause } from 'node:timers/promises'
import expressSession from 'express-session'
import type { SessionId } from 'gatepass/session'
import { memoryStore } from 'gatepass/stores/memory'
import createMemoryStore from 'memorystore'
import { longestStallDuring } from './event-loop.ts'

export interface StoreFigures {
  /** Heap and buffers, per session. */
  readonly bytesInAll: number
  /** The same, less one byte for each stored character. */
  readonly bytesBesideText: number
  /** Milliseconds of the longest call that stored a session. */
  readonly longestCall: number
  /** The longest time in milliseconds in which nothing else could run while expired sessions were removed. */
  readonly stall: number
}

/** A store that is measured. */
interface Measured {
  store(n: number, expires: boolean): void
  /** The number of characters stored for session `n`, without its id. */
  text(n: number): number
  /** @returns the longest stall in milliseconds */
  removeExpired(): Promise<number>
}

const SESSIONS = 1_000_000
const DAY = 24 * 60 * 60 * 1000

function gatepass(): Measured {
  let now = Date.now()
  const store = memoryStore({ clock: () => now, maxSessions: 2 * SESSIONS })
  return {
    store(n, expires) {
      const id = hash('sha256', `token ${n}`, 'hex') as SessionId
      const expiresAt = now + (expires ? 60_000 : DAY)
      const times = { createdAt: now, seenAt: now, expiresAt }
      const texts = { handle: handleOf(n), data: JSON.stringify(dataOf(n)), about: aboutOf(n) }
      store.insert({ id, version: 1, subject: null, ...texts, ...times })
    },
    text: (n) => handleOf(n).length + JSON.stringify(dataOf(n)).length + aboutOf(n).length,
    async removeExpired() {
      now += 2 * 60_000
      // The store does the same by itself twice a minute.
      const { elapsed } = await longestStallDuring(async () => {
        while (store.sweep()) await pause(0)
      })
      return elapsed
    },
  }
}

/** Made from bytes, as the engine's handles are: V8 would keep a concatenated text as its two parts. */
function handleOf(n: number): string {
  return Buffer.from(String(n).padStart(22, 'h')).toString('latin1')
}

function aboutOf(n: number): string {
  return JSON.stringify({ client: { device: `browser ${n}` } })
}

function dataOf(n: number): object {
  return { cart: [n, n + 1], seen: 'a page' }
}

interface PeerStore {
  set(id: string, session: object): void
}

function peer(store: PeerStore, removeExpired: () => Promise<void>): Measured {
  const session = (n: number, expires: boolean) => {
    const originalMaxAge = expires ? 1 : DAY
    const cookie = { originalMaxAge, expires: new Date(Date.now() + originalMaxAge), httpOnly: true, path: '/' }
    return { cookie: { ...cookie, maxAge: originalMaxAge, toJSON: () => cookie }, ...dataOf(n) }
  }
  return {
    store: (n, expires) => store.set(randomBytes(24).toString('base64url'), session(n, expires)),
    text: (n) => JSON.stringify(session(n, false)).length,
    removeExpired: async () => (await longestStallDuring(removeExpired)).elapsed,
  }
}

function expressMemoryStore(): Measured {
  const store = new expressSession.MemoryStore()
  const { promise, resolve } = Promise.withResolvers<void>()
  return peer(store as unknown as PeerStore, () => {
    store.length(() => resolve())
    return promise
  })
}

function memorystore(): Measured {
  const store = new (createMemoryStore(expressSession))({})
  return peer(store as unknown as PeerStore, async () => store.prune())
}

function heldBytes(): number {
  globalThis.gc?.()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

async function measure(measured: Measured): Promise<StoreFigures> {
  const before = heldBytes()
  let longestCall = 0
  let text = 0
  for (let n = 0; n < SESSIONS; n++) {
    const start = performance.now()
    measured.store(n, n % 2 === 0)
    longestCall = Math.max(longestCall, performance.now() - start)
    text += measured.text(n)
    if (n % 1000 === 0) await pause(0)
  }
  const bytes = heldBytes() - before
  const stall = await measured.removeExpired()
  return { bytesInAll: bytes / SESSIONS, bytesBesideText: (bytes - text) / SESSIONS, longestCall, stall }
}

const stores: Readonly<Record<string, () => Measured>> = {
  gatepass,
  'express-session': expressMemoryStore,
  memorystore,
}

const make = stores[process.argv[2] ?? '']
if (make === undefined) throw new Error(`No such store. Stores: ${Object.keys(stores).join(', ')}.`)
process.stdout.write(JSON.stringify(await measure(make())))
process.exit(0)
