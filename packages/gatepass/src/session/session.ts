import type { Awaitable } from '../awaitable.ts'
import { randomHandle } from '../crypto/random.ts'
import { isKeyText, UsageError } from '../error.ts'
import type { Exchange } from '../http/exchange.ts'
import type { SessionData } from '../register.ts'
import { type About, type LoginProof, readAbout } from './about.ts'
import {
  applyChange,
  checkedText,
  checkTopLevel,
  dataText,
  diff,
  type Edit,
  EMPTY_DATA,
  parseData,
  prune,
  rebase,
} from './changes.ts'
import type { SessionId, SessionRecord, Timestamp } from './store.ts'
import type { SessionWriter } from './writer.ts'

export type { LoginProof } from './about.ts'

/** Why the request's cookie named no session. */
export type Absence =
  | 'no-cookie'
  | 'duplicate'
  | 'malformed'
  | 'forged'
  | 'unknown'
  /** The request authenticates itself in `Authorization`, with a token that names no session. Its session is never stored. */
  | 'stateless'

/** Data on the server about one browser, from the first stored value to logout or expiry. */
export interface Session<Data extends object = SessionData> {
  /** `undefined` until something is stored. Safe to log. */
  readonly id: SessionId | undefined
  /** Public name for device lists, 22 random characters. A rotation keeps it. A login of another subject replaces it. */
  readonly handle: string | undefined
  /**
   * Change it freely until the response begins: then it is saved. Top-level keys that only other requests changed in the
   * meantime keep their value. It holds anything that JSON can carry; a Date comes back as a string. If the session has
   * ended in the meantime, nothing is saved and the request is answered with 409 `ERR_SESSION_ENDED`.
   */
  readonly data: Partial<Data>
  /** The user that this session belongs to; `undefined` before login. */
  readonly subject: string | undefined
  readonly login: LoginProof | undefined
  readonly createdAt: Timestamp | undefined
  readonly expiresAt: Timestamp | undefined
  /** Why the request's cookie named no session; `undefined` if it named one. */
  readonly absence: Absence | undefined
  /**
   * Saves at once. `change` receives the newest stored data, with the changes of this request so far. It may run more than
   * once and must be synchronous.
   *
   * @throws {ProtocolError} `ERR_SESSION_ENDED` (409) if the session has ended since this request began; nothing was saved
   * @throws {UsageError} `ERR_RESPONSE_STARTED`, `ERR_SESSION_DATA`, `ERR_SESSION_TOO_LARGE`, `ERR_SESSION_INSECURE_ORIGIN`
   * @throws {StoreError}
   */
  update(change: (data: Partial<Data>) => void): Promise<void>
  /**
   * Gives the session a new token when the response is sent; the data stays. Call it when privileges change (session
   * fixation).
   *
   * @throws {UsageError} `ERR_RESPONSE_STARTED`
   */
  rotate(): void
  /**
   * Makes this the session of `subject`, with a new token and a new absolute timeout. If the session belonged to another
   * subject or to none, only flash messages and the data keys in `carry` are kept.
   *
   * @throws {UsageError} `ERR_RESPONSE_STARTED`
   */
  assign(subject: string, proof: LoginProof, options?: { carry?: readonly string[] }): void
  /**
   * Ends the session and deletes the cookie when the response is sent. Requests that still run cannot bring it back. Data
   * that this request stores after the call begins a new session.
   *
   * @param options.everywhere also ends all other sessions of its subject
   * @throws {UsageError} `ERR_RESPONSE_STARTED`; `ERR_STORE_NO_INDEX` for `everywhere` on a store without a SubjectIndex
   */
  destroy(options?: { everywhere?: boolean }): void
}

/** Data key of the flash messages. Every login carries them over. */
export const FLASH_KEY = 'flash'

/** What the commit must do with the session. */
export type Fate = 'none' | 'touch' | 'write' | 'end' | 'refuse'

/** A login by this request that is not stored yet. */
export interface Assignment {
  readonly subject: string
  readonly login: LoginProof
  readonly handle: string
  /** The data keys that are kept; `undefined` keeps all of them. */
  readonly carry: readonly string[] | undefined
}

