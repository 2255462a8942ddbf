import { createServer, type RequestListener, Server } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import express from 'express'
import { fromPassport, type LegacyStrategy } from 'gatepass/compat/legacy-strategy'
import drop from 'gatepass/compat/passport'
import { gatepass } from 'gatepass/express'
import { memoryStore } from 'gatepass/stores/memory'
import { TestBrowser } from 'gatepass/testing'
import { onTestFinished } from 'vitest'

/** For packages without types. */
export const require: NodeJS.Require = createRequire(import.meta.url)
const session = require('express-session')
const original = require('passport')

export interface Person {
  readonly id: string
  readonly [detail: string]: unknown
}

/** What a strategy is made of: where its callback is, and what its verify function tells us. */
export type MakeStrategy = (site: {
  readonly origin: string
  readonly known: (person: Person) => Person
}) => LegacyStrategy | Promise<LegacyStrategy>

export interface SiteOptions {
  /** Options of `authenticate`. */
  readonly authenticate?: Record<string, unknown>
  /** Whose pages post to us: an identity provider of SAML. */
  readonly trustedOrigins?: readonly string[]
}

/** An application with one strategy: `/login` begins and ends a login, `/api` is let in by each request's own credentials. */
export type Host = (make: MakeStrategy, options?: SiteOptions) => Promise<TestBrowser>

/** The same application on Passport itself, on the drop-in, and with the strategy inside `gatepass()`. */
export const hosts: readonly (readonly [name: string, host: Host])[] = [
  ['passport 0.7', (make, options) => onPassport(new original.Passport(), make, options)],
  ['gatepass/compat/passport', (make, options) => onPassport(new drop.Passport(), make, options)],
  ['fromPassport in gatepass/express', native],
]

async function onPassport(
  passport: InstanceType<typeof drop.Passport>,
  make: MakeStrategy,
  { authenticate = {} }: SiteOptions = {},
): Promise<TestBrowser> {
  const people = new Map<string, Person>()
  passport.serializeUser((user, done) => done(null, (user as Person).id))
  passport.deserializeUser((id: string, done) => done(null, people.get(id) ?? false))
  const app = express()
  app.use(session({ secret: 'a secret of at least thirty-two characters', resave: false, saveUninitialized: false }))
  app.use(express.urlencoded(), express.json())
  app.use(passport.session())
  const origin = await listen(app)
  const strategy = await make({ origin, known: (person) => remember(people, person) })
  passport.use('it', strategy)
  app.all('/login', passport.authenticate('it', authenticate), (req, res) => void res.json(req.user))
  app.all(
    '/api',
    passport.authenticate('it', { ...authenticate, session: false }),
    (req, res) => void res.json(req.user),
  )
  app.get('/me', (req, res) => void res.json(req.user ?? null))
  app.use(answerError)
  return new TestBrowser(origin)
}

async function native(
  make: MakeStrategy,
  { authenticate, trustedOrigins = [] }: SiteOptions = {},
): Promise<TestBrowser> {
  const people = new Map<string, Person>()
  const app = express()
  const origin = await listen(app)
  const strategy = await make({ origin, known: (person) => remember(people, person) })
  const auth = gatepass({
    sessions: { store: memoryStore() },
    users: { find: (id: string) => people.get(id), subject: (user) => user.id, synchronous: true },
    strategies: [fromPassport(strategy, { name: 'it' })],
    trustedOrigins,
  })
  app.use(auth)
  app.all('/login', auth.login('it', authenticate && { strategy: authenticate }), (req, res) => void res.json(req.user))
  app.all('/api', auth.authenticate('it', authenticate), (req, res) => void res.json(req.user))
  app.get('/me', (req, res) => void res.json(req.user ?? null))
  app.use(answerError)
  return new TestBrowser(origin)
}

function remember(people: Map<string, Person>, person: Person): Person {
  people.set(person.id, person)
  return person
}

function answerError(error: Error & { status?: number }, _req: unknown, res: express.Response, _next: unknown): void {
  res.status(error.status ?? 500).json({ error: error.message })
}

/** Serves until the test ends. */
export async function listen(app: RequestListener | Server): Promise<string> {
  const server = (app instanceof Server ? app : createServer(app)).listen(0, '127.0.0.1')
  onTestFinished(() => void server.close())
  await new Promise((resolve) => server.once('listening', resolve))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}
