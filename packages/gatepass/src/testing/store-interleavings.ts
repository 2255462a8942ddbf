import assert from 'node:assert/strict'
import { isDeepStrictEqual } from 'node:util'
import { type Awaitable, andThen } from '../awaitable.ts'
import { markerOf, readMarker } from '../session/about.ts'
import { type Move, moveRevision, saveRevision } from '../session/commit.ts'
import type { SessionId, SessionRecord, Timestamp, WriteResult } from '../session/store.ts'
import { aroundStore, type StoreMethod } from './around-store.ts'
import type { TestClock } from './clock.ts'
import { everyInterleaving, type Footprint, type Script, type Turn } from './interleaving.ts'
import { ModelStore } from './model-store.ts'
import { fields, type StoreCases } from './store-cases.ts'
import { freshId, freshSubject, LIFETIME, recordAt } from './store-records.ts'
import type { Fixture } from './store-suite.ts'

/** Limit of sessions per subject in these tests. The subject has as many before a login. */
const LIMIT = 2

/** What requests do to one session, in the same steps as the engine. */
const acts = {
  async change(scene: Scene, request: Request) {
    const base = await live(scene, request)
    const saved = base && (await saveRevision(request.store, base, (newest) => edited(newest, { [request.name]: 1 })))
    if (saved) scene.saved.push(request.name)
  },
  async count(scene: Scene, request: Request) {
    const plusOne = (newest: SessionRecord) => edited(newest, { count: Number(dataOf(newest).count ?? 0) + 1 })
    const base = await live(scene, request)
    if (base && (await saveRevision(request.store, base, plusOne))) scene.counted++
  },
  async rotate(scene: Scene, request: Request) {
    const id = scene.nameId(`${request.name}'`)
    await move(scene, request, {
      succeed: (newest) => ({ ...newest, id, version: 1 }),
      insert: (record) => request.store.insert(record),
    })
  },
  async login(scene: Scene, request: Request) {
    const id = scene.nameId(`${request.name}'`)
    const { subject, began } = scene
    await move(scene, request, {
      succeed: (newest) => ({ ...newest, id, version: 1, subject, createdAt: began }),
      insert: (record) => andThen(request.store.insertWithin(record, LIMIT), () => {}),
    })
  },
  async 'log out'(scene: Scene, request: Request) {
    const marker = (newest: SessionRecord) => markerOf(newest, { ended: 'loggedOut' }, scene.clock())
    const base = await live(scene, request)
    const ended = base && (await saveRevision(request.store, base, marker))
    scene.destroyed ||= ended !== undefined
  },
  async revoke(scene: Scene, request: Request) {
    let result: WriteResult = 'conflict'
    for (let base = await live(scene, request); base && result !== 'done'; base = await live(scene, request)) {
      result = await request.store.remove(base.id, base.version)
    }
    scene.destroyed ||= result === 'done'
  },
  async destroy(scene: Scene, request: Request) {
    const base = await live(scene, request)
    if (base) await request.store.remove(base.id)
    scene.destroyed ||= base !== undefined
  },
  async touch(scene: Scene, request: Request) {
    const base = await live(scene, request)
    if (base) await request.store.touch(base.id, base.seenAt + 1000, base.expiresAt + LIFETIME * 1000)
  },
  async expire(scene: Scene, request: Request) {
    await request.turn(() => {
      scene.clock.advance(LIFETIME)
      scene.note(request.name, `${LIFETIME} seconds pass`)
    })
  },
  async 'log out everywhere'(scene: Scene, request: Request) {
    await request.store.removeBySubject(scene.subject)
  },
}

type Act = keyof typeof acts

const bySubject: readonly Act[] = ['login', 'log out everywhere']
const inThrees: readonly Act[] = ['change', 'rotate', 'log out', 'destroy', 'touch', 'expire']

/** Every combination of two and of three acts on one session. */
export function interleavings(indexed: boolean): StoreCases {
  const all = (Object.keys(acts) as Act[]).filter((act) => indexed || !bySubject.includes(act))
  const cases = [...choose(all, 2), ...choose(inThrees, 3)].map((chosen) => [
    `in every order of ${listed(chosen)} nothing is lost and nothing comes back`,
    async (fixture: Fixture) => void (await everyInterleaving(() => begin(fixture, chosen))),
  ])
  return Object.fromEntries(cases)
}

