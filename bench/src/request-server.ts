/**
 * One server under load, in a process of its own: `request-server.ts <variant>`. Every variant answers the same
 * `GET /` with the name of the user; what differs is how it knows. The parent asks for the CPU time used so far.
 */
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import express, { type Express } from 'express'
import expressSession from 'express-session'
import { Cookies, sealedCookie, signedCookie } from 'gatepass/cookie'
import { gatepass as expressGatepass } from 'gatepass/express'
import { gatepass as nodeGatepass } from 'gatepass/node'
import type { SessionStore } from 'gatepass/session'
import { memoryStore } from 'gatepass/stores/memory'
import { sqliteStore } from 'gatepass/stores/sqlite'
import { local } from 'gatepass/strategies/local'
import passport from 'passport'
import { Strategy as LocalStrategy } from 'passport-local'

interface User {
  readonly id: string
  readonly name: string
}

const secret = 'a-secret-of-the-bench-with-enough-length'
const byId = new Map<string, User>(
  Array.from({ length: 200 }, (_, n) => [String(n), { id: String(n), name: `user ${n}` }]),
)
const users = { find: (id: string) => byId.get(id), subject: (user: User) => user.id }
const strategies = [local<User>({ verify: (name: string) => byId.get(name) })]

function bare(): RequestListener {
  return (_req, res) => send(res, 'user 0')
}

function send(res: ServerResponse, name: string): void {
  res.setHeader('Content-Type', 'application/json; charset=utf-8')
  res.end(JSON.stringify({ name }))
}

function ours(store: SessionStore): RequestListener {
  const auth = nodeGatepass({ sessions: { store }, users, strategies })
  const logIn = async (req: IncomingMessage, res: ServerResponse): Promise<void> => {
    const verdict = await auth.authenticate(req, 'local')
    if (verdict.type === 'success') await auth.login(req, verdict)
    send(res, verdict.type)
  }
  return auth.handler((req, res) => (req.method === 'POST' ? logIn(req, res) : send(res, req.user?.name ?? 'nobody')))
}

/** The user's name kept in the browser, under a seal or a signature. */
function inCookie(kind: 'sealed' | 'signed'): RequestListener {
  const cookie = kind === 'sealed' ? sealedCookie<{ id: string }>('user', { keys: [secret], maxAge: 3600 }) : undefined
  const signed = signedCookie('user', { keys: [secret] })
  return (req: IncomingMessage, res) => {
    const cookies = new Cookies(req.headers.cookie)
    if (req.method === 'POST') {
      if (cookie !== undefined) cookies.set(cookie, { id: '7' })
      else cookies.set(signed, '7')
      res.setHeader('Set-Cookie', cookies.setCookieFields())
      return send(res, 'success')
    }
    const id = cookie === undefined ? cookies.get(signed) : cookies.get(cookie)?.id
    return send(res, (id === undefined ? undefined : byId.get(id)?.name) ?? 'nobody')
  }
}

function bareExpress(): Express {
  const app = express()
  app.get('/', (_req, res) => void res.json({ name: 'user 0' }))
  app.get('/public', (_req, res) => void res.json({ name: 'nobody' }))
  return app
}

function oursExpress(store: SessionStore): Express {
  const auth = expressGatepass({ sessions: { store }, users, strategies })
  const app = express()
  app.use(auth)
  app.post('/', auth.login('local'), (_req, res) => void res.json({ name: 'success' }))
  app.get('/', (req, res) => void res.json({ name: (req.user as User | undefined)?.name ?? 'nobody' }))
  app.get('/public', (_req, res) => void res.json({ name: 'nobody' }))
  return app
}

function peerExpress(): Express {
  passport.use(new LocalStrategy((name, _password, done) => done(null, byId.get(name) ?? false)))
  passport.serializeUser((user, done) => done(null, (user as User).id))
  passport.deserializeUser((id: string, done) => done(null, byId.get(id)))
  const app = express()
  app.use(expressSession({ secret, resave: false, saveUninitialized: false }))
  app.use(passport.session())
  app.post('/', express.urlencoded({ extended: false }), passport.authenticate('local'), (_req, res) => {
    res.json({ name: 'success' })
  })
  app.get('/', (req, res) => void res.json({ name: (req.user as User | undefined)?.name ?? 'nobody' }))
  app.get('/public', (_req, res) => void res.json({ name: 'nobody' }))
  return app
}

const variants: Record<string, () => RequestListener> = {
  'node bare': bare,
  'node memory': () => ours(memoryStore()),
  'node sqlite': () => ours(sqliteStore(process.argv[3] ?? ':memory:')),
  'node sealed cookie': () => inCookie('sealed'),
  'node signed cookie': () => inCookie('signed'),
  'express bare': bareExpress,
  'express memory': () => oursExpress(memoryStore()),
  'express sqlite': () => oursExpress(sqliteStore(process.argv[3] ?? ':memory:')),
  'express-session + passport memory': peerExpress,
}

const make = variants[process.argv[2] ?? '']
if (make === undefined) throw new Error(`Variants: ${Object.keys(variants).join(', ')}`)
const server = createServer(make()).listen(0, '127.0.0.1', () => {
  process.send?.({ port: (server.address() as AddressInfo).port })
})
process.on('message', () => {
  const { user, system } = process.cpuUsage()
  process.send?.({ cpu: user + system })
})
process.on('disconnect', () => process.exit(0))
