/**
 * A server process that stops in the middle of a rotation: `<engine> <address> before|after`, a token on standard input.
 * It gives the session of the token another one, and when the store is about to put the marker in the place of the old
 * record, or just has, it writes a line and goes no further.
 */
import { once } from 'node:events'
import { SessionManager, type SessionRecord, type SessionStore, type WriteResult } from 'gatepass/session'
import { TestJar } from 'gatepass/testing'
import { type EngineName, storeOn } from './stores.ts'

const [, , engine, address = '', moment] = process.argv
const [token] = await once(process.stdin, 'data')
const { store } = await storeOn(engine as EngineName, address)

/** Never settles: the test kills this process meanwhile. */
function stop(): Promise<never> {
  process.stdout.write('stopped\n')
  return new Promise(() => {})
}

const stopping: SessionStore = {
  load: (id) => store.load(id),
  insert: (record) => store.insert(record),
  async replace(record: SessionRecord, version: number): Promise<WriteResult> {
    if (moment === 'after') await store.replace(record, version)
    return stop()
  },
  touch: (id, seenAt, expiresAt) => store.touch(id, seenAt, expiresAt),
  remove: (id, version) => store.remove(id, version),
}

const jar = new TestJar()
jar.set('__Host-Http-gp', String(token).trim())
const exchange = jar.exchange()
const sessions = new SessionManager({ store: stopping, idleTimeout: 600 })
const session = await sessions.open(exchange)
session.rotate()
await sessions.commit(exchange)
throw new Error('the rotation was not stopped')