async function begin(fixture: Fixture, chosen: readonly Act[]): Promise<{ scripts: Script[]; check(): Promise<void> }> {
  const scene = new Scene(fixture, chosen)
  await scene.prepare()
  const scripts = chosen.map((act, n): Script => {
    const name = 'ABC'.charAt(n)
    const store = n % 2 ? fixture.second : fixture.store
    return {
      kind: act,
      run: (turn) => acts[act](scene, { name, turn, store: comparedStore(scene, { name, turn, store }) }),
    }
  })
  return { scripts, check: () => scene.check() }
}

interface Request {
  /** A, B or C. A session that it begins is A', B' or C'. */
  readonly name: string
  readonly turn: Turn
  readonly store: Fixture['store']
}

/** The session; `undefined` if a marker has replaced it. */
async function live(scene: Scene, { store }: Request): Promise<SessionRecord | undefined> {
  const record = await store.load(scene.id)
  return record && readMarker(record) === undefined ? record : undefined
}

async function move(scene: Scene, request: Request, how: Omit<Move, 'clock'>): Promise<void> {
  const base = await live(scene, request)
  const moved = base && (await moveRevision(request.store, base, { ...how, clock: scene.clock }))
  scene.moved ||= moved !== undefined
}

/** One session, the acts on it in one run, and the checks after it. */
class Scene {
  readonly id: SessionId
  readonly subject: string = freshSubject()
  readonly clock: TestClock
  readonly began: Timestamp
  readonly model: ModelStore
  /** Requests whose change was acknowledged. */
  readonly saved: string[] = []
  counted = 0
  moved = false
  destroyed = false
  readonly #fixture: Fixture
  readonly #chosen: readonly Act[]
  readonly #names = new Map<SessionId, string>()
  readonly #notes: string[] = []

  constructor(fixture: Fixture, chosen: readonly Act[]) {
    this.#fixture = fixture
    this.#chosen = chosen
    this.clock = fixture.clock
    this.began = fixture.clock()
    this.model = new ModelStore(fixture.clock)
    this.id = this.nameId('S')
  }

  nameId(name: string): SessionId {
    const id = freshId()
    this.#names.set(id, name)
    return id
  }

  /** The session itself. If a request logs in, also as many older sessions of the subject as the limit allows. */
  async prepare(): Promise<void> {
    const login = this.#chosen.includes('login')
    const own = recordAt(this.began, { id: this.id, subject: login ? null : this.subject })
    const older = login ? [2, 1].map((age) => recordAt(this.began - age, { subject: this.subject })) : []
    for (const record of [own, ...older]) {
      this.model.insert(record)
      await this.#fixture.store.insert(record)
    }
  }

  note(request: string, text: string): void {
    this.#notes.push(`  ${request}  ${text}`)
  }

  nameOf(id: SessionId): string {
    return this.#names.get(id) ?? 'another'
  }

  async check(): Promise<void> {
    const live = await this.#live()
    this.expect(live.length <= 1, `one session became ${live.map(({ id }) => this.nameOf(id)).join(' and ')}`)
    const left = live.find(({ id }) => id === this.id)
    this.expect(!(this.destroyed && left), 'S was destroyed and lives')
    this.expect(!(this.moved && left), 'S was given another id and lives under the old one')
    for (const record of live) this.#checkData(record)
    this.expect(this.saved.length === this.#count('change') || this.#mayEnd(), 'a change was not saved')
    this.expect(this.counted === this.#count('count') || this.#mayEnd(), 'an increment was not saved')
    await this.#checkLimit()
  }

  expect(condition: boolean, message: string): void {
    if (!condition) assert.fail(`${message}\n${this.#notes.join('\n')}`)
  }

  #checkData(record: SessionRecord): void {
    const data = dataOf(record)
    for (const request of this.saved) this.expect(data[request] === 1, `the change of ${request} is lost`)
    this.expect(Number(data.count ?? 0) === this.counted, `${this.counted} increments became ${data.count}`)
  }

  async #checkLimit(): Promise<void> {
    if (!this.#chosen.includes('login')) return
    const sessions = await this.#fixture.store.listBySubject(this.subject)
    this.expect(sessions.length <= LIMIT, `the subject has ${sessions.length} sessions`)
  }

  async #live(): Promise<SessionRecord[]> {
    const records = await Promise.all([...this.#names.keys()].map(async (id) => this.#fixture.store.load(id)))
    return records.filter((record) => record !== undefined && readMarker(record) === undefined) as SessionRecord[]
  }

  #count(act: Act): number {
    return this.#chosen.filter((chosen) => chosen === act).length
  }

  /** Whether an act in this run ends the session under its id. */
  #mayEnd(): boolean {
    return this.#chosen.some((act) => act !== 'change' && act !== 'count' && act !== 'touch')
  }
}

