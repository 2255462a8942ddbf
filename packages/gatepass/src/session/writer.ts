import { type Awaitable, andThen, orElse } from '../awaitable.ts'
import { maxLifetime } from '../cookie/serialize.ts'
import { randomHandle, randomToken } from '../crypto/random.ts'
import { ProtocolError, StoreError, UsageError } from '../error.ts'
import type { Exchange } from '../http/exchange.ts'
import { type About, deviceOf, expiryOf, type LoginProof, markerOf, NOTE, readAbout } from './about.ts'
import { diff, type Edit, EMPTY_DATA, prune, rebase, replay } from './changes.ts'
import { endHandle, moveRevision, saveRevision, Turns, whereabouts } from './commit.ts'
import type { SessionStart } from './hooks.ts'
import { type Destruction, type EndedState, FLASH_KEY, type OpenSession, type State, type Wish } from './session.ts'
import { noIndex, type Settings } from './settings.ts'
import type { SessionId, SessionRecord, Timestamp, WriteResult } from './store.ts'
import { idOf } from './token.ts'

/**
 * Writes what a request did to its session, to the store and as a cookie.
 *
 * These rules hold when requests overlap. A session that moves or is logged out leaves a marker for a minute. A change
 * follows the markers to the id where its session is now, or is refused with 409. A login whose session has ended begins a
 * new one. A logout follows its session, but never to another login. Only four things write the cookie: a login, a rotation
 * that was first, a logout that ended the session of its own token, and the first write of a visitor.
 */
export class SessionWriter {
  readonly #settings: Settings
  readonly #turns = new Turns()
  readonly #touching = new Map<SessionId, Promise<WriteResult>>()

  constructor(settings: Settings) {
    this.#settings = settings
  }

