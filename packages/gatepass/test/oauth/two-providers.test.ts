/** What may not pass from one provider to another, in an application that has two. */
import { once } from 'node:events'
import { get, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'
import express from 'express'
import type { UsageError } from 'gatepass'
import { gatepass } from 'gatepass/express'
import { Passport } from 'gatepass/passport'
import { memoryStore } from 'gatepass/stores/memory'
import { oauth2 } from 'gatepass/strategies/oauth2'
import { oidc } from 'gatepass/strategies/oidc'
import type { TestBrowser } from 'gatepass/testing'
import { describe, expect, test } from 'vitest'
import { type Account, Accounts, site } from './express-site.ts'
import { CLIENT_ID, CLIENT_SECRET, codeFor, lyingProvider } from './lying-provider.ts'

async function world() {
  const [honest, other] = await Promise.all([lyingProvider(Date.now), lyingProvider(Date.now)])
  const accounts = new Accounts()
  const basics = { clientId: CLIENT_ID, clientSecret: CLIENT_SECRET, account: accounts.find }
  const app = await site(
    [
      oidc({ ...basics, name: 'honest', issuer: honest.issuer, callback: '/auth/honest/callback' }),
      oidc({ ...basics, name: 'other', issuer: other.issuer, callback: '/auth/other/callback' }),
    ],
    accounts,
  )
  return {
    ...{ honest, other, app, accounts },
    async [Symbol.asyncDispose]() {
      await Promise.all([app, honest, other].map((server) => server[Symbol.asyncDispose]()))
    },
  }
}

type Name = 'honest' | 'other'

/** Begins a login, and gives what the provider would send the browser back with. */
async function begin(browser: TestBrowser, name: Name): Promise<Record<string, string>> {
  const { headers } = await browser.fetch(`/auth/${name}`, { manual: true })
  const authorization = new URL(headers.get('location') ?? '')
  return { state: authorization.searchParams.get('state') ?? '', code: codeFor(authorization) }
}

async function comeBack(browser: TestBrowser, name: Name, parameters: Record<string, string>) {
  const target = `/auth/${name}/callback?${new URLSearchParams(parameters)}`
  const { headers } = await browser.fetch(target, { manual: true, headers: { 'sec-fetch-site': 'cross-site' } })
  const page = await browser.fetch('/')
  return { location: headers.get('location'), user: ((await page.json()) as { user: unknown }).user }
}

/** Where a request leads; `fetch` would not let it name another host. */
async function locationOf(url: string, headers: Record<string, string>): Promise<URL> {
  const [response] = (await once(get(url, { headers }), 'response')) as [IncomingMessage]
  response.resume()
  return new URL(response.headers.location ?? '')
}

test('attack 64: the state of a login with one provider counts for nothing at another’s callback', async () => {
  await using w = await world()
  const browser = w.app.browser()
  const begun = await begin(browser, 'other')
  expect(await comeBack(browser, 'honest', begun)).toEqual({ location: '/login?failure=expired', user: null })
  expect([...w.honest.exchanges, ...w.other.exchanges]).toEqual([])
  expect(await comeBack(browser, 'other', begun)).toMatchObject({ location: '/', user: { id: 'user-1' } })
})

test('attack 67: a code of the one is not sent to the other', async () => {
  await using w = await world()
  const browser = w.app.browser()
  const begun = await begin(browser, 'other')
  expect(await comeBack(browser, 'other', { ...begun, iss: w.honest.issuer })).toMatchObject({ user: null })
  expect(w.other.exchanges).toEqual([])
})

test('ASVS 6.8.1: the same subject at two providers is two people', async () => {
  await using w = await world()
  for (const name of ['honest', 'other'] as const) {
    const browser = w.app.browser()
    await comeBack(browser, name, await begin(browser, name))
  }
  expect(w.accounts.seen.map(({ identity }) => [identity.issuer, identity.subject])).toEqual([
    [w.honest.issuer, 'ada'],
    [w.other.issuer, 'ada'],
  ])
  expect(w.accounts.byId.size).toBe(2)
})

test('OA-8: each provider is given a callback of its own, whatever host the request names', async () => {
  await using w = await world()
  for (const name of ['honest', 'other'] as const) {
    const location = await locationOf(`${w.app.origin}/auth/${name}`, { host: 'evil.example' })
    expect(location.searchParams.get('redirect_uri')).toBe(`${w.app.origin}/auth/${name}/callback`)
  }
})

test('OA-8: where no origin is configured, no provider is told one that a request names', async () => {
  await using provider = await lyingProvider(Date.now)
  const acme = oidc<Account, 'acme'>({
    ...{ name: 'acme', issuer: provider.issuer, clientId: CLIENT_ID, clientSecret: CLIENT_SECRET },
    ...{ callback: '/auth/acme/callback', account: () => undefined },
  })
  const users = { find: () => undefined, subject: (user: Account) => user.id }
  const auth = gatepass<Account, 'acme'>({ sessions: { store: memoryStore() }, users, strategies: [acme] })
  const app = express().use(auth).get('/auth/acme', auth.login('acme'))
  app.use(
    ((error: UsageError, _req, res, _next) => void res.status(500).json(error.code)) as express.ErrorRequestHandler,
  )
  const server = app.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  try {
    const [forged] = (await once(get({ port, path: '/auth/acme', headers: { host: 'evil.example' } }), 'response')) as [
      IncomingMessage,
    ]
    expect([forged.statusCode, await json(forged)]).toEqual([500, 'ERR_OAUTH_OPTIONS'])
    const here = await locationOf(`http://127.0.0.1:${port}/auth/acme`, {})
    expect(here.searchParams.get('redirect_uri')).toBe(`http://127.0.0.1:${port}/auth/acme/callback`)
  } finally {
    server.close()
  }
})

describe('RFC 9700 §4.4: two strategies', () => {
  const users = { find: (): Account | undefined => undefined, subject: (user: Account) => user.id }
  const at = (name: string, callback: string) =>
    oidc<Account, string>({
      ...{ name, callback, issuer: `https://${name}.example`, clientId: CLIENT_ID, clientSecret: CLIENT_SECRET },
      account: () => undefined,
    })
  const made = (one: string, other: string) => () =>
    new Passport({ users, strategies: [at('one', one), at('other', other)] })

  test.each([
    ['a path', '/back', '/back'],
    ['a path that is written in two ways', '/back', '/./back'],
    ['an address', 'https://app.example/back', 'https://app.example:443/back'],
    ['what may be one address', '/back', 'https://app.example/back'],
    ['what may be one address, the other way round', 'https://app.example/back', '/back'],
  ])('do not share a callback: %s', (_what, one, other) => {
    expect(made(one, other)).toThrow(expect.objectContaining({ code: 'ERR_PASSPORT_OPTIONS' }))
  })

  test.each([
    ['/one/back', '/other/back'],
    ['https://one.example/back', 'https://other.example/back'],
  ])('have callbacks of their own: %s and %s', (one, other) => {
    expect(made(one, other)).not.toThrow()
  })

  test('of plain OAuth 2.0 do not share one either', () => {
    const endpoints = { authorizationEndpoint: 'https://x.example/authorize', tokenEndpoint: 'https://x.example/token' }
    const plain = oauth2<Account, 'plain'>({
      ...{ name: 'plain', callback: '/back', clientId: CLIENT_ID, clientSecret: CLIENT_SECRET, ...endpoints },
      ...{ account: () => undefined, identity: () => ({ subject: 'ada' }) },
    })
    expect(() => new Passport({ users, strategies: [plain, at('other', '/back')] })).toThrow(
      expect.objectContaining({ code: 'ERR_PASSPORT_OPTIONS' }),
    )
  })
})

test('OA-12: a form that leads to a provider is not sent on to it', async () => {
  await using w = await world()
  const browser = w.app.browser()
  await comeBack(browser, 'honest', await begin(browser, 'honest'))
  expect((await browser.fetch('/link/other', { form: {}, manual: true })).status).toBe(303)
})