/** Calls the store and the model, each call in its own turn, and requires the same answer. */
function comparedStore(scene: Scene, { name, turn, store }: Request): Fixture['store'] {
  return aroundStore((call, method, args) => {
    const what = described(scene, method, args)
    return turn(
      async () => {
        const expected = await call(scene.model)
        const answer = await answerOf(() => call(store))
        scene.note(name, `${what} → ${shown(answer)}`)
        // An insertion may answer with anything.
        const right = method === 'insert' || isDeepStrictEqual(plain(answer), plain(expected))
        scene.expect(right, `the last answer should be: ${shown(expected)}`)
        return answer
      },
      footprintOf(method, args),
    )

    async function answerOf<T>(ask: () => Awaitable<T>): Promise<T> {
      try {
        return await ask()
      } catch (error) {
        scene.note(name, `${what} → ${error}`)
        scene.expect(false, 'the last call should not fail')
        throw error
      }
    }
  })
}

function described(scene: Scene, method: StoreMethod, args: readonly unknown[]): string {
  const session = scene.nameOf(idIn(args))
  switch (method) {
    case 'listBySubject':
      return 'list the sessions of the subject'
    case 'removeBySubject':
      return 'remove the sessions of the subject'
    case 'insertWithin':
      return `insert ${session} within ${args[1]}`
    case 'replace':
    case 'remove':
      return `${method} ${session}${args[1] === undefined ? '' : `, version ${args[1]}`}`
    default:
      return `${method} ${session}`
  }
}

/** A call that depends on all sessions of a subject has no footprint. */
function footprintOf(method: StoreMethod, args: readonly unknown[]): Footprint | undefined {
  if (method === 'insertWithin' || method.endsWith('BySubject')) return undefined
  return { on: idIn(args), reads: method === 'load' }
}

/** The first argument is an id or a record. */
function idIn([first]: readonly unknown[]): SessionId {
  return isRecord(first) ? first.id : (first as SessionId)
}

type Data = Record<string, unknown>

function dataOf(record: SessionRecord): Data {
  return JSON.parse(record.data) as Data
}

function edited(newest: SessionRecord, change: Data): SessionRecord {
  return { ...newest, version: newest.version + 1, data: JSON.stringify({ ...dataOf(newest), ...change }) }
}

function plain(answer: unknown): unknown {
  if (Array.isArray(answer)) return answer.map(plain)
  return isRecord(answer) ? fields(answer) : answer
}

function shown(answer: unknown): string {
  if (answer === undefined) return 'nothing'
  return isRecord(answer) ? `version ${answer.version}, ${answer.data}, until ${answer.expiresAt}` : String(answer)
}

function isRecord(answer: unknown): answer is SessionRecord {
  return typeof answer === 'object' && answer !== null && 'version' in answer
}

/** Every multiset of `size` acts, in which the session expires at most once. */
function choose(from: readonly Act[], size: number): Act[][] {
  if (size === 0) return [[]]
  return from.flatMap((first, n) => {
    const rest = from.slice(first === 'expire' ? n + 1 : n)
    return choose(rest, size - 1).map((others) => [first, ...others])
  })
}

function listed(chosen: readonly Act[]): string {
  return `${chosen.slice(0, -1).join(', ')} and ${chosen.at(-1)}`
}
