import {
  type Session,
  type SessionEvent,
  type SessionId,
  SessionManager,
  type SessionRecord,
  type SessionStore,
  type SubjectIndex,
} from 'gatepass/session'
import { type TestClock, TestExchange, TestJar, testClock } from 'gatepass/testing'
import { describe, expect, test } from 'vitest'
import { readMarker } from '../../src/session/about.ts'
import { idOf } from '../../src/session/token.ts'
import { everyInterleaving, type Footprint, type Script, type Turn } from '../../src/testing/interleaving.ts'
import { ModelStore } from '../../src/testing/model-store.ts'
import { settledCommit } from './world.ts'

// Requests of one browser, each sent, at work and answered at any time: every call to the store, the moment at which a
// request takes the cookie along, and the arrival of each Set-Cookie are steps that can follow one another in any order.

type Data = Record<string, unknown>
type Opened = Session<Data>

const COOKIE = '__Host-Http-gp'
const CARRY = ['cart']

/** Of three requests so many orders are run; with GATEPASS_HISTORIES, as `npm run test:nightly` sets it, all of up to 50,000. */
const MOST_ORDERS = process.env.GATEPASS_HISTORIES === undefined ? 100 : Number.POSITIVE_INFINITY

/** What a request does. */
const acts = {
  'write what a login carries over': (session, key) => set(session, 'cart', key),
  'write what a login leaves behind': (session, key) => set(session, key, key),
  read: () => {},
  rotate: (session) => session.rotate(),
  'log in as alice': (session) => session.assign('alice', { at: 0, amr: ['pwd'] }, { carry: CARRY }),
  'log in as bob': (session) => session.assign('bob', { at: 0, amr: ['pwd'] }, { carry: CARRY }),
  'log out': (session) => session.destroy(),
  'log out everywhere': (session) => session.destroy({ everywhere: true }),
  'be revoked from elsewhere': () => {},
  'write with a stolen old token': (session, key) => set(session, key, key),
  'log out with a stolen old token': (session) => session.destroy({ everywhere: true }),
  'log out with both tokens': (session) => session.destroy(),
} satisfies Record<string, (session: Opened, key: string) => unknown>

type Act = keyof typeof acts
const names = Object.keys(acts) as Act[]
const beginnings = ['a visitor', 'alice'] as const
const logins: readonly Act[] = ['log in as alice', 'log in as bob']
const logouts: readonly Act[] = [
  'log out',
  'log out everywhere',
  'log out with a stolen old token',
  'log out with both tokens',
]
const endings: readonly Act[] = [...logouts, 'be revoked from elsewhere']

/** Each writer has a list entry or a key of its own, so that what it wrote can be found again. */
function set(session: Opened, key: string, mine: string): void {
  if (key === 'cart') session.data.cart = [...((session.data.cart as string[] | undefined) ?? []), mine]
  else session.data[key] = mine
}

interface Answer {
  readonly act: Act
  readonly key: string
  readonly status: 200 | 409
  readonly exchange: TestExchange
  /** Of the session that the request's own token named when it arrived. */
  readonly token: SessionId | undefined
  readonly found: 'live' | 'ended' | 'nothing'
  readonly handle: string | undefined
  readonly events: readonly SessionEvent[]
}

describe.each(beginnings)('requests of a browser with the session of %s', (beginning) => {
  test.each(pairs(names))('%s, and at the same time %s: every rule holds in every order', async (...chosen) => {
    const orders = await everyInterleaving(() => Scene.begin(beginning, chosen))
    expect(orders).toBeGreaterThan(0)
  })

  test.each(triples(names))('%s, %s and %s: every rule holds in every order', async (...chosen) => {
    const orders = await everyInterleaving(() => Scene.begin(beginning, chosen), MOST_ORDERS)
    expect(orders).toBeGreaterThan(0)
  })
})

class Scene {
  readonly clock: TestClock = testClock()
  readonly records = new ModelStore(this.clock)
  readonly jar = new TestJar()
  readonly stolen = new TestJar()
  readonly answers: Answer[] = []
  /** Every text of data that was ever stored, by acknowledged writes. */
  readonly stored: string[] = []
  readonly ids = new Set<SessionId>()
  readonly handleOf = new Map<SessionId, { readonly handle: string }>()
  /** Of sessions whose token the browser held when it logged out with two. */
  readonly jarHandles = new Set<string | undefined>()
  readonly endedHandles = new Set<string>()
  readonly first: SessionRecord
  readonly chosen: readonly Act[]

  static begin(beginning: (typeof beginnings)[number], chosen: readonly Act[]): { scripts: Script[]; check(): void } {
    const scene = new Scene(beginning, chosen)
    const scripts = chosen.map((act, n) => ({
      kind: act,
      run: (turn: Turn) => scene.request(act, `written by ${'ABC'.charAt(n)}`, turn),
    }))
    return { scripts, check: () => scene.check() }
  }

