// Compiled by `npm run check:types`, never run: what must and what must not compile.
import expressApplication from 'express'
import { gatepass as express } from 'gatepass/express'
import { gatepass as node } from 'gatepass/node'
import { type Exchange, type Failure, Passport, type Strategy } from 'gatepass/passport'
import type { SessionStore } from 'gatepass/session'
import { google } from 'gatepass/strategies/google'
import { local } from 'gatepass/strategies/local'
import { oidc } from 'gatepass/strategies/oidc'

interface Account {
  id: string
  name: string
}
declare const accounts: { byId(id: string): Account | undefined }
declare const github: Strategy<Account, 'github'>
declare const stranger: Strategy<{ serial: number }, 'stranger'>
declare const exchange: Exchange
declare const store: SessionStore

const users = { find: (id: string) => accounts.byId(id), subject: (user: Account) => user.id }

// User is inferred from what `find` finds, and strategy names are a union of literals.
const passport = new Passport({
  users: { find: (id) => accounts.byId(id), subject: (user) => user.id },
  strategies: [github, local({ verify: (name) => accounts.byId(name) })],
})
export async function verdicts(): Promise<string | undefined> {
  const verdict = await passport.authenticate(exchange, 'github')
  await passport.authenticate(exchange, ['github', 'local'])
  // @ts-expect-error there is no strategy of this name
  await passport.authenticate(exchange, 'githbu')
  switch (verdict.type) {
    case 'success':
      return verdict.user.name
    case 'redirect':
      return verdict.location
    case 'respond':
      return verdict.reply.body
    case 'rejection':
      return verdict.failures[0]?.message
  }
}

// A strategy must give the users that `find` finds.
new Passport({
  users,
  // @ts-expect-error `stranger` gives other users
  strategies: [stranger],
})

// `find` may answer later, and may answer null, or false as `&&` does.
new Passport({ users: { find: async (id) => accounts.byId(id) ?? null, subject: (user) => user.name }, strategies: [] })
new Passport({ users: { find: (id) => id !== '' && accounts.byId(id), subject: (user) => user.name }, strategies: [] })

const auth = express({ sessions: { store }, users, strategies: [github] })
auth.login('github', { success: '/' })
// @ts-expect-error there is no strategy of this name
auth.login('local')
// @ts-expect-error maxAge is a number of seconds
auth.requireLogin({ maxAge: '10 minutes' })

const plain = node({ sessions: { store }, users })
plain.handler((req, res) => {
  const name: string | undefined = req.user?.name
  // @ts-expect-error users have no such member
  const serial: number | undefined = req.user?.serial
  req.session.rotate()
  res.end(`${name} ${serial}`)
})

// Strategies of providers are checked against what `find` finds, like all others.
const registered = { clientId: 'shop', clientSecret: 'secret', callback: '/callback' }
const withProviders = express({
  sessions: { store },
  users,
  strategies: [
    google({ ...registered, account: ({ subject }) => accounts.byId(subject) }),
    oidc({
      ...registered,
      name: 'acme',
      issuer: 'https://acme.example',
      account: async ({ subject }) => accounts.byId(subject),
    }),
  ],
})
// A refusal that is declared as one is no user.
const closed: Failure = { type: 'failure', reason: 'denied', message: 'Nobody new is let in.' }
express({
  sessions: { store },
  users,
  strategies: [
    local({ verify: (name) => accounts.byId(name) ?? closed }),
    google({ ...registered, account: ({ subject }) => accounts.byId(subject) ?? closed }),
  ],
})
withProviders.login(['google', 'acme'])
withProviders.link('acme', { success: '/account' })
// @ts-expect-error there is no strategy of this name
withProviders.link('github', { success: '/account' })
express({
  sessions: { store },
  users,
  // @ts-expect-error the account is none of those that `find` finds
  strategies: [google({ ...registered, account: () => ({ serial: 7 }) })],
})

// What makes handlers is none: registered without () it would answer nothing.
const application = expressApplication()
// @ts-expect-error requireLogin() makes the guard
application.use(auth.requireLogin)
// @ts-expect-error logout() makes the handler
application.post('/logout', auth.logout)
// @ts-expect-error requireSameOrigin() makes the guard
application.post('/form', auth.requireSameOrigin)
// @ts-expect-error it is to be called in a handler, and calls no `next`
application.post('/form', plain.requireSameOrigin)
// @ts-expect-error it is to be called in a handler, and calls no `next`
application.post('/logout', plain.logout)
application.post('/all', auth.requireLogin(), auth.requireSameOrigin(), auth.logout())

// A user is an object.
// @ts-expect-error `verify` says whether the password is right, and not who that is
local({ verify: async (name: string, password: string) => name === password })
// @ts-expect-error a name is not a user
local({ verify: (name: string) => name })
// @ts-expect-error the subject is not a user
express({ sessions: { store }, users: { find: (id: string) => id, subject: (id) => id } })
