import { type Awaitable, andThen } from '../awaitable.ts'
import { randomHandle } from '../crypto/random.ts'
import { ProtocolError, StoreError, UsageError } from '../error.ts'
import type { Exchange } from '../http/exchange.ts'
import { aboutText, type LoginProof, readAbout } from './about.ts'
import { checkedText, type Edit, EMPTY_DATA, parseData, replay } from './changes.ts'
import { clientOf } from './client.ts'
import { endRevision, moveRevision, saveRevision } from './commit.ts'
import type { SessionEvent } from './event.ts'
import type { Assignment, OpenSession, SessionKeeper } from './session.ts'
import { expiryOf, type Settings, timeoutsOf } from './settings.ts'
import type { SessionId, SessionRecord, Timestamp, WriteResult } from './store.ts'
import { idOf, mintSecret } from './token.ts'

/** Browsers keep no cookie longer (RFC 6265bis §5.6.2). Seconds. */
const LONGEST_COOKIE = 400 * 24 * 60 * 60

/** What a request wants at one moment; the application may go on to change its session while that is being stored. */
interface Wish {
  readonly edit: Edit
  readonly assignment: Assignment | undefined
  /** The data to store, made of the newest that is stored, or of none where that has ended. */
  readonly data: (newest: string | undefined) => string
}

/** A session that something other than a cookie will name. */
export interface SessionStart {
  readonly id: SessionId
  readonly subject: string
  readonly login: LoginProof
  /** What its refresh tokens are known by. */
  readonly refresh: unknown
}

/** Writes what a request did to its session: to the store, and as a cookie. */
export class SessionWriter implements SessionKeeper {
  readonly #settings: Settings
  readonly #touching = new Map<SessionId, Promise<WriteResult>>()

  constructor(settings: Settings) {
    this.#settings = settings
  }

  /** Nothing but a look at the clock's verdict when the session was merely read; and then nothing is awaited. */
  commit(session: OpenSession): Awaitable<void> {
    const fate = session.fate()
    switch (fate) {
      case 'none':
        return undefined
      case 'touched':
        return this.#touch(session)
      case 'destroyed':
        return andThen(this.#end(session), () => this.commit(session))
      case 'created':
      case 'changed':
      case 'rotated':
        return andThen(this.#write(session, this.#asChanged(session)), (saved) => {
          if (!saved) this.#discarded(session)
        })
    }
  }

  update(session: OpenSession, change: (data: object) => void): Awaitable<void> {
    if (session.fate() === 'destroyed') return andThen(this.#end(session), () => this.update(session, change))
    const wish = this.#asChanged(session)
    const data: Wish['data'] = (newest) => applied(change, wish.data(newest))
    return andThen(this.#write(session, { ...wish, data }), (saved) => {
      if (!saved) throw endedMeanwhile()
    })
  }

