import type { Awaitable } from '../awaitable.ts'
import { randomHandle } from '../crypto/random.ts'
import { isKeyText, UsageError } from '../error.ts'
import type { Exchange } from '../http/exchange.ts'
import type { SessionData } from '../register.ts'
import { type About, type LoginProof, readAbout } from './about.ts'
import {
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

export type { LoginProof } from './about.ts'

/** Why the browser's cookie led to no session. */
export type Absence =
  | 'no-cookie'
  | 'duplicate'
  | 'malformed'
  | 'forged'
  | 'unknown'
  /** The request carries a token in `Authorization` that names no session: what it puts into this one is not kept. */
  | 'stateless'

/** Data on the server about one browser, from its first stored value to logout or expiry. */
export interface Session<Data extends object = SessionData> {
  /** `undefined` until something has been stored. Safe to log. */
  readonly id: SessionId | undefined
  /** Public name for device lists, 22 random characters; a rotation keeps it, another subject gets another. */
  readonly handle: string | undefined
  /**
   * Change it freely until the response begins; it is saved then. What other requests changed meanwhile is kept, by
   * top-level key. Anything JSON can carry; a Date comes back as a string. If the session has ended meanwhile, the change
   * is saved nowhere and the request is answered with 409 `ERR_SESSION_ENDED`.
   */
  readonly data: Partial<Data>
  /** Whose session this is; `undefined` before login. */
  readonly subject: string | undefined
  readonly login: LoginProof | undefined
  readonly createdAt: Timestamp | undefined
  readonly expiresAt: Timestamp | undefined
  /** Why the browser's session cookie led to no session; `undefined` when it did. */
  readonly absence: Absence | undefined
  /**
   * Saves at once: `change` is applied to the newest stored data, on top of what this request has changed so far. It may
   * run more than once, and must not wait for anything.
   *
   * @throws {ProtocolError} `ERR_SESSION_ENDED` (409) if the session has ended since this request began: nothing was saved
   * @throws {UsageError} `ERR_RESPONSE_STARTED`, `ERR_SESSION_DATA`, `ERR_SESSION_TOO_LARGE`, `ERR_SESSION_INSECURE_ORIGIN`
   * @throws {StoreError}
   */
  update(change: (data: Partial<Data>) => void): Promise<void>
  /**
   * Same data, new token, when the response leaves. Call it whenever privileges change (session fixation).
   *
   * @throws {UsageError} `ERR_RESPONSE_STARTED`
   */
  rotate(): void
  /**
   * Makes this `subject`'s session, under a new token and with a new absolute timeout. Of the data only flash messages and
   * the keys in `carry` survive, unless it was this subject's already.
   *
   * @throws {UsageError} `ERR_RESPONSE_STARTED`
   */
  assign(subject: string, proof: LoginProof, options?: { carry?: readonly string[] }): void
  /**
   * Forgets everything and deletes the cookie, when the response leaves. Requests still running cannot bring it back;
   * what this request stores from here on begins another session.
   *
   * @param options.everywhere ends all other sessions of its subject as well
   * @throws {UsageError} `ERR_RESPONSE_STARTED`; `ERR_STORE_NO_INDEX` for `everywhere` on a store without a SubjectIndex
   */
  destroy(options?: { everywhere?: boolean }): void
}

/** Data key of the flash messages, which every login carries over. */
export const FLASH_KEY = 'flash'

/** What a request did to its session, and so what its commit has to do. */
export type Fate = 'none' | 'touched' | 'changed' | 'created' | 'rotated' | 'destroyed' | 'refused'

/** A login decided in this request. */
export interface Assignment {
  readonly subject: string
  readonly login: LoginProof
  readonly handle: string
  /** The data keys that survive; all of them if `undefined`. */
  readonly carry: readonly string[] | undefined
}

/** What has been stored for a request. */
export interface Done {
  readonly edit: Edit
  readonly assignment: Assignment | undefined
}

/** What a session needs of its manager. */
export interface SessionKeeper {
  update(session: OpenSession, change: (data: object) => void): Awaitable<void>
  /** Ends what `destroy()` left to be ended. */
  end(session: OpenSession): Awaitable<void>
  /** @throws {UsageError} `ERR_STORE_NO_INDEX` */
  assertIndexed(what: string): void
}

/** Where a request stands with its session. */
export type State =
  /** There is none. What the request stores begins one. */
  | { readonly is: 'absent' }
  /** Several tokens came, which name these. What the request stores begins another one. */
  | { readonly is: 'ambiguous'; readonly ids: readonly SessionId[] }
  /** The request brought its own credentials, which name none: what it stores is for itself alone. */
  | { readonly is: 'stateless' }
  /** There is one, and this is the newest revision that the request knows. */
  | { readonly is: 'stored'; readonly record: SessionRecord }
  /** It was moved or ended: before the request arrived (`record` is its marker), or since it was loaded as `record`. */
  | { readonly is: 'ended'; readonly record: SessionRecord; readonly since: 'arrival' | 'load' }

/** A session that `destroy()` left to be ended, wherever it is by then. */
export interface Ending {
  readonly of: State
  readonly everywhere: boolean
}

/** How a session was found. */
export interface Finding {
  readonly state: State
  /** Why the cookie led to none; `undefined` if it led to one. */
  readonly absence?: Absence
  /** Whether this exchange's session cookie is this session's. */
  readonly inCookie: boolean
  /** Whether being seen is to be written down. */
  readonly touchDue: boolean
}

/** A session as one exchange sees it: what was loaded, and what the request wants to become of it. */
export class OpenSession<Data extends object = object> implements Session<Data> {
  readonly absence: Absence | undefined
  readonly exchange: Exchange
  readonly #keeper: SessionKeeper
  #state: State
  #inCookie: boolean
  #touchDue: boolean
  /** The data that this request's changes are relative to, as JSON text; it outlives the record. */
  #base: string
  #data: Partial<Data> | undefined
  #about: About | undefined
  // What the request wants, in the order in which it is done.
  #ending: Ending | undefined
  #assignment: Assignment | undefined
  #rotating = false
  #closed = false
  /** Work that has to be finished before the response leaves, in order. */
  #work: Promise<void> | undefined

  constructor(keeper: SessionKeeper, exchange: Exchange, { state, absence, inCookie, touchDue }: Finding) {
    this.#keeper = keeper
    this.exchange = exchange
    this.absence = absence
    this.#state = state
    this.#inCookie = inCookie
    this.#touchDue = touchDue
    this.#base = state.is === 'stored' ? state.record.data : EMPTY_DATA
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
    if (this.#state.is === 'stateless' && this.#assignment === undefined) return change(this.data)
    return this.#inTurn(() => this.#keeper.update(this, change))
  }

  rotate(): void {
    this.assertOpen()
    // A session that something other than the cookie names has no token here to be replaced.
    if (this.#inCookie) this.#rotating = true
  }

  assign(subject: string, proof: LoginProof, options: { carry?: readonly string[] } = {}): void {
    this.assertOpen()
    // Stores write UTF-8, in which two subjects that are not well-formed could become one.
    if (!isKeyText(subject) || !subject.isWellFormed()) throw noSubject()
    if (!this.#inCookie) this.#leave()
    const same = subject === this.subject
    const carry = same ? this.#assignment?.carry : this.#carried([...(options.carry ?? []), FLASH_KEY])
    const handle = (same ? this.handle : undefined) ?? randomHandle()
    this.#assignment = { subject, login: proof, handle, carry }
  }

  destroy({ everywhere = false }: { everywhere?: boolean } = {}): void {
    this.assertOpen()
    if (everywhere && this.subject !== undefined) this.#keeper.assertIndexed('A logout everywhere')
    this.#ending = { of: this.#ending?.of ?? this.#state, everywhere: everywhere || this.#ending?.everywhere === true }
    this.#state = { is: this.#inCookie ? 'absent' : 'stateless' }
    this.#about = undefined
    this.#assignment = undefined
    this.#rotating = false
    this.#base = EMPTY_DATA
    if (this.#data !== undefined) for (const key of Object.keys(this.#data)) delete (this.#data as Bag)[key]
  }

  /** Ends at once what `destroy()` left to the end of the request. If that fails the session goes on as it was. */
  async endNow(): Promise<void> {
    const of = this.#ending?.of
    try {
      await this.#inTurn(() => this.#keeper.end(this))
    } catch (error) {
      this.#ending = undefined
      if (of?.is === 'stored') this.#goOnWith(of.record)
      throw error
    }
  }

  // ── for the manager ──────────────────────────────────────────────────────────────────────────

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

  get assignment(): Assignment | undefined {
    return this.#assignment
  }

  get ending(): Ending | undefined {
    return this.#ending
  }

  /** Whether this exchange's session cookie is this session's: then it is deleted with it. */
  get inCookie(): boolean {
    return this.#inCookie
  }

  /** Whether the session goes on under another id. */
  get moving(): boolean {
    return this.#rotating || this.#assignment !== undefined
  }

  /** What is to be done now. */
  fate(): Fate {
    if (this.#ending !== undefined) return 'destroyed'
    switch (this.#state.is) {
      case 'stored':
        if (this.moving) return 'rotated'
        if (this.#changed()) return 'changed'
        return this.#touchDue ? 'touched' : 'none'
      case 'absent':
      case 'ambiguous':
        return this.#assignment !== undefined || this.#changed() ? 'created' : 'none'
      case 'ended':
        // A login is new authority; all else of this request was meant for a session that is no more.
        if (this.#assignment !== undefined) return 'created'
        return this.#changed() ? 'refused' : 'none'
      case 'stateless':
        return 'none'
    }
  }

  /** What this request did to the data so far. */
  edit(): Edit {
    if (this.#data === undefined) return { base: this.#base, local: this.#base, carry: this.#assignment?.carry }
    return { base: this.#base, local: checkedText(this.#data), carry: this.#assignment?.carry }
  }

  /** Goes on from what is now stored; whatever the application has wanted since remains to be done. */
  settle(record: SessionRecord, done: Done): void {
    // destroy() was called while this was being stored: it ends what came of it.
    if (this.#ending !== undefined) {
      this.#ending = { ...this.#ending, of: { is: 'stored', record } }
      return
    }
    if (record.id !== this.record?.id) this.#rotating = false
    this.#state = { is: 'stored', record }
    this.#base = record.data
    this.#about = undefined
    this.#touchDue = false
    if (this.#assignment === done.assignment) this.#assignment = undefined
    if (this.#data !== undefined) this.#refresh(this.#data as Bag, done.edit.local)
  }

  /** The record was touched; the rest stands. */
  seen(): void {
    this.#touchDue = false
  }

  /**
   * What destroy() left was ended. What the request stores from here on begins another session, unless its own token had
   * been ended before: then the browser may hold the cookie of a newer login by now.
   */
  ended(state: State): void {
    this.#ending = undefined
    if (this.#state.is === 'absent') this.#state = state
  }

  /** The session was ended or moved elsewhere; a login of this request stands. */
  lose(): void {
    if (this.#state.is !== 'stored') return
    this.#state = { is: 'ended', record: this.#state.record, since: 'load' }
    this.#about = undefined
    this.#rotating = false
  }

  /** Lets `save` run as the last thing that happens to this session, once. */
  close(save: (session: OpenSession) => Awaitable<void>): Awaitable<void> {
    if (this.#closed) return this.#work
    this.#closed = true
    return this.#work === undefined ? this.#follow(save(this)) : this.#inTurn(() => save(this))
  }

  /** @throws {UsageError} `ERR_RESPONSE_STARTED` */
  assertOpen(): void {
    if (!this.#closed) return
    throw new UsageError(
      'ERR_RESPONSE_STARTED',
      'The session was saved when the response began, and cannot change now',
      {
        hint: 'Change the session before the first byte of the response, or in a later request.',
      },
    )
  }

  /** Updates of one exchange wait for each other, awaited or not, and the commit waits for them. */
  #inTurn(act: () => Awaitable<void>): Promise<void> {
    const before = this.#work
    const turn = before === undefined ? (async () => act())() : before.then(act)
    this.#follow(turn)
    return turn
  }

  /** The caller that started the work hears of its failure; those that only wait for it need not. */
  #follow(work: Awaitable<void>): Awaitable<void> {
    if (work instanceof Promise) this.#work = work.catch(() => {})
    return work
  }

  #goOnWith(record: SessionRecord): void {
    this.#state = { is: 'stored', record }
    this.#base = record.data
    if (this.#data !== undefined) Object.assign(this.#data, parseData(record.data))
  }

  /** Lets go of a session that a token named, so that a login begins one of its own, in a cookie. */
  #leave(): void {
    this.#inCookie = true
    this.#state = { is: 'absent' }
    this.#about = undefined
    this.#base = EMPTY_DATA
  }

  /** Makes the data what is stored, with what was changed since it was `saved`, in place: the application may hold parts of it. */
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

  /** Drops all data but these keys, and says which keys of the loaded data may count from here on. */
  #carried(keys: readonly string[]): readonly string[] {
    const data = this.data as Bag
    for (const key of Object.keys(data)) if (!keys.includes(key)) delete data[key]
    return this.#assignment?.carry?.filter((key) => keys.includes(key)) ?? keys
  }
}

type Bag = Record<string, unknown>

function noSubject(): UsageError {
  return new UsageError(
    'ERR_PASSPORT_SUBJECT',
    'A session can only be assigned to a subject that is well-formed text and not empty',
    {
      hint: 'Use the primary key of the user, as a string.',
    },
  )
}