  constructor(beginning: (typeof beginnings)[number], chosen: readonly Act[]) {
    this.chosen = chosen
    const manager = new SessionManager<Data>({ store: this.noting(this.records), clock: this.clock })
    const visit = (act: (session: Opened) => unknown) => {
      const exchange = this.jar.exchange()
      act(manager.open(exchange) as Opened)
      manager.commit(exchange)
      this.jar.receive(exchange)
    }
    visit((session) => {
      session.data.first = true
      if (beginning === 'alice') session.assign('alice', { at: 0, amr: ['pwd'] })
    })
    this.stolen.set(COOKIE, this.jar.get(COOKIE) ?? '')
    visit((session) => session.rotate())
    this.first = this.live()[0] as SessionRecord
  }

  async request(act: Act, key: string, turn: Turn): Promise<void> {
    const events: SessionEvent[] = []
    const store = this.stepping(turn)
    const manager = new SessionManager<Data>({ store, clock: this.clock, onEvent: (event) => void events.push(event) })
    if (act === 'be revoked from elsewhere') {
      const { handle, subject, id } = this.first
      if (subject === null) await manager.revoke(id)
      if (subject === null || (await manager.revokeHandle(subject, handle))) this.endedHandles.add(handle)
      return
    }
    const exchange = await turn(() => this.#exchange(act), { on: 'jar', reads: true })
    const token = exchange.cookies.raw(COOKIE)
    const session = await manager.open(exchange)
    const id = token === undefined ? undefined : idOf(token)
    const loaded = id === undefined ? undefined : store.loaded.get(id)
    const found = loaded === undefined ? 'nothing' : readMarker(loaded) === undefined ? 'live' : 'ended'
    acts[act](session, key)
    const status = (await settledCommit(manager, exchange)) ? 200 : 409
    this.answers.push({ act, key, status, exchange, token: id, found, handle: loaded?.handle, events })
    if (exchange.cookies.changed) await turn(() => this.jar.receive(exchange), { on: 'jar' })
  }

  #exchange(act: Act): TestExchange {
    if (act.endsWith('with a stolen old token')) return this.stolen.exchange()
    if (act !== 'log out with both tokens') return this.jar.exchange()
    const [old, current] = [this.stolen.get(COOKIE), this.jar.get(COOKIE)]
    const tokens = current === undefined ? [old] : [old, current]
    if (current !== undefined) this.jarHandles.add(this.handleOf.get(idOf(current))?.handle)
    return new TestExchange({ headers: { cookie: tokens.map((token) => `${COOKIE}=${token}`).join('; ') } })
  }

  check(): void {
    const live = this.live()
    const handles = live.map(({ handle }) => handle)
    expect(new Set(handles).size, 'one session has become two').toBe(handles.length)
    for (const answer of this.answers) this.#checkAnswer(answer, live)
    for (const handle of this.endedHandles) expect(handles, 'a session came back').not.toContain(handle)
    this.#checkLogin()
  }

