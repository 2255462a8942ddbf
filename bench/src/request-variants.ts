/** The servers under load: listeners for requests, by the name of the variant. */
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { createRequire } from 'node:module'
import { text } from 'node:stream/consumers'
import cookieSessionPeer from 'cookie-session'
import express, { type Express } from 'express'
import expressSession, { type Store as PeerStore } from 'express-session'
import fastify, { type FastifyInstance, type FastifyPluginCallback } from 'fastify'
import { Cookies, sealedCookie, signedCookie } from 'gatepass/cookie'
import { gatepass as expressGatepass } from 'gatepass/express'
import { gatepass as fastifyGatepass } from 'gatepass/fastify'
import { gatepass as nodeGatepass } from 'gatepass/node'
import type { SessionStore } from 'gatepass/session'
import { local } from 'gatepass/strategies/local'
import { getIronSession } from 'iron-session'
import passport from 'passport'
import { Strategy as LocalStrategy } from 'passport-local'
import {
  type Engines,
  ownStoreNames,
  ownStoreOf,
  peerStoreNames,
  peerStoreOf,
  storeNames,
  storeOf,
} from './request-stores.ts'

export type MakeListener = (engines: Engines) => RequestListener | Promise<RequestListener>

interface User {
  readonly id: string
  readonly name: string
}

const secret = 'a-secret-of-the-bench-with-enough-length'
const byId = new Map<string, User>(
  Array.from({ length: 200 }, (_, n) => [String(n), { id: String(n), name: `user ${n}` }]),
)
const users = { find: (id: string) => byId.get(id), subject: (user: User) => user.id, synchronous: true }
// Longer than a round, as most requests of a browser come within it. Touches have rows of their own.
const touchInterval = 3600
const strategies = [local<User>({ verify: (name: string) => byId.get(name) })]

export const variants: Readonly<Record<string, MakeListener>> = {
  'node bare': () => (_req, res) => send(res, 'user 0'),
  'node sealed cookie': sealed,
  'node signed cookie': signed,
  'iron-session': ironSession,
  'cookie-session': cookieSession,
  'express bare': bareExpress,
  'fastify bare': () => listenerOf(bareFastify()),
  ...withStores('node', storeNames, async (name, engines) => oursNode(await storeOf(name, engines))),
  ...withStores('express', storeNames, async (name, engines) => oursExpress(await storeOf(name, engines))),
  ...withStores('fastify', storeNames, async (name, engines) => listenerOf(oursFastify(await storeOf(name, engines)))),
  ...withStores('express-session', peerStoreNames, async (name, engines) => {
    return peerExpress(await peerStoreOf(name, engines))
  }),
  ...withStores('drop-ins', peerStoreNames, async (name, engines) => {
    return peerExpress(await peerStoreOf(name, engines), await dropIns())
  }),
  ...withStores('drop-ins', ownStoreNames, async (name, engines) => {
    return peerExpress(await ownStoreOf(name, engines), await dropIns())
  }),
  ...withStores('@fastify/session', peerStoreNames, async (name, engines) => {
    return listenerOf(peerFastify(await peerStoreOf(name, engines)))
  }),
}

/** A variant for each store. */
function withStores<Name extends string>(
  framework: string,
  names: readonly Name[],
  make: (name: Name, engines: Engines) => Promise<RequestListener>,
): Record<string, MakeListener> {
  return Object.fromEntries(names.map((name) => [`${framework} ${name}`, (engines: Engines) => make(name, engines)]))
}

function send(res: ServerResponse, name: string): void {
  res.setHeader('Content-Type', 'application/json; charset=utf-8')
  res.end(JSON.stringify({ name }))
}

function oursNode(store: SessionStore): RequestListener {
  const auth = nodeGatepass({ sessions: { store, touchInterval }, users, strategies })
  const logIn = async (req: IncomingMessage, res: ServerResponse): Promise<void> => {
    const verdict = await auth.authenticate(req, 'local')
    if (verdict.type === 'success') await auth.login(req, verdict)
    send(res, verdict.type)
  }
  return auth.handler((req, res) => (req.method === 'POST' ? logIn(req, res) : send(res, req.user?.name ?? 'nobody')))
}

function sealed(): RequestListener {
  const cookie = sealedCookie<{ id: string }>('user', { keys: [secret], maxAge: 3600 })
  return inCookie(
    (cookies) => cookies.get(cookie)?.id,
    (cookies, id) => cookies.set(cookie, { id }),
  )
}

function signed(): RequestListener {
  const cookie = signedCookie('user', { keys: [secret] })
  return inCookie(
    (cookies) => cookies.get(cookie),
    (cookies, id) => cookies.set(cookie, id),
  )
}

/** Keeps the user's id in the browser. */
function inCookie(
  get: (cookies: Cookies) => string | undefined,
  set: (cookies: Cookies, id: string) => void,
): RequestListener {
  const logIn = async (req: IncomingMessage, res: ServerResponse): Promise<void> => {
    const cookies = new Cookies(req.headers.cookie)
    set(cookies, await usernameIn(req))
    res.setHeader('Set-Cookie', cookies.setCookieFields())
    send(res, 'success')
  }
  return (req, res) => (req.method === 'POST' ? logIn(req, res) : sendUser(res, get(new Cookies(req.headers.cookie))))
}

