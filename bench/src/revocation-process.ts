/** A server process with a near cache, which receives orders as messages: `revocation-process.ts <redis|postgres> <address>`. */
import { setTimeout as pause } from 'node:timers/promises'
import type { ChangeFeed, SessionId, SessionStore, SubjectIndex } from 'gatepass/session'
import { cachedStore } from 'gatepass/stores/cached'
import { postgresStore } from 'gatepass/stores/postgres'
import { redisStore } from 'gatepass/stores/redis'
import { Pool } from 'pg'

export interface Order {
  readonly number: number
  readonly what: 'keep' | 'watch' | 'revoke'
  readonly id: SessionId
}

export interface Report {
  readonly number: number
  /** When it was done, in milliseconds of a clock that all processes of the machine share. */
  readonly at: number
}

const [, , engine = '', address = ''] = process.argv

/** A schema for this bench, so that nothing is left behind. */
export const SCHEMA = 'gatepass_bench_revocation'

export function storeOn(name: string, url: string): SessionStore & SubjectIndex & ChangeFeed {
  if (name === 'redis') return redisStore({ url, prefix: 'gatepass-bench:' })
  return postgresStore({ pool: new Pool({ connectionString: url, max: 4 }), schema: SCHEMA, announce: true })
}

if (process.send !== undefined) {
  const store = cachedStore(storeOn(engine, address))
  const carryOut: Record<Order['what'], (id: SessionId) => Promise<unknown>> = {
    async keep(id) {
      while ((await store.load(id)) === undefined || store.load(id) instanceof Promise) await pause(1)
    },
    async watch(id) {
      while ((await store.load(id)) !== undefined) await pause(1)
    },
    revoke: async (id) => store.remove(id),
  }
  process.on('message', async ({ number, what, id }: Order) => {
    await carryOut[what](id)
    process.send?.({ number, at: now() } satisfies Report)
  })
}

function now(): number {
  return Number(process.hrtime.bigint()) / 1e6
}
