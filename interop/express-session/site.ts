import { createServer, type RequestListener } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import dropIn from 'gatepass/compat/express-session'
import { TestBrowser } from 'gatepass/testing'
import { onTestFinished } from 'vitest'

/** For packages without types. */
export const require: NodeJS.Require = createRequire(import.meta.url)

// biome-ignore lint/suspicious/noExplicitAny: express-session and its stores are used as their users do, in JavaScript
export type Anything = any

/** express-session, or the drop-in for it. */
export type Session = Anything
export const original: Session = require('express-session')
export const implementations: readonly (readonly [name: string, session: Session])[] = [
  ['express-session', original],
  ['gatepass/compat/express-session', dropIn],
]

export const express: Anything = require('express')
export const express4: Anything = require('express4')

export const secret = 'a secret of at least thirty-two characters'

/** Serves until the test ends. */
export async function listen(app: RequestListener): Promise<string> {
  const server = createServer(app).listen(0, '127.0.0.1')
  onTestFinished(() => {
    server.close()
    server.closeAllConnections()
  })
  await new Promise((resolve) => server.once('listening', resolve))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/**
 * A usual application: a login under a new id, in Passport's form, a cart, a logout, and paths that show its state.
 *
 * @param options of the middleware, and `pause`, which a slow request waits for
 */
export function application(framework: Anything, session: Session, options: Anything): RequestListener {
  const { pause = () => undefined, ...settings } = options
  const app = framework()
  app.use(session({ secret, resave: false, saveUninitialized: false, ...settings }))
  app.get('/', (req: Anything, res: Anything) => {
    const { cookie, ...data } = req.session ?? {}
    res.json({ data, age: cookie?.originalMaxAge ?? null, keys: Object.keys(req.session ?? {}).sort() })
  })
  app.get('/ignore', (_req: Anything, res: Anything) => res.send('hello'))
  app.post('/login/:user', (req: Anything, res: Anything, next: Anything) => {
    req.session.regenerate((error: unknown) => {
      if (error) return next(error)
      req.session.passport = { user: req.params.user }
      return req.session.save((failed: unknown) => (failed ? next(failed) : res.redirect('/')))
    })
  })
  app.post('/logout', (req: Anything, res: Anything, next: Anything) => {
    req.session.destroy((error: unknown) => (error ? next(error) : res.redirect('/')))
  })
  app.post('/put/:key/:value', (req: Anything, res: Anything) => {
    req.session[req.params.key] = req.params.value
    res.status(201).json(req.session[req.params.key])
  })
  app.post('/slowly/:key/:value', async (req: Anything, res: Anything) => {
    const { key, value } = req.params
    await pause()
    req.session[key] = value
    res.end()
  })
  app.post('/remove/:key', (req: Anything, res: Anything) => {
    delete req.session[req.params.key]
    res.end()
  })
  app.post('/remember', (req: Anything, res: Anything) => {
    req.session.cookie.maxAge = 3_600_000
    req.session.remembered = true
    res.end()
  })
  app.post('/lengthen', (req: Anything, res: Anything) => {
    req.session.cookie.maxAge = 7_200_000
    res.send('longer')
  })
  app.post('/unset', (req: Anything, res: Anything) => {
    req.session = null
    res.end('unset')
  })
  app.post('/stream', (req: Anything, res: Anything) => {
    req.session.streamed = 1
    res.setHeader('Content-Length', 9)
    res.write('half')
    res.end('whole')
  })
  app.post('/reload', (req: Anything, res: Anything) => {
    req.session.dropped = true
    req.session.reload((error: Error | undefined) => res.send(error?.message ?? Object.keys(req.session)))
  })
  app.post('/error', (req: Anything) => {
    req.session.kept = 'although it failed'
    throw Object.assign(new Error('I am a teapot'), { status: 418 })
  })
  app.use((error: Anything, _req: Anything, res: Anything, _next: Anything) =>
    res.status(error.status ?? 500).json({ error: error.message }),
  )
  return app
}

export async function site(framework: Anything, session: Session, options: Anything): Promise<TestBrowser> {
  return new TestBrowser(await listen(application(framework, session, options)))
}
