import { createHmac } from 'node:crypto'
import { IncomingMessage, ServerResponse } from 'node:http'
import session from 'gatepass/compat/express-session'
import { legacyStore } from 'gatepass/compat/legacy-store'
import type { SessionId } from 'gatepass/session'
import { describe, expect, onTestFinished, test } from 'vitest'
import { type Anything, original } from './site.ts'
import { dropIns, type Kind, theirs } from './stores.ts'

const sessionOf = (name: string, expires: Date | null = null): Anything => ({
  cookie: { originalMaxAge: null, expires, httpOnly: true, path: '/' },
  name,
  cart: { items: [name] },
})

async function filled({ open }: Kind, sessions: Readonly<Record<string, Anything>>): Promise<Anything> {
  const { store, close } = await open()
  onTestFinished(async () => void (await close()))
  const made = store(original)
  for (const [sid, session] of Object.entries(sessions)) {
    await new Promise<void>((resolve, reject) => made.set(sid, session, (e: unknown) => (e ? reject(e) : resolve())))
  }
  return made
}

const ids = ['one', 'with "quotes", {braces} and \\', 'ünïcode', 'constructor', '12']

describe.each([...theirs, ...dropIns].filter(({ name }) => !name.startsWith('session-file-store')))('$name', (kind) => {
  const note = kind.missing === undefined ? '' : ` (SKIPPED: ${kind.missing})`

  test.skipIf(kind.missing)(`sessions that are asked for at once are those asked for${note}`, async () => {
    const store = await filled(kind, Object.fromEntries(ids.map((id) => [id, sessionOf(id)])))
    const sessions = legacyStore(store)
    const asked = [...ids, 'nobody', '__proto__', ...ids]
    const found = await Promise.all(asked.map(async (id) => (await sessions.load(id as SessionId))?.data))
    const expected = (id: string) => JSON.stringify({ name: id, cart: { items: [id] } })
    expect(found.map((text) => text && JSON.parse(text))).toEqual(
      asked.map((id) => (ids.includes(id) ? JSON.parse(expected(id)) : undefined)),
    )
  })
})

describe.each([...theirs, ...dropIns].filter(({ name }) => name.includes('connect-')))('$name', (kind) => {
  const note = kind.missing === undefined ? '' : ` (SKIPPED: ${kind.missing})`

  test.skipIf(kind.missing)(`one that has expired is not among them${note}`, async () => {
    const store = await filled(kind, {
      live: sessionOf('live', new Date(Date.now() + 60_000)),
      short: sessionOf('short', new Date(Date.now() - 5000)),
    })
    const sessions = legacyStore(store)
    const found = await Promise.all(['live', 'short'].map((id) => sessions.load(id as SessionId)))
    expect(found.map((record) => record !== undefined)).toEqual([true, false])
  })

  test.skipIf(kind.missing)(`two requests that load the same session at once have a session each${note}`, async () => {
    const store = await filled(kind, { one: sessionOf('one'), two: sessionOf('two') })
    const middleware = session({ secret: 's', resave: false, saveUninitialized: false, store })
    const requests = await Promise.all(['one', 'one', 'two'].map((sid) => opened(middleware, sid)))
    const [first, second] = requests.map((req) => req.session)
    first.cart.items.push('changed')
    expect(second.cart.items).toEqual(['one'])
  })
})

/** A request that has passed the middleware with this session. */
async function opened(middleware: Anything, sid: string): Promise<Anything> {
  const signature = createHmac('sha256', 's').update(sid).digest('base64').replace(/=+$/, '')
  const cookie = `connect.sid=${encodeURIComponent(`s:${sid}.${signature}`)}`
  const req = Object.assign(new IncomingMessage(null as never), { url: '/', method: 'GET', headers: { cookie } })
  const error = await new Promise((resolve) => middleware(req, new ServerResponse(req), resolve))
  if (error) throw error
  return req
}