function ironSession(): RequestListener {
  const options = { password: secret, cookieName: 'user', ttl: 3600, cookieOptions: { secure: false } }
  return async (req, res) => {
    const session = await getIronSession<{ id: string }>(req, res, options)
    if (req.method !== 'POST') return sendUser(res, session.id)
    session.id = await usernameIn(req)
    await session.save()
    send(res, 'success')
  }
}

function cookieSession(): RequestListener {
  const middleware = cookieSessionPeer({ name: 'user', keys: [secret] })
  return (req, res) =>
    middleware(req, res, async () => {
      const { session } = req as unknown as { session: { id?: string } }
      if (req.method !== 'POST') return sendUser(res, session.id)
      session.id = await usernameIn(req)
      send(res, 'success')
    })
}

async function usernameIn(req: IncomingMessage): Promise<string> {
  return new URLSearchParams(await text(req)).get('username') ?? ''
}

function sendUser(res: ServerResponse, id: string | undefined): void {
  send(res, byId.get(id ?? '')?.name ?? 'nobody')
}

function bareExpress(): Express {
  const app = express()
  app.get('/', (_req, res) => void res.json({ name: 'user 0' }))
  app.get('/public', (_req, res) => void res.json({ name: 'nobody' }))
  return app
}

function oursExpress(store: SessionStore): Express {
  const auth = expressGatepass({ sessions: { store, touchInterval }, users, strategies })
  const app = express()
  app.use(auth)
  app.post('/', auth.login('local'), (_req, res) => void res.json({ name: 'success' }))
  app.get('/', (req, res) => void res.json({ name: (req.user as User | undefined)?.name ?? 'nobody' }))
  app.get('/public', (_req, res) => void res.json({ name: 'nobody' }))
  return app
}

/** The imports of an application on express-session and Passport: the packages, or the drop-ins for them. */
interface PeerImports {
  readonly expressSession: typeof expressSession
  readonly passport: typeof passport
}

/** Their types would merge with those of `gatepass/express`. */
async function dropIns(): Promise<PeerImports> {
  const of = async <T>(name: string) => ((await import(`gatepass/compat/${name}`)) as { default: T }).default
  return { expressSession: await of('express-session'), passport: await of('passport') }
}

function peerExpress(
  store: PeerStore | undefined,
  { expressSession: session, passport: authenticator }: PeerImports = { expressSession, passport },
): Express {
  authenticator.use(new LocalStrategy((name, _password, done) => done(null, byId.get(name) ?? false)))
  authenticator.serializeUser((user, done) => done(null, (user as User).id))
  authenticator.deserializeUser((id: string, done) => done(null, byId.get(id)))
  const app = express()
  const options = { secret, resave: false, saveUninitialized: false }
  app.use(session(store === undefined ? options : { ...options, store }))
  app.use(authenticator.session())
  app.post('/', express.urlencoded({ extended: false }), authenticator.authenticate('local'), (_req, res) => {
    res.json({ name: 'success' })
  })
  app.get('/', (req, res) => void res.json({ name: (req.user as User | undefined)?.name ?? 'nobody' }))
  app.get('/public', (_req, res) => void res.json({ name: 'nobody' }))
  return app
}

async function listenerOf(app: FastifyInstance): Promise<RequestListener> {
  await app.ready()
  return (req, res) => app.routing(req, res)
}

function bareFastify(): FastifyInstance {
  const app = fastify()
  app.get('/', () => ({ name: 'user 0' }))
  app.get('/public', () => ({ name: 'nobody' }))
  return app
}

function oursFastify(store: SessionStore): FastifyInstance {
  const auth = fastifyGatepass({ sessions: { store, touchInterval }, users, strategies })
  const app = fastify()
  app.register(auth)
  app.post('/', async (request) => {
    const verdict = await auth.passport.authenticate(auth.exchange(request), 'local')
    if (verdict.type === 'success') await request.login(verdict.user)
    return { name: verdict.type }
  })
  app.get('/', (request) => ({ name: (request.user as User | undefined)?.name ?? 'nobody' }))
  app.get('/public', () => ({ name: 'nobody' }))
  return app
}

/** Without @fastify/passport, which would cost more. */
function peerFastify(store: PeerStore | undefined): FastifyInstance {
  const app = fastify()
  app.register(fastifyPlugin('@fastify/cookie'))
  const options = { secret, cookie: { secure: false }, saveUninitialized: false }
  app.register(fastifyPlugin('@fastify/session'), store === undefined ? options : { ...options, store })
  const form = async (_request: unknown, body: string) => new URLSearchParams(body)
  app.addContentTypeParser('application/x-www-form-urlencoded', { parseAs: 'string' }, form)
  const sessionOf = (request: object) => (request as { session: { userId?: string } }).session
  app.post<{ Body: URLSearchParams }>('/', (request) => {
    sessionOf(request).userId = request.body.get('username') ?? ''
    return { name: 'success' }
  })
  app.get('/', (request) => ({ name: byId.get(sessionOf(request).userId ?? '')?.name ?? 'nobody' }))
  app.get('/public', () => ({ name: 'nobody' }))
  return app
}

/** Its types would merge with those of `gatepass/fastify`. */
function fastifyPlugin(name: '@fastify/cookie' | '@fastify/session'): FastifyPluginCallback<Record<string, unknown>> {
  return createRequire(import.meta.url)(name) as FastifyPluginCallback<Record<string, unknown>>
}