/** What a request wants stored when a write begins. The application may change its session again during the write. */
export interface Wish {
  readonly edit: Edit
  readonly assignment: Assignment | undefined
  /** The change given to `update()`. */
  readonly change?: (data: object) => void
}

/** The state of a request's session. */
export type State =
  /** The request has no session. Data that it stores begins one. */
  | { readonly is: 'absent' }
  /** The request brought several session cookies, which name these ids. Data that it stores begins a new session. */
  | { readonly is: 'ambiguous'; readonly ids: readonly SessionId[] }
  /** The request authenticates itself without a session. Data that it sets lasts until its end and is never stored. */
  | { readonly is: 'stateless' }
  /** The session is in the store; `record` is the newest revision that this request knows. */
  | { readonly is: 'stored'; readonly record: SessionRecord }
  /** The session was moved or ended. `arrival`: before the request, `record` is its marker. `load`: after it loaded `record`. */
  | { readonly is: 'ended'; readonly record: SessionRecord; readonly since: 'arrival' | 'load' }

/** The state of a session that has been moved or ended. */
export type EndedState = Extract<State, { readonly is: 'ended' }>

/** A call of `destroy()` that is not carried out in the store yet. */
export interface Destruction {
  /** The state of the session when it was destroyed. */
  readonly of: State
  readonly everywhere: boolean
  /** Whether this request has already ended the session itself. Then only the other sessions of its subject are left. */
  readonly ended: boolean
}

/** How a session was found. */
export interface Finding {
  readonly state: State
  /** Why the cookie named no session; `undefined` if it named one. */
  readonly absence?: Absence
  /** Whether the session cookie of this exchange carries this session's token. */
  readonly inCookie: boolean
  /** Whether the commit must write a new `seenAt`. */
  readonly touchDue: boolean
}

/** A session as one exchange sees it: what was loaded, and what the request wants to change. */
export class OpenSession<Data extends object = object> implements Session<Data> {
  readonly absence: Absence | undefined
  readonly exchange: Exchange
  readonly #writer: SessionWriter
  #state: State
  #inCookie: boolean
  #touchDue: boolean
  /** The data that this request started from, as JSON text. It is kept when the record is lost. */
  #base: string = EMPTY_DATA
  #data: Partial<Data> | undefined
  #about: About | undefined
  // What the request wants, in the order in which the commit does it.
  #destruction: Destruction | undefined
  #assignment: Assignment | undefined
  #rotating = false
  #closed = false
  /** Work that must finish before the response is sent, one after the other. */
  #work: Promise<void> | undefined

  constructor(writer: SessionWriter, exchange: Exchange, { state, absence, inCookie, touchDue }: Finding) {
    this.#writer = writer
    this.exchange = exchange
    this.absence = absence
    this.#state = state
    this.#inCookie = inCookie
    this.#touchDue = touchDue
    if (state.is === 'stored') this.#base = state.record.data
  }

  get id(): SessionId | undefined {
    return this.record?.id
  }

  get handle(): string | undefined {
    return this.#assignment?.handle ?? this.record?.handle
  }

  get data(): Partial<Data> {
    this.#data ??= parseData(this.#base) as Partial<Data>
    return this.#data
  }

  get subject(): string | undefined {
    return this.#assignment?.subject ?? this.record?.subject ?? undefined
  }

  get login(): LoginProof | undefined {
    return this.#assignment?.login ?? this.about?.login
  }

  get createdAt(): Timestamp | undefined {
    return this.record?.createdAt
  }

  get expiresAt(): Timestamp | undefined {
    return this.record?.expiresAt
  }

  update(change: (data: Partial<Data>) => void): Promise<void> {
    const work = this.#update(change)
    return this.exchange.promised?.(work) ?? work
  }

  async #update(change: (data: Partial<Data>) => void): Promise<void> {
    this.assertOpen()
    if (this.#state.is === 'stateless') return applyChange(change as (data: object) => unknown, this.data)
    return this.#inTurn(() => this.#writer.update(this, change))
  }