  begin(exchange: Exchange, { id, subject, login, refresh }: SessionStart): Awaitable<SessionRecord> {
    const now = this.#settings.clock()
    const record: SessionRecord = {
      id,
      handle: randomHandle(),
      version: 1,
      subject,
      data: EMPTY_DATA,
      about: aboutText({ login, client: clientOf(exchange), refresh }),
      createdAt: now,
      seenAt: now,
      expiresAt: expiryOf(now, now, timeoutsOf(this.#settings, login)),
    }
    return andThen(this.#insert(record, exchange), () => {
      this.#tell({ type: 'created', id, subject }, exchange)
      return record
    })
  }

  /** A record that is not a session, once under its id. */
  note(id: SessionId, what: object, expiresAt: Timestamp): Awaitable<boolean> {
    const now = this.#settings.clock()
    const note: SessionRecord = {
      ...{ id, handle: randomHandle(), version: 1, subject: null, data: JSON.stringify(what) },
      about: aboutText({ client: { device: 'none' } }),
      ...{ createdAt: now, seenAt: now, expiresAt },
    }
    return noDuplicate(() => andThen(this.#settings.store.insert(note), () => true))
  }

  renew(record: SessionRecord, refresh: unknown): Awaitable<SessionRecord | undefined> {
    const now = this.#settings.clock()
    const about = readAbout(record.about)
    const next: SessionRecord = {
      ...record,
      version: record.version + 1,
      about: aboutText({ ...about, refresh }),
      seenAt: Math.max(now, record.seenAt),
      expiresAt: expiryOf(record.createdAt, now, timeoutsOf(this.#settings, about.login)),
    }
    return andThen(this.#settings.store.replace(next, record.version), (result) =>
      result === 'done' ? next : undefined,
    )
  }

  #asChanged(session: OpenSession): Wish {
    const edit = session.edit()
    return { edit, assignment: session.assignment, data: (newest) => replay(edit, newest) }
  }

  /** @returns false if the session ended elsewhere: then nothing was written */
  #write(session: OpenSession, wish: Wish): Awaitable<boolean> {
    const { record } = session
    if (record === undefined) return this.#create(session, wish)
    return session.moving ? this.#move(session, record, wish) : this.#save(session, record, wish)
  }

  #create(session: OpenSession, wish: Wish): Awaitable<boolean> {
    const { exchange } = session
    // A login racing with a logout is new authority: what its own request has stored begins a session. Nothing else does.
    if (session.lost !== undefined && wish.assignment === undefined) return false
    this.#settings.cookie.toSet(exchange)
    const data = this.#fitting(wish.data(undefined))
    if (data === EMPTY_DATA && wish.assignment === undefined) return true
    const secret = mintSecret()
    const record = this.#firstRecord(session, wish, { secret, data })
    return andThen(this.#insert(record, exchange), () => {
      this.#tell({ type: 'created', id: record.id, subject: record.subject ?? undefined }, exchange)
      this.#sendToken(session, record, secret)
      session.settle(record, wish, 'under another token')
      return true
    })
  }

  #save(session: OpenSession, base: SessionRecord, wish: Wish): Awaitable<boolean> {
    const now = this.#settings.clock()
    const timeouts = timeoutsOf(this.#settings, session.login)
    const saved = saveRevision(this.#settings.store, base, (newest) => ({
      ...newest,
      version: newest.version + 1,
      data: this.#fitting(wish.data(newest.data)),
      seenAt: Math.max(now, newest.seenAt),
      expiresAt: expiryOf(newest.createdAt, now, timeouts),
    }))
    return andThen(saved, (record) => {
      if (record === undefined) return this.#lost(session)
      this.#sendToken(session, record, session.secretToReissue)
      session.settle(record, wish)
      return true
    })
  }

  #move(session: OpenSession, base: SessionRecord, wish: Wish): Awaitable<boolean> {
    const { exchange } = session
    this.#settings.cookie.toSet(exchange)
    const secret = mintSecret()
    const moved = moveRevision(this.#settings.store, base, {
      succeed: (newest) => this.#successor(session, wish, newest, secret),
      // The old record makes room for the new one, unless it was somebody else's or nobody's.
      insert: (record) =>
        record.subject === base.subject ? this.#settings.store.insert(record) : this.#insert(record, exchange),
    })
    return andThen(moved, (record) => {
      if (record === undefined) return this.#lost(session) || this.#create(session, wish)
      const { id, subject } = record
      this.#tell({ type: 'rotated', id, previous: base.id, subject: subject ?? undefined }, exchange)
      this.#sendToken(session, record, secret)
      session.settle(record, wish, 'under another token')
      return true
    })
  }

  #touch(session: OpenSession): Awaitable<void> {
    const { record } = session
    if (record === undefined) return undefined
    const now = this.#settings.clock()
    const expiresAt = expiryOf(record.createdAt, now, timeoutsOf(this.#settings, session.login))
    return andThen(this.#touchOnce(record.id, now, expiresAt), (result) => {
      // Only a token of which the store has just said that it lives is written again: a login elsewhere may have replaced it.
      if (result === 'done') this.#sendToken(session, record, session.secretToReissue)
      session.seen()
    })
  }

  /** Requests that come together all find the touch due; one of them writes it, and the others wait for that. */
  #touchOnce(id: SessionId, now: Timestamp, expiresAt: Timestamp): Awaitable<WriteResult> {
    const underWay = this.#touching.get(id)
    if (underWay !== undefined) return underWay
    const touching = this.#settings.store.touch(id, now, expiresAt)
    if (!(touching instanceof Promise)) return touching
    const forget = (): void => void this.#touching.delete(id)
    this.#touching.set(id, touching)
    touching.then(forget, forget)
    return touching
  }

  #end(session: OpenSession): Awaitable<void> {
    const { exchange, ending } = session
    return andThen(ending && endRevision(this.#settings, ending), () => {
      session.ended()
      if (ending === undefined && session.absence === 'no-cookie') return
      if (session.inCookie) exchange.cookies.delete(this.#settings.cookie.of(exchange))
      if (ending !== undefined)
        this.#tell({ type: 'ended', id: ending.id, subject: ending.subject ?? undefined }, exchange)
    })
  }

  #lost(session: OpenSession): false {
    session.lose()
    return false
  }

  #discarded(session: OpenSession): void {
    const { exchange, lost: id } = session
    if (id !== undefined) this.#tell({ type: 'discarded', id }, exchange)
  }

  #firstRecord(session: OpenSession, wish: Wish, made: { secret: string; data: string }): SessionRecord {
    const { subject = null, login, handle } = wish.assignment ?? {}
    const now = this.#settings.clock()
    return {
      id: idOf(made.secret),
      // Whoever ended the old session by its handle has ended it.
      handle: session.lost === undefined && handle !== undefined ? handle : randomHandle(),
      version: 1,
      subject,
      data: made.data,
      about: aboutText({ login, client: clientOf(session.exchange) }),
      createdAt: now,
      seenAt: now,
      expiresAt: expiryOf(now, now, timeoutsOf(this.#settings, login)),
    }
  }

  /** The same session under another id; a login begins its absolute timeout anew. */
  #successor(session: OpenSession, wish: Wish, old: SessionRecord, secret: string): SessionRecord {
    const data = this.#fitting(wish.data(old.data))
    if (wish.assignment !== undefined) return this.#firstRecord(session, wish, { secret, data })
    const now = this.#settings.clock()
    const timeouts = timeoutsOf(this.#settings, readAbout(old.about).login)
    const expiresAt = expiryOf(old.createdAt, now, timeouts)
    return { ...old, id: idOf(secret), version: 1, data, seenAt: now, expiresAt }
  }

  /** A record that joins those of its subject may push the oldest out. */
  #insert(record: SessionRecord, exchange: Exchange): Awaitable<void> {
    const { index, perSubject, store } = this.#settings
    const { subject } = record
    if (subject === null || index === undefined || perSubject === Number.POSITIVE_INFINITY) return store.insert(record)
    return andThen(index.insertWithin(record, perSubject), (count) => {
      if (count > 0) this.#tell({ type: 'evicted', subject, count }, exchange)
    })
  }

  #sendToken(session: OpenSession, record: SessionRecord, secret: string | undefined): void {
    if (secret === undefined) return
    const { exchange } = session
    const { cookie, tokens } = this.#settings
    const maxAge = this.#maxAge(record, readAbout(record.about).login)
    exchange.cookies.set(cookie.toSet(exchange), tokens.write(secret), maxAge === undefined ? undefined : { maxAge })
  }

  /**
   * A remembered login's cookie lasts until the absolute timeout, and so is never written again to last longer: a late
   * response could bring an old token back into the browser. That the session may end sooner is the server's business.
   */
  #maxAge(record: SessionRecord, login: LoginProof | undefined): number | undefined {
    if (login?.remembered !== true) return undefined
    const left = record.createdAt + this.#settings.remembered.absolute - this.#settings.clock()
    return Math.min(Math.ceil(left / 1000), LONGEST_COOKIE)
  }

  #fitting(data: string): string {
    const { dataLimit } = this.#settings
    // No character takes more than three bytes of UTF-8 for one unit of UTF-16.
    if (data.length * 3 <= dataLimit || Buffer.byteLength(data) <= dataLimit) return data
    throw new UsageError('ERR_SESSION_TOO_LARGE', `The session data would take more than ${dataLimit} bytes`, {
      hint: 'Keep large things in a database and their key in the session, or raise `dataLimit`.',
    })
  }

  #tell(event: SessionEvent, exchange: Exchange): void {
    this.#settings.onEvent?.(event, exchange)
  }
}

/** `data` after the application has changed it. */
function applied(change: (data: object) => void, data: string): string {
  const bag = parseData(data)
  const answer: unknown = change(bag)
  if (answer instanceof Promise) throw mustNotWait(answer)
  return checkedText(bag)
}

function mustNotWait(answer: Promise<unknown>): UsageError {
  answer.catch(() => {})
  return new UsageError('ERR_SESSION_DATA', 'The change given to update() returned a promise', {
    hint: 'Wait for whatever you need before update(), and only change the data in it.',
  })
}

/** Whether what was to be inserted was the first of its id. */
function noDuplicate(insert: () => Awaitable<boolean>): Awaitable<boolean> {
  const known = (error: unknown): false => {
    if (error instanceof StoreError && error.code === 'ERR_STORE_DUPLICATE') return false
    throw error
  }
  try {
    const inserted = insert()
    return inserted instanceof Promise ? inserted.catch(known) : inserted
  } catch (error) {
    return known(error)
  }
}

function endedMeanwhile(): ProtocolError {
  return new ProtocolError('ERR_SESSION_ENDED', 'The session ended while this request was at work; nothing was saved', {
    hint: 'It was logged out or revoked elsewhere. Open the page again.',
    status: 409,
  })
}
