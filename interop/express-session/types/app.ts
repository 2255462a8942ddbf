// Compiled, never run: an application that was written against @types/express-session, with nothing but the import changed.
import express from 'express'
import session, { MemoryStore, Store } from 'gatepass/compat/express-session'

declare module 'express-session' {
  interface SessionData {
    views: number
    user?: { id: string }
  }
}

class OwnStore extends Store {
  get(_sid: string, callback: (error: unknown, session?: session.SessionData | null) => void): void {
    callback(null)
  }
  set(_sid: string, _session: session.SessionData, callback?: (error?: unknown) => void): void {
    callback?.()
  }
  destroy(_sid: string, callback?: (error?: unknown) => void): void {
    callback?.()
  }
}

const options: session.SessionOptions = { secret: 'x', resave: false, saveUninitialized: false, store: new OwnStore() }
const app = express()
app.use(session({ ...options, cookie: { maxAge: 60_000, sameSite: 'lax', secure: 'auto' } }))
app.use(session({ ...options, cookie: (req) => ({ path: req.url }), store: new MemoryStore() }))
app.get('/', async (req, res) => {
  req.session.views = (req.session.views ?? 0) + 1
  // @ts-expect-error: a number
  req.session.views = 'one'
  const id: string | undefined = req.session.user?.id
  req.session.cookie.maxAge = 60_000
  req.session.touch().save((error) => {
    if (error) throw error
  })
  req.session.regenerate(() => res.json([id, req.sessionID, req.session.id]))
  req.sessionStore.get(req.sessionID, (_error, found) => res.json(found))
  await req.session.save()
  await req.session.regenerate()
  await req.session.reload()
  await req.session.destroy()
})
