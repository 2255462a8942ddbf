// What must and must not compile; checked by `npm run check:types`, never run.

import type { Exchange } from 'gatepass/passport'
import {
  addFlash,
  type Session,
  SessionManager,
  type SessionOptions,
  type SessionStore,
  type WriteResult,
} from 'gatepass/session'
import { memoryStore } from 'gatepass/stores/memory'

interface Shop {
  cart: string[]
  visits: number
}

declare const exchange: Exchange
declare const store: SessionStore
const sessions = new SessionManager<Shop>({ store: memoryStore() })
const session = await sessions.open(exchange)

// Data is what the application declared, and every key may be absent.
const cart: string[] | undefined = session.data.cart
session.data.cart = [...(cart ?? []), 'tea']
delete session.data.visits
// @ts-expect-error a cart is no number
session.data.cart = 1
// @ts-expect-error no such key
session.data.basket = []
// @ts-expect-error may be absent
session.data.cart.push('milk')
// @ts-expect-error the object stays, its keys change
session.data = {}

// update() is given the same data.
await session.update((data) => {
  data.visits = (data.visits ?? 0) + 1
  // @ts-expect-error visits is a number
  data.visits = 'many'
})

// Subject, login and id change by assign and rotate alone.
session.assign('42', { at: 0, amr: ['pwd'] }, { carry: ['cart'] })
// @ts-expect-error
session.subject = '42'
// @ts-expect-error a proof says when and how
session.assign('42', { at: 0 })
// @ts-expect-error a subject is a text
session.assign(42, { at: 0, amr: [] })

// A session id is no plain text: a token cannot be passed for it.
await sessions.revoke((await sessions.list('42'))[0]?.id ?? raise())
// @ts-expect-error
await sessions.revoke('token')
// @ts-expect-error no boolean parameters
await sessions.revokeAll('42', true)

// Flash messages fit any session, and a manager with data passes for one without.
addFlash(session, 'info', 'Saved')
const any: SessionManager<object> = sessions
const anySession: Session<object> = session
await any.open(exchange)
anySession.rotate()

// Without a declaration the data is unknown rather than any.
const untyped = await new SessionManager({ store }).open(exchange)
const value: unknown = untyped.data.whatever
// @ts-expect-error unknown has to be looked at first
const length: number = untyped.data.whatever.length

// Options.
const options: SessionOptions = { store, keys: ['x'.repeat(32)], remember: { idleTimeout: 60 } }
// @ts-expect-error at least one key
const none: SessionOptions = { store, keys: [] }
// @ts-expect-error a store is needed
const storeless: SessionOptions = {}

// A store may answer at once, later, or now this way and now that; with these three words alone.
const result: WriteResult | Promise<WriteResult> = store.remove((await sessions.list('42'))[0]?.id ?? raise())
// @ts-expect-error
const fourth: WriteResult = 'missing'

function raise(): never {
  throw new Error()
}

export const used: unknown[] = [value, length, options, none, storeless, result, fourth]