  #checkAnswer(answer: Answer, live: readonly SessionRecord[]): void {
    const { act, key, status, exchange, token, found, handle, events } = answer
    const wrote = exchange.cookies.changed
    const is = (type: SessionEvent['type']) => events.some((event) => event.type === type)
    switch (act) {
      case 'read':
        expect([status, wrote], 'a request that only read').toEqual([200, false])
        break
      case 'write with a stolen old token':
        expect([status, wrote, found], 'a stolen old token').toEqual([409, false, 'ended'])
        expect(this.stored.join(), 'a stolen old token changed something').not.toContain(key)
        break
      case 'write what a login carries over':
      case 'write what a login leaves behind':
        expect(wrote, 'only the first write of a visitor sets a cookie').toBe(found === 'nothing')
        if (status === 409) expect(live.map(({ data }) => data).join(), 'written in spite of 409').not.toContain(key)
        else this.#checkStored(answer, live)
        break
      case 'rotate':
        expect(wrote, 'only a rotation that won sets a cookie').toBe(is('rotated'))
        if (status === 409) expect(wrote).toBe(false)
        break
      case 'log in as alice':
      case 'log in as bob':
        expect([status, wrote], 'a login never fails for want of a session').toEqual([200, true])
        break
      case 'log out with a stolen old token':
      case 'log out with both tokens':
        expect(status, 'a logout is always answered').toBe(200)
        this.#checkEnded(events, [this.first.handle, handle])
        break
      case 'log out':
      case 'log out everywhere': {
        this.#checkEnded(events, [handle])
        expect(status, 'a logout is always answered').toBe(200)
        const own = events.some((event) => event.type === 'ended' && event.id === token)
        expect(wrote, 'a logout deletes the cookie only with the session of its own token').toBe(own)
        if (handle !== undefined) this.endedHandles.add(handle)
        break
      }
      case 'be revoked from elsewhere':
    }
  }

  /** A logout ends the sessions of its tokens, wherever they are, and never another login. */
  #checkEnded(events: readonly SessionEvent[], named: readonly (string | undefined)[]): void {
    for (const event of events) {
      if (event.type !== 'ended') continue
      const { handle } = this.handleOf.get(event.id) ?? {}
      // Of two cookies the second one's session may have been begun by any of the requests.
      if (named.length > 1 && this.jarHandles.has(handle)) continue
      expect(named, 'a logout ended another login').toContain(handle)
    }
  }

  /** A write that was answered 200 is stored, and is still there unless a login left it behind or something ended the session. */
  #checkStored({ act, key }: Answer, live: readonly SessionRecord[]): void {
    expect(this.stored.join(), 'answered 200 and stored nowhere').toContain(key)
    const ended = this.chosen.some((other) => endings.includes(other))
    const left = act === 'write what a login leaves behind' && this.chosen.some((other) => logins.includes(other))
    // Of two that change the same key the later one wins.
    const overwritten = this.chosen.filter((other) => other === 'write what a login carries over').length > 1
    if (!ended && !left && !(overwritten && act === 'write what a login carries over')) {
      expect(live.map(({ data }) => data).join(), 'answered 200 and lost').toContain(key)
    }
  }

  /** Where nothing else may write the cookie, the browser is logged in after the one login. */
  #checkLogin(): void {
    const [login, ...more] = this.answers.filter(({ act }) => logins.includes(act))
    const rivals = this.chosen.some((act) => act === 'rotate' || endings.includes(act))
    if (login === undefined || more.length > 0 || rivals) return
    const manager = new SessionManager<Data>({ store: this.records, clock: this.clock })
    const session = manager.open(this.jar.exchange()) as Opened
    expect(session.subject, 'the cookie of a fresh login was overwritten').toBe(login.act.split(' ').at(-1))
  }

  live(): SessionRecord[] {
    const records = [...this.ids].flatMap((id) => this.records.load(id) ?? [])
    return records.filter((record) => readMarker(record) === undefined)
  }

  /** Notes which ids there are, and what was stored under them. */
  noting(store: ModelStore): ModelStore {
    const note = ({ id, handle, data }: SessionRecord) => {
      this.ids.add(id)
      this.handleOf.set(id, { handle })
      this.stored.push(data)
    }
    return Object.assign(Object.create(store), {
      synchronous: true,
      load: (id: SessionId) => store.load(id),
      insert: (record: SessionRecord) => {
        store.insert(record)
        note(record)
      },
      insertWithin: (record: SessionRecord, limit: number) => {
        const count = store.insertWithin(record, limit)
        note(record)
        return count
      },
      replace: (record: SessionRecord, version: number) => {
        const result = store.replace(record, version)
        if (result === 'done') note(record)
        return result
      },
      touch: (...args: Parameters<ModelStore['touch']>) => store.touch(...args),
      remove: (...args: Parameters<ModelStore['remove']>) => store.remove(...args),
      listBySubject: (subject: string) => store.listBySubject(subject),
      removeBySubject: (...args: Parameters<ModelStore['removeBySubject']>) => store.removeBySubject(...args),
    })
  }

  stepping(turn: Turn): SessionStore & SubjectIndex & { loaded: Map<SessionId, SessionRecord | undefined> } {
    const store = this.noting(this.records)
    const loaded = new Map<SessionId, SessionRecord | undefined>()
    // One step after another, also where the engine asks for two things at once.
    let before: Promise<unknown> = Promise.resolve()
    const step = <T>(call: () => T, footprint?: Footprint): Promise<T> => {
      const taking = before.then(() => turn(call, footprint))
      before = taking.catch(() => {})
      return taking
    }
    return {
      loaded,
      load: (id) =>
        step(
          () => {
            const record = store.load(id)
            if (!loaded.has(id)) loaded.set(id, record)
            return record
          },
          { on: id, reads: true },
        ),
      insert: (record) => step(() => store.insert(record), { on: record.id }),
      replace: (record, version) => step(() => store.replace(record, version), { on: record.id }),
      touch: (id, seenAt, expiresAt) => step(() => store.touch(id, seenAt, expiresAt), { on: id }),
      remove: (id, version) => step(() => store.remove(id, version), { on: id }),
      listBySubject: (subject) => step(() => store.listBySubject(subject)),
      removeBySubject: (subject, except) => step(() => store.removeBySubject(subject, except)),
      // So few sessions that none is ended for another.
      insertWithin: (record, limit) => step(() => store.insertWithin(record, limit), { on: record.id }),
    }
  }
}

function triples(from: readonly Act[]): [Act, Act, Act][] {
  return from.flatMap((first, n) => pairs(from.slice(n)).map((others): [Act, Act, Act] => [first, ...others]))
}

function pairs(from: readonly Act[]): [Act, Act][] {
  return from.flatMap((first, n) => from.slice(n).map((second): [Act, Act] => [first, second]))
}
