import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import express from 'express'
import { type ExpressGatepass, gatepass } from 'gatepass/express'
import type { EndedLogin, Strategy } from 'gatepass/passport'
import { memoryStore } from 'gatepass/stores/memory'
import type { Identity } from 'gatepass/strategies/apple'
import type { AccountRequest } from 'gatepass/strategies/oidc'
import { TestBrowser } from 'gatepass/testing'

export interface Account {
  readonly id: string
  readonly name: string
}

/** Accounts by identity: the least that an application keeps. */
export class Accounts {
  readonly byId: Map<string, Account> = new Map()
  readonly byIdentity: Map<string, string> = new Map()
  readonly seen: { identity: Identity; request: AccountRequest }[] = []

  /** What happens between being asked and writing. */
  beforeWriting: (request: AccountRequest) => Promise<unknown> = async () => {}

  find: (identity: Identity, request: AccountRequest) => Promise<Account | undefined> = async (identity, request) => {
    this.seen.push({ identity, request })
    await this.beforeWriting(request)
    const key = JSON.stringify([identity.issuer, identity.subject])
    const owner = this.byIdentity.get(key)
    const { subject = owner ?? `user-${this.byId.size + 1}` } = request
    if (owner !== undefined && owner !== subject) return undefined
    this.byIdentity.set(key, subject)
    const account = this.byId.get(subject) ?? { id: subject, name: identity.name ?? '' }
    this.byId.set(subject, account)
    return account
  }
}

export interface Site extends AsyncDisposable {
  readonly origin: string
  readonly auth: ExpressGatepass<Account, string>
  browser(): TestBrowser
}

/** An Express application that people log in to by each strategy at /auth/<name>, and link at /link/<name>. */
export async function site(strategies: readonly Strategy<Account, string>[], accounts: Accounts): Promise<Site> {
  const app = express()
  const server = await new Promise<Server>((resolve) => {
    const listening = app.listen(0, '127.0.0.1', () => resolve(listening))
  })
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const auth = gatepass<Account, string>({
    sessions: { store: memoryStore() },
    users: { find: (id) => accounts.byId.get(id), subject: (user) => user.id },
    strategies,
    origin,
  })
  app.use(auth)
  for (const { name } of strategies) {
    app.get(`/auth/${name}`, auth.login(name, { failure: '/login', next: 'next' }))
    app.get(`/step-up/${name}`, auth.login(name, { strategy: { maxAge: 0, acrValues: ['urn:test:strong'] } }))
    app.all(`/auth/${name}/callback`, auth.login(name, { success: '/', failure: '/login' }))
    app.post(`/link/${name}`, auth.link(name, { success: '/account' }))
    const subject = ({ issuer, subject }: EndedLogin) => accounts.byIdentity.get(JSON.stringify([issuer, subject]))
    app.post(`/ended/${name}`, auth.backChannelLogout(name, { subject }))
  }
  app.post('/logout', auth.logout({ success: '/', atProvider: true }))
  app.get(['/', '/account', '/login', '/deep'], (req, res) => {
    res.json({ at: req.originalUrl, user: req.user ?? null, login: req.session.login ?? null })
  })
  return {
    origin,
    auth,
    browser: () => new TestBrowser(origin),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