  commit(session: OpenSession): Awaitable<void> {
    switch (session.fate()) {
      case 'none':
        return undefined
      case 'touch':
        return this.#touch(session)
      case 'end':
        return andThen(this.end(session), () => this.commit(session))
      case 'refuse':
        return this.#refuse(session)
      case 'write':
        return andThen(this.#write(session, session.wish()), (saved) => {
          if (!saved) this.#refuse(session)
        })
    }
  }

  update(session: OpenSession, change: (data: object) => void): Awaitable<void> {
    if (session.fate() === 'end') return andThen(this.end(session), () => this.update(session, change))
    return andThen(this.#write(session, { ...session.wish(), change }), (saved) => {
      if (!saved) throw endedMeanwhile()
    })
  }

  /** @throws {UsageError} `ERR_STORE_NO_INDEX` */
  assertIndexed(what: string): void {
    if (this.#settings.index === undefined) throw noIndex(what)
  }

  /** @returns false if the session has ended elsewhere; nothing was written */
  #write(session: OpenSession, wish: Wish): Awaitable<boolean> {
    const { state } = session
    switch (state.is) {
      case 'stored':
        return session.moving ? this.#move(session, state.record, wish) : this.#save(session, state.record, wish)
      case 'ended':
        return wish.assignment !== undefined && this.#loginElsewhere(session, state, wish)
      default:
        return this.#create(session, wish, replay(wish.edit, EMPTY_DATA, wish.change))
    }
  }

  #create(session: OpenSession, wish: Wish, data: string): Awaitable<true> {
    const { exchange } = session
    this.#settings.sessionCookie.assertMaySet(exchange)
    if (data === EMPTY_DATA && wish.assignment === undefined) return true
    const secret = randomToken()
    const record = this.#firstRecord(session, wish, secret, data)
    return andThen(this.#insert(record, exchange), () => {
      this.#settings.onEvent?.({ type: 'created', id: record.id, subject: record.subject ?? undefined }, exchange)
      this.#sendToken(session, record, secret)
      session.settle(record, wish)
      return true
    })
  }

  #save(session: OpenSession, base: SessionRecord, wish: Wish): Awaitable<boolean> {
    const { login } = session
    const saved = this.#turns.take(base, (newest) =>
      saveRevision(this.#settings.store, newest, (record) =>
        this.#revised(record, replay(wish.edit, record.data, wish.change), login),
      ),
    )
    return andThen(saved, (record) => {
      if (record === undefined) return this.#saveElsewhere(session, base, wish)
      session.settle(record, wish)
      return true
    })
  }

  /**
   * Saves a change under the id that the session has moved to. If its handle changed, a login moved it: then this request
   * sees and changes only the data keys that the login carried over.
   */
  async #saveElsewhere(session: OpenSession, { id, handle }: SessionRecord, wish: Wish): Promise<boolean> {
    const { store, clock } = this.#settings
    const changed = changedKeys(wish.edit)
    for (;;) {
      const there = await whereabouts(store, id, clock)
      if (there === undefined) return lost(session)
      const { record: base, carry = [] } = there
      const same = base.handle === handle
      if (!same && !changed.every((key) => carry.includes(key))) return lost(session)
      if (wish.change === undefined && changed.length === 0) {
        if (same) session.settle(base, wish)
        return true
      }
      const change = (newest: SessionRecord): string => {
        if (same) return replay(wish.edit, newest.data, wish.change)
        const visible = prune(newest.data, carry)
        const changes = diff(visible, replay(wish.edit, visible, wish.change))
        if ([...changes.keys()].every((key) => carry.includes(key))) return rebase(newest.data, changes)
        session.lose()
        throw endedMeanwhile()
      }
      const { login } = readAbout(base.about)
      const saved = await this.#turns.take(base, (newest) =>
        saveRevision(store, newest, (record) => this.#revised(record, change(record), login)),
      )
      if (saved === undefined) continue
      if (same) session.settle(saved, wish)
      else session.lose()
      return true
    }
  }

  #move(session: OpenSession, base: SessionRecord, wish: Wish): Awaitable<boolean> {
    const { exchange } = session
    const { store, clock } = this.#settings
    this.#settings.sessionCookie.assertMaySet(exchange)
    const secret = randomToken()
    const moved = this.#turns.take(base, (newest) =>
      moveRevision(store, newest, {
        succeed: (record) => this.#successor(session, wish, record, secret),
        // If the subject stays the same, the new record replaces the old one and does not count against the limit.
        insert: (record) => (record.subject === base.subject ? store.insert(record) : this.#insert(record, exchange)),
        carry: wish.assignment?.carry,
        clock,
      }),
    )
    return andThen(moved, (record) => {
      if (record === undefined) return this.#moveTooLate(session, base, wish)
      const { id, subject } = record
      this.#settings.onEvent?.({ type: 'rotated', id, previous: base.id, subject: subject ?? undefined }, exchange)
      this.#sendToken(session, record, secret)
      session.settle(record, wish)
      return true
    })
  }

  /** Another request moved or ended the session first. Then a rotation sends no token. */
  #moveTooLate(session: OpenSession, base: SessionRecord, wish: Wish): Promise<boolean> {
    session.lose()
    if (wish.assignment === undefined) return this.#saveElsewhere(session, base, wish)
    return this.#loginElsewhere(session, { record: base, since: 'load' }, wish)
  }

  /**
   * A login whose session was moved or ended begins a new session. If this request had loaded the live session, the new one
   * takes the data that a login carries over, or all data if the moved session belongs to the same subject.
   */
  async #loginElsewhere(
    session: OpenSession,
    { record: { id }, since }: Omit<EndedState, 'is'>,
    wish: Wish,
  ): Promise<true> {
    const { store, clock } = this.#settings
    const there = since === 'load' ? await whereabouts(store, id, clock) : undefined
    if (there === undefined) return this.#create(session, wish, replay(wish.edit, EMPTY_DATA, wish.change))
    const { base, local, carry } = wish.edit
    const sameSubject = there.record.subject === wish.assignment?.subject
    const edit = sameSubject ? { base: prune(base, carry), local } : wish.edit
    return this.#create(session, wish, replay(edit, there.record.data, wish.change))
  }

  /** A failed touch does not fail the request: a later request writes `seenAt`. */
  #touch(session: OpenSession): Awaitable<void> {
    const { record } = session
    if (record === undefined) return undefined
    return orElse(
      () => andThen(this.#touchOnce(record, session.login), () => session.touched()),
      (error) => this.#settings.onEvent?.({ type: 'touch_failed', id: record.id, error }, session.exchange),
    )
  }

  /** When several requests find the touch due at once, one writes it and the others wait for that write. */
  #touchOnce(record: SessionRecord, login: LoginProof | undefined): Awaitable<WriteResult> {
    const { id } = record
    const underWay = this.#touching.get(id)
    if (underWay !== undefined) return underWay
    const { seenAt, expiresAt } = this.#seenNow(record, login)
    const touching = this.#settings.store.touch(id, seenAt, expiresAt)
    if (!(touching instanceof Promise)) return touching
    const forget = (): void => void this.#touching.delete(id)
    this.#touching.set(id, touching)
    touching.then(forget, forget)
    return touching
  }

  /** Ends in the store the session that `destroy()` was called on. */
  end(session: OpenSession): Awaitable<void> {
    const { destruction } = session
    if (destruction === undefined) return undefined
    const { of, everywhere } = destruction
    if (of.is !== 'stored' || everywhere) return this.#endPresented(session, destruction)
    return andThen(this.#replaceByMarker(of.record), (ended) => {
      if (ended === undefined) return this.#endPresented(session, destruction)
      this.#reportEnded(session, of.record, { deleteCookie: true })
      return session.ended(destruction, { is: 'absent' })
    })
  }

  /**
   * Ends the sessions that the request's tokens named, each at the id that it has moved to, if its handle is the same: a logout
   * never ends another login. The cookie is deleted only if the session still had the id of its token. Otherwise the browser
   * may already hold a newer cookie.
   */
  async #endPresented(session: OpenSession, destruction: Destruction): Promise<void> {
    const { store, clock, index } = this.#settings
    const { of, everywhere } = destruction
    let atItsId = destruction.ended
    const subjects = new Set<string>()
    for (const { id, handle } of await this.#presented(of)) {
      for (;;) {
        const there = await whereabouts(store, id, clock)
        if (there === undefined || there.record.handle !== handle) break
        if ((await this.#replaceByMarker(there.record)) === undefined) continue
        this.#reportEnded(session, there.record, { deleteCookie: there.record.id === id })
        atItsId ||= there.record.id === id
        if (there.record.subject !== null) subjects.add(there.record.subject)
        break
      }
    }
    if (of.is === 'stored' && of.record.subject !== null && subjects.size === 0) {
      subjects.add(of.record.subject)
      // A marker lasts only a minute. If the request took longer, the handle still finds the session.
      if (index !== undefined) await endHandle({ store, index }, of.record.subject, of.record.handle)
    }
    // The request may begin a new session, unless its token had ended before.
    if (of.is === 'ended') session.ended(destruction, of)
    else if (of.is === 'stored' && !atItsId) session.ended(destruction, { ...of, is: 'ended', since: 'load' })
    else session.ended(destruction, { is: 'absent' })
    if (!everywhere || index === undefined) return
    for (const subject of subjects) {
      const count = await index.removeBySubject(subject)
      if (count > 0) this.#settings.onEvent?.({ type: 'revoked', subject, count }, session.exchange)
    }
  }

  /** The sessions that the tokens of the request named, or the markers that stand in their place. */
  async #presented(of: State): Promise<readonly SessionRecord[]> {
    if (of.is === 'stored' || of.is === 'ended') return [of.record]
    const loaded = of.is === 'ambiguous' ? of.ids.map((id) => this.#settings.store.load(id)) : []
    return (await Promise.all(loaded)).filter((record) => record !== undefined)
  }

  /** @returns `undefined` if the session is no longer in the store */
  #replaceByMarker(record: SessionRecord): Awaitable<SessionRecord | undefined> {
    const { store, clock } = this.#settings
    return this.#turns.take(record, (base) =>
      saveRevision(store, base, (newest) => markerOf(newest, { ended: 'loggedOut' }, clock())),
    )
  }

  #reportEnded(
    { exchange, inCookie }: OpenSession,
    { id, subject }: SessionRecord,
    { deleteCookie }: { readonly deleteCookie: boolean },
  ): void {
    if (deleteCookie && inCookie) exchange.cookies.delete(this.#settings.sessionCookie.of(exchange))
    this.#settings.onEvent?.({ type: 'ended', id, subject: subject ?? undefined }, exchange)
  }

  /**
   * A change that cannot be stored is an error, because everything that was answered with 2xx must be stored. A flash message
   * alone is not an error: the login or logout that it describes has already been answered.
   */
  #refuse(session: OpenSession): void {
    const { exchange, state } = session
    if (state.is === 'ended') this.#settings.onEvent?.({ type: 'discarded', id: state.record.id }, exchange)
    const changed = changedKeys(session.wish().edit)
    if (changed.length !== 1 || changed[0] !== FLASH_KEY) throw endedMeanwhile()
  }

  // ── for SessionHooks ─────────────────────────────────────────────────────────────────────────

  begin(exchange: Exchange, { id, subject, login, notes }: SessionStart): Awaitable<SessionRecord> {
    const record = this.#newRecord(exchange, { id, handle: randomHandle(), subject, login, notes, data: EMPTY_DATA })
    return andThen(this.#insert(record, exchange), () => {
      this.#settings.onEvent?.({ type: 'created', id, subject }, exchange)
      return record
    })
  }

  /** Inserts a record that is not a session. @returns false if the id is taken */
  note(id: SessionId, what: object, expiresAt: Timestamp): Awaitable<boolean> {
    const now = this.#settings.clock()
    const note: SessionRecord = {
      id,
      handle: randomHandle(),
      version: 1,
      subject: null,
      data: JSON.stringify(what),
      about: NOTE,
      createdAt: now,
      seenAt: now,
      expiresAt,
    }
    const inserted = (): Awaitable<boolean> => andThen(this.#settings.store.insert(note), () => true)
    return orElse(inserted, (error) => {
      if (error instanceof StoreError && error.code === 'ERR_STORE_DUPLICATE') return false
      throw error
    })
  }

  renew(record: SessionRecord, notes: Readonly<Record<string, unknown>>): Awaitable<SessionRecord | undefined> {
    const about = readAbout(record.about)
    const next: SessionRecord = {
      ...record,
      version: record.version + 1,
      about: JSON.stringify({ ...about, ...notes } satisfies About),
      ...this.#seenNow(record, about.login),
    }
    return andThen(this.#settings.store.replace(next, record.version), (result) =>
      result === 'done' ? next : undefined,
    )
  }

  // ── what is written ──────────────────────────────────────────────────────────────────────────

  #revised(newest: SessionRecord, data: string, login: LoginProof | undefined): SessionRecord {
    return { ...newest, version: newest.version + 1, data: this.#fitting(data), ...this.#seenNow(newest, login) }
  }

  /** A clock that runs behind never shortens a session. */
  #seenNow(record: SessionRecord, login: LoginProof | undefined): Pick<SessionRecord, 'seenAt' | 'expiresAt'> {
    const seenAt = Math.max(this.#settings.clock(), record.seenAt)
    return { seenAt, expiresAt: expiryOf(this.#settings, { createdAt: record.createdAt, seenAt }, login) }
  }

  #newRecord(exchange: Exchange, { id, handle, subject, login, notes, data }: NewSession): SessionRecord {
    const now = this.#settings.clock()
    const times = { createdAt: now, seenAt: now }
    const client = { device: deviceOf(exchange.header('user-agent')), address: exchange.remoteAddress }
    const about = JSON.stringify({ login, client, ...notes } satisfies About)
    return { id, handle, version: 1, subject, data, about, ...times, expiresAt: expiryOf(this.#settings, times, login) }
  }

  #firstRecord({ exchange, state }: OpenSession, wish: Wish, secret: string, data: string): SessionRecord {
    const { subject = null, login, handle } = wish.assignment ?? {}
    // The new session must not have the handle of a session that was ended or moved.
    const newHandle = handle === undefined || (state.is === 'ended' && state.record.handle === handle)
    const made = { id: idOf(secret), handle: newHandle ? randomHandle() : handle, data: this.#fitting(data) }
    return this.#newRecord(exchange, { ...made, subject, login })
  }

  /** The record of the same session under another id. A login starts the absolute timeout again. */
  #successor(session: OpenSession, wish: Wish, old: SessionRecord, secret: string): SessionRecord {
    const data = replay(wish.edit, old.data, wish.change)
    if (wish.assignment !== undefined) return this.#firstRecord(session, wish, secret, data)
    const seen = this.#seenNow(old, readAbout(old.about).login)
    return { ...old, id: idOf(secret), version: 1, data: this.#fitting(data), ...seen }
  }

  /** Inserts a record and, at the limit, ends the oldest sessions of its subject. */
  #insert(record: SessionRecord, exchange: Exchange): Awaitable<void> {
    const { index, perSubject, store } = this.#settings
    const { subject } = record
    if (subject === null || index === undefined || perSubject === Number.POSITIVE_INFINITY) return store.insert(record)
    return andThen(index.insertWithin(record, perSubject), (count) => {
      if (count > 0) this.#settings.onEvent?.({ type: 'evicted', subject, count }, exchange)
    })
  }

  #sendToken({ exchange }: OpenSession, record: SessionRecord, secret: string): void {
    const { sessionCookie, tokens, remembered, clock } = this.#settings
    const { login } = readAbout(record.about)
    // The cookie of a remembered login lasts until the absolute timeout, so it never needs to be written again: a late
    // response could bring an old token back into the browser. The server may end the session earlier.
    const left = Math.ceil((record.createdAt + remembered.absolute - clock()) / 1000)
    const lifetime = login?.remembered === true ? { maxAge: Math.min(left, maxLifetime) } : undefined
    exchange.cookies.set(sessionCookie.of(exchange), tokens.write(secret), lifetime)
    if (record.subject !== null) sessionCookie.clearElsewhere(exchange)
  }

  #fitting(data: string): string {
    const { dataLimit } = this.#settings
    // One UTF-16 unit takes at most three bytes in UTF-8.
    if (data.length * 3 <= dataLimit || Buffer.byteLength(data) <= dataLimit) return data
    throw new UsageError('ERR_SESSION_TOO_LARGE', `The session data would take more than ${dataLimit} bytes`, {
      hint: 'Keep large values in a database and their key in the session, or raise `dataLimit`.',
    })
  }
}

/** The values of a new session that its caller chooses. */
interface NewSession extends Pick<SessionRecord, 'id' | 'handle' | 'subject' | 'data'> {
  readonly login: LoginProof | undefined
  /** Kept in the record beside the engine's own notes. */
  readonly notes?: Readonly<Record<string, unknown>>
}

function changedKeys({ base, local, carry }: Edit): string[] {
  return [...diff(prune(base, carry), local).keys()]
}

function lost(session: OpenSession): false {
  session.lose()
  return false
}

function endedMeanwhile(): ProtocolError {
  return new ProtocolError('ERR_SESSION_ENDED', 'The session ended while this request was running; nothing was saved', {
    hint: 'It was logged out, revoked, replaced by another login, or it expired. Open the page again.',
    status: 409,
  })
}
