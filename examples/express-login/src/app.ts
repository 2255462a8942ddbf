// Register, log in, see who you are, log out: Express, passwords under argon2id, sessions in one SQLite file.
import { randomUUID } from 'node:crypto'
import express, { type Express, type Response } from 'express'
import { gatepass } from 'gatepass/express'
import { passwords } from 'gatepass/password'
import { type SqliteStore, sqliteStore } from 'gatepass/stores/sqlite'
import { local } from 'gatepass/strategies/local'

interface Account {
  readonly id: string
  readonly name: string
  hash: string
  readonly passwordChangedAt: number
}

// The types of `req.session.data` and `req.user`, for the whole application.
declare module 'gatepass/express' {
  interface Register {
    session: { visits: number }
    user: Account
  }
}

/** The application, with its own session file. The accounts are kept in memory: replace them with your database. */
export function createApp(file: string): { app: Express; store: SqliteStore } {
  const accounts = new Map<string, Account>()
  const byName = (name: string) => [...accounts.values()].find((account) => account.name === name)
  const store = sqliteStore(file)
  const secrets = passwords({ contextWords: ['example'] })

  const auth = gatepass({
    sessions: { store },
    users: {
      find: (id) => accounts.get(id),
      synchronous: true,
      subject: (user) => user.id,
      stamp: (user) => String(user.passwordChangedAt),
    },
    strategies: [
      local({
        passwords: secrets,
        find: (name) => {
          const user = byName(name)
          return user && { user, hash: user.hash }
        },
        rehash: (user, { from, to }) => {
          if (user.hash === from) user.hash = to
        },
      }),
    ],
  })

  const app = express()
  app.use(auth)
  app.use(express.urlencoded({ extended: false, limit: '16kb' }))

  app.get('/', auth.requireLogin({ login: '/login' }), (req, res) => {
    const { data } = req.session
    data.visits = (data.visits ?? 0) + 1
    const visits = `<p>Visit ${data.visits} of this session.</p>`
    page(res, `Hello ${escaped(req.user?.name ?? '')}`, `${visits}${form('/logout', 'Log out')}`)
  })

  app.get('/login', (req, res) => {
    const refused = req.query.failure === undefined ? '' : '<p role="alert">That did not match. Try again.</p>'
    const link = '<p><a href="/register">Register</a></p>'
    page(res, 'Log in', `${refused}${form('/login', 'Log in', 'current-password')}${link}`)
  })
  app.post('/login', auth.login('local', { success: '/', failure: '/login', next: 'next' }))
  app.post('/logout', auth.logout({ success: '/login' }))

  app.get('/register', (_req, res) => registerPage(res))
  app.post('/register', auth.requireSameOrigin(), async (req, res) => {
    const { username, password } = req.body as { username?: unknown; password?: unknown }
    if (typeof username !== 'string' || typeof password !== 'string' || username === '' || byName(username)) {
      return registerPage(res, 'Choose another name.')
    }
    const problem = await secrets.check(password, [username])
    if (problem !== undefined) return registerPage(res, problem.message)
    const hash = await secrets.hash(password)
    // Another request may have taken the name meanwhile. In a database a unique key reports that.
    if (byName(username)) return registerPage(res, 'Choose another name.')
    const account = { id: randomUUID(), name: username, hash, passwordChangedAt: Date.now() }
    accounts.set(account.id, account)
    await req.login(account, { amr: ['pwd'] })
    res.redirect(303, '/')
  })

  return { app, store }
}

function registerPage(res: Response, problem?: string): void {
  const alert = problem === undefined ? '' : `<p role="alert">${escaped(problem)}</p>`
  if (problem !== undefined) res.status(400)
  page(res, 'Register', `${alert}${form('/register', 'Register', 'new-password')}`)
}

function page(res: Response, title: string, body: string): void {
  res.send(`<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${title}</title><main><h1>${title}</h1>${body}</main></html>`)
}

function form(action: string, button: string, password?: 'current-password' | 'new-password'): string {
  const fields =
    password === undefined
      ? ''
      : `<p><label>Name <input name="username" autocomplete="username" required></label></p>
<p><label>Password <input name="password" type="password" autocomplete="${password}" required></label></p>`
  return `<form method="post" action="${action}">${fields}<button>${button}</button></form>`
}

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}
