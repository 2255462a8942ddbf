import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { type Session, SessionManager } from 'gatepass/session'
import { TestJar } from 'gatepass/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readMarker } from '../../src/session/about.ts'
import { idOf } from '../../src/session/token.ts'
import { type EngineServer, engines } from './engines.ts'
import { type EngineName, type StoreOnEngine, storeOn } from './stores.ts'

const COOKIE = '__Host-Http-gp'
/** Seconds; the process that is killed has the same. */
const IDLE = 600
type Data = { cart?: string[] }

for (const [name, engine] of Object.entries(engines)) {
  describe.skipIf(engine.note !== '')(`a process that is killed while it rotates, on ${name}${engine.note}`, () => {
    let server: EngineServer
    let direct: StoreOnEngine
    let sessions: SessionManager<Data>
    let later = 0
    const clock = () => Date.now() + later

    beforeAll(async () => {
      server = await engine.start()
      direct = await storeOn(name as EngineName, server.address, clock)
      sessions = new SessionManager<Data>({ store: direct.store, idleTimeout: IDLE, perSubject: 2, clock })
    })
    afterAll(async () => {
      await direct?.close()
      await server?.stop()
    })

    async function request<T>(jar: TestJar, act: (session: Session<Data>) => T): Promise<T> {
      const exchange = jar.exchange()
      const answer = act(await sessions.open(exchange))
      await sessions.commit(exchange)
      jar.receive(exchange)
      return answer
    }

    async function logIn(subject: string): Promise<TestJar> {
      const jar = new TestJar()
      await request(jar, (session) => {
        session.assign(subject, { at: clock(), amr: ['pwd'] })
        session.data.cart = ['a book']
      })
      return jar
    }

    /** What the browser sends reaches a process that is killed at that moment of the rotation; it gets no answer. */
    async function rotateAndDie(jar: TestJar, moment: 'before' | 'after'): Promise<void> {
      const program = fileURLToPath(new URL('./rotating-process.ts', import.meta.url))
      const options = ['--conditions=gatepass:source', '--disable-warning=ExperimentalWarning', program]
      const child = spawn(process.execPath, [...options, name, server.address, moment], {
        stdio: ['pipe', 'pipe', 'inherit'],
      })
      const closed = once(child, 'close')
      child.stdin.end(`${jar.get(COOKIE)}\n`)
      const stopped = once(child.stdout, 'data')
      const [line] = await Promise.race([stopped, closed])
      expect(String(line).trim()).toBe('stopped')
      child.kill('SIGKILL')
      expect(await closed).toEqual([null, 'SIGKILL'])
    }

    test('between the two writes: the browser goes on with its old token, and nothing is lost', async () => {
      const jar = await logIn('killed before')
      const id = idOf(jar.get(COOKIE) ?? '')
      await rotateAndDie(jar, 'before')
      expect(await direct.store.listBySubject('killed before')).toHaveLength(2)
      expect(await request(jar, (session) => [session.id, session.subject, session.data])).toEqual([
        id,
        'killed before',
        { cart: ['a book'] },
      ])
      // To its owner, and to the limit of sessions, it is one.
      expect(await sessions.list('killed before')).toHaveLength(1)
      const other = await logIn('killed before')
      expect(await request(jar, ({ subject }) => subject)).toBe('killed before')
      expect(await sessions.list('killed before')).toHaveLength(2)
      // Given another token after all, it leaves the old one behind.
      await request(jar, (session) => session.rotate())
      expect(await request(jar, (session) => session.data)).toEqual({ cart: ['a book'] })
      const marker = await direct.store.load(id)
      expect(marker && readMarker(marker)).toMatchObject({ ended: 'moved', next: expect.any(String) })
      expect(await request(other, ({ subject }) => subject)).toBe('killed before')
    })

    test('the record that nobody has a token of ends with a revocation of the session', async () => {
      const endings: Record<string, (jar: TestJar, subject: string) => Promise<unknown>> = {
        'by its handle': async (_, subject) =>
          sessions.revokeHandle(subject, (await sessions.list(subject))[0]?.handle ?? ''),
        everywhere: (_, subject) => sessions.revokeAll(subject),
      }
      for (const [how, end] of Object.entries(endings)) {
        const subject = `ended ${how}`
        const jar = await logIn(subject)
        await rotateAndDie(jar, 'before')
        await end(jar, subject)
        expect(await direct.store.listBySubject(subject), how).toEqual([])
        expect(await request(jar, (session) => session.subject), how).toBeUndefined()
      }
    })

    test('it expires by itself when the session would have, had nobody used it any more', async () => {
      const jar = await logIn('expires')
      const id = idOf(jar.get(COOKIE) ?? '')
      await rotateAndDie(jar, 'before')
      for (let used = 0; used < 3; used++) {
        later += (IDLE / 2) * 1000
        expect(await request(jar, ({ subject }) => subject)).toBe('expires')
      }
      expect((await direct.store.listBySubject('expires')).map((record) => record.id)).toEqual([id])
      later = 0
    })

    test('after both writes and before its answer: the old token has ended, and the user logs in again', async () => {
      const jar = await logIn('killed after')
      await rotateAndDie(jar, 'after')
      expect(await request(jar, ({ subject }) => subject)).toBeUndefined()
      expect(await direct.store.listBySubject('killed after')).toHaveLength(1)
      const again = await logIn('killed after')
      expect(await request(again, ({ subject }) => subject)).toBe('killed after')
    })
  })
}