  rotate(): void {
    this.assertOpen()
    // A session that the cookie does not name has no token in the cookie that could be replaced.
    if (this.#inCookie) this.#rotating = true
  }

  assign(subject: string, proof: LoginProof, options: { carry?: readonly string[] } = {}): void {
    this.assertOpen()
    // Stores write UTF-8, where two different ill-formed subjects could become the same text.
    if (!isKeyText(subject) || !subject.isWellFormed()) throw noSubject()
    if (!this.#inCookie) this.#leave()
    const same = subject === this.subject
    const carry = same ? this.#assignment?.carry : this.#keepOnly([...(options.carry ?? []), FLASH_KEY])
    const handle = (same ? this.handle : undefined) ?? randomHandle()
    this.#assignment = { subject, login: proof, handle, carry }
  }

  destroy({ everywhere = false }: { everywhere?: boolean } = {}): void {
    this.assertOpen()
    if (everywhere) this.#writer.assertIndexed('A logout everywhere')
    const earlier = this.#destruction
    if (earlier === undefined) this.#destruction = { of: this.#state, everywhere, ended: false }
    else if (everywhere && !earlier.everywhere) this.#destruction = { ...earlier, everywhere }
    this.#become({ is: this.#inCookie ? 'absent' : 'stateless' })
    this.#assignment = undefined
    this.#rotating = false
    if (this.#data !== undefined) for (const key of Object.keys(this.#data)) delete (this.#data as Bag)[key]
  }

  /**
   * Ends the destroyed session now instead of at the commit. If that fails, the session goes on with what the store has;
   * unsaved changes of this request are lost.
   */
  async endNow(): Promise<void> {
    const of = this.#destruction?.of
    try {
      await this.#inTurn(() => this.#writer.end(this))
    } catch (error) {
      this.#destruction = undefined
      if (of?.is === 'stored') {
        this.#become(of)
        if (this.#data !== undefined) Object.assign(this.#data, parseData(of.record.data))
      }
      throw error
    }
  }

  // ── for SessionManager and SessionWriter ─────────────────────────────────────────────────────

  get state(): State {
    return this.#state
  }

  /** The newest revision this exchange knows. */
  get record(): SessionRecord | undefined {
    return this.#state.is === 'stored' ? this.#state.record : undefined
  }

  get about(): About | undefined {
    if (this.record !== undefined) this.#about ??= readAbout(this.record.about)
    return this.#about
  }

  get destruction(): Destruction | undefined {
    return this.#destruction
  }

  /** Whether the session cookie of this exchange carries this session's token. Then a logout deletes the cookie. */
  get inCookie(): boolean {
    return this.#inCookie
  }

  /** Whether the commit moves the session to another id. */
  get moving(): boolean {
    return this.#rotating || this.#assignment !== undefined
  }

  /** What the commit must do now. */
  fate(): Fate {
    if (this.#destruction !== undefined) return 'end'
    switch (this.#state.is) {
      case 'stored':
        if (this.moving || this.#changed()) return 'write'
        return this.#touchDue ? 'touch' : 'none'
      case 'absent':
      case 'ambiguous':
        return this.#assignment !== undefined || this.#changed() ? 'write' : 'none'
      case 'ended':
        // A login is new authority. All other changes were meant for the session that has ended.
        if (this.#assignment !== undefined) return 'write'
        return this.#changed() ? 'refuse' : 'none'
      case 'stateless':
        return 'none'
    }
  }

  /** What this request wants stored now. */
  wish(): Wish {
    const local = this.#data === undefined ? this.#base : checkedText(this.#data)
    return { edit: { base: this.#base, local, carry: this.#assignment?.carry }, assignment: this.#assignment }
  }

  /** Continues from the stored record. Changes that the application made during the write remain to be stored. */
  settle(record: SessionRecord, done: Wish): void {
    // destroy() was called during the write: it must end the record that was written.
    if (this.#destruction !== undefined) {
      this.#destruction = { ...this.#destruction, of: { is: 'stored', record } }
      return
    }
    if (record.id !== this.record?.id) this.#rotating = false
    this.#become({ is: 'stored', record })
    this.#touchDue = false
    if (this.#assignment === done.assignment) this.#assignment = undefined
    if (this.#data !== undefined) this.#refresh(this.#data as Bag, done.edit.local)
  }

  touched(): void {
    this.#touchDue = false
  }

  /**
   * The destroyed session has ended in the store. Data that the request stores from now on begins a new session, unless
   * the token had been ended by another request: then the browser may already hold the cookie of a newer login.
   *
   * @param done what was carried out. If `destroy({ everywhere: true })` was called meanwhile, the rest remains to be done
   */
  ended(done: Destruction, state: State): void {
    if (this.#state.is === 'absent') this.#become(state)
    const latest = this.#destruction
    this.#destruction = latest === done || latest === undefined ? undefined : { ...latest, ended: true }
  }

  /** Another request ended or moved the session. A login of this request remains. */
  lose(): void {
    if (this.#state.is !== 'stored') return
    this.#become({ is: 'ended', record: this.#state.record, since: 'load' })
    this.#rotating = false
  }

  /** From now on the session refuses changes. */
  seal(): void {
    this.#closed = true
  }

  /** Seals the session and saves it once, after all work on it. One that was only read costs no store call and no await. */
  close(): Awaitable<void> {
    if (this.#closed) return this.#work
    this.#closed = true
    if (this.#work !== undefined) return this.#inTurn(() => this.#writer.commit(this))
    if (this.fate() === 'none') return undefined
    const saving = this.#writer.commit(this)
    if (saving instanceof Promise) this.#work = saving.catch(() => {})
    return saving
  }

  /** @throws {UsageError} `ERR_RESPONSE_STARTED` */
  assertOpen(): void {
    if (!this.#closed) return
    throw new UsageError(
      'ERR_RESPONSE_STARTED',
      'The session was saved when the response began and cannot change now',
      {
        hint: 'Change the session before the first byte of the response, or in a later request.',
      },
    )
  }

  /**
   * Runs the updates of one exchange one after the other, awaited or not. The commit waits for all of them. The caller that
   * started the work receives its error. Work that waits in line behind it does not.
   */
  #inTurn(act: () => Awaitable<void>): Promise<void> {
    const before = this.#work
    const turn = before === undefined ? (async () => act())() : before.then(act)
    this.#work = turn.catch(() => {})
    return turn
  }

  /** Takes a state, and forgets what belonged to the one before. A session that ended elsewhere keeps its data. */
  #become(state: State): void {
    this.#state = state
    this.#about = undefined
    if (state.is !== 'ended') this.#base = state.is === 'stored' ? state.record.data : EMPTY_DATA
  }

  /** Leaves the session that an access token named, so that a login begins its own session, in a cookie. */
  #leave(): void {
    this.#inCookie = true
    this.#become({ is: 'absent' })
  }

  /**
   * Updates the data to what is stored, keeping the changes made since `saved`. It changes the object in place, because the
   * application may hold parts of it.
   */
  #refresh(data: Bag, saved: string): void {
    const local = dataText(data)
    const fresh = rebase(prune(this.#base, this.#assignment?.carry), diff(saved, local))
    for (const [key, text] of diff(local, fresh)) {
      if (text === undefined) delete data[key]
      else data[key] = JSON.parse(text)
    }
  }

  #changed(): boolean {
    const data = this.#data
    if (data === undefined) return false
    const local = dataText(data)
    if (local !== this.#base) return diff(this.#base, local).size > 0
    checkTopLevel(data)
    return false
  }

  /** Drops all data except these keys. Returns the keys of the loaded data that still count. */
  #keepOnly(keys: readonly string[]): readonly string[] {
    if (this.#data !== undefined || this.#base !== EMPTY_DATA) {
      const data = this.data as Bag
      for (const key of Object.keys(data)) if (!keys.includes(key)) delete data[key]
    }
    return this.#assignment?.carry?.filter((key) => keys.includes(key)) ?? keys
  }
}

type Bag = Record<string, unknown>

function noSubject(): UsageError {
  return new UsageError(
    'ERR_PASSPORT_SUBJECT',
    'A session can only be assigned to a subject that is non-empty, well-formed text',
    {
      hint: 'Use the primary key of the user, as a string.',
    },
  )
}
