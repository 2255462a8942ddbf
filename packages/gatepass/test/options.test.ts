import { fromPassport } from 'gatepass/compat/legacy-strategy'
import { Strategy as LegacyStrategy } from 'gatepass/compat/passport'
import { consentCookie, consentTo, plainCookie, sealedCookie, signedCookie } from 'gatepass/cookie'
import { gatepass as express } from 'gatepass/express'
import { gatepass as fastify } from 'gatepass/fastify'
import { gatepass as node } from 'gatepass/node'
import { Passport, type Strategy } from 'gatepass/passport'
import { passwords } from 'gatepass/password'
import { SessionManager } from 'gatepass/session'
import { cachedStore } from 'gatepass/stores/cached'
import { memoryStore } from 'gatepass/stores/memory'
import { mysqlStore } from 'gatepass/stores/mysql'
import { postgresStore } from 'gatepass/stores/postgres'
import { redisStore } from 'gatepass/stores/redis'
import { sqliteStore } from 'gatepass/stores/sqlite'
import { apiKeys, memoryApiKeyStore } from 'gatepass/strategies/api-key'
import { apple } from 'gatepass/strategies/apple'
import { basic } from 'gatepass/strategies/basic'
import { bearer } from 'gatepass/strategies/bearer'
import { facebook } from 'gatepass/strategies/facebook'
import { github } from 'gatepass/strategies/github'
import { google } from 'gatepass/strategies/google'
import { jwt } from 'gatepass/strategies/jwt'
import { local } from 'gatepass/strategies/local'
import { microsoft } from 'gatepass/strategies/microsoft'
import { oauth2 } from 'gatepass/strategies/oauth2'
import { oidc } from 'gatepass/strategies/oidc'
import { TestExchange } from 'gatepass/testing'
import { accessTokens, memorySigningKeyStore, refreshTokens, signingKeys } from 'gatepass/tokens'
import { describe, expect, test } from 'vitest'

// As JavaScript calls it: whatever is passed compiles.
// biome-ignore lint/complexity/noBannedTypes: any function of ours
const inJavaScript = (make: Function) => (options: object) => (): unknown => make(options)

const store = memoryStore()
const users = { find: (id: string) => ({ id }), subject: (user: { id: string }) => user.id }
const sessions = { store }
const key = 'a key of at least thirty-two characters'
const account = () => ({ id: 'ada' })
const provider = { clientId: 'shop', clientSecret: 'secret', callback: '/back', account }
const home = { authorizationEndpoint: 'https://acme.example/a', tokenEndpoint: 'https://acme.example/t' }
const strategies = [local({ verify: (id) => ({ id }) }), google(provider)] as const
const keys = signingKeys({ store: memorySigningKeyStore(), keys: [key] })
const legacy = Object.assign(new LegacyStrategy(), { name: 'legacy', authenticate: () => {} })

const misspelt: readonly [string, string, (options: object) => () => unknown, object, string][] = [
  ['gatepass() of Express', 'lasy', inJavaScript(express), { users, sessions }, 'lazy'],
  ['gatepass() of Fastify', 'trustProxi', inJavaScript(fastify), { users, sessions }, 'trustProxy'],
  ['gatepass() of Node', 'stratgies', inJavaScript(node), { users, sessions }, 'strategies'],
  [
    'the sessions of gatepass()',
    'idleTimout',
    (wrong) => inJavaScript(node)({ users, sessions: { store, ...wrong } }),
    {},
    'idleTimeout',
  ],
  [
    'the sessions of gatepass()',
    'secret',
    (wrong) => inJavaScript(node)({ users, sessions: { store, ...wrong } }),
    {},
    'keys',
  ],
  [
    'the users of gatepass()',
    'stmp',
    (wrong) => inJavaScript(node)({ sessions, users: { ...users, ...wrong } }),
    {},
    'stamp',
  ],
  ['SessionManager', 'perSubjects', inJavaScript((given: never) => new SessionManager(given)), sessions, 'perSubject'],
  [
    'remember',
    'idletimeout',
    (wrong) => inJavaScript(node)({ users, sessions: { store, remember: wrong } }),
    {},
    'idleTimeout',
  ],
  ['Passport', 'cary', inJavaScript((given: never) => new Passport(given)), { users, strategies: [] }, 'carry'],
  ['local()', 'verfy', inJavaScript(local), { find: account }, 'verify'],
  ['fields of local()', 'pasword', (wrong) => inJavaScript(local)({ find: account, fields: wrong }), {}, 'password'],
  ['basic()', 'relm', inJavaScript(basic), { verify: account }, 'realm'],
  ['bearer()', 'relm', inJavaScript(bearer), { find: account }, 'realm'],
  ['apiKeys()', 'onEvents', inJavaScript(apiKeys), { prefix: 'shop', store: memoryApiKeyStore(), account }, 'onEvent'],
  ['jwt()', 'audiences', inJavaScript(jwt), { keys, issuer: 'a', audience: 'b', account }, 'audience'],
  ['oauth2()', 'scopes', inJavaScript(oauth2), { ...provider, ...home, name: 'acme', identity: account }, 'scope'],
  ['oidc()', 'scopes', inJavaScript(oidc), { ...provider, name: 'acme', issuer: 'https://acme.example' }, 'scope'],
  ['google()', 'hostDomain', inJavaScript(google), provider, 'hostedDomain'],
  ['facebook()', 'versions', inJavaScript(facebook), provider, 'version'],
  ['github()', 'endpoint', inJavaScript(github), provider, 'endpoints'],
  ['microsoft()', 'tenats', inJavaScript(microsoft), { ...provider, tenant: 'common' }, 'tenants'],
  ['apple()', 'teamID', inJavaScript(apple), { ...provider, keyId: 'k', privateKey: 'p' }, 'teamId'],
  ['fromPassport()', 'timout', (wrong) => () => fromPassport(legacy, wrong), {}, 'timeout'],
  ['memoryStore()', 'maxSession', inJavaScript(memoryStore), {}, 'maxSessions'],
  ['sqliteStore()', 'durabel', (wrong) => () => sqliteStore(':memory:', wrong), {}, 'durable'],
  ['postgresStore()', 'tabel', inJavaScript(postgresStore), { pool: {} }, 'table'],
  ['mysqlStore()', 'timout', inJavaScript(mysqlStore), { pool: {} }, 'timeout'],
  ['redisStore()', 'prefx', inJavaScript(redisStore), { url: 'redis://localhost' }, 'prefix'],
  [
    'cachedStore()',
    'maxAgee',
    (wrong) => () => cachedStore({ ...store, subscribe: () => {} } as never, wrong),
    {},
    'maxAge',
  ],
  ['plainCookie()', 'httponly', (wrong) => () => plainCookie('x', wrong), {}, 'httpOnly'],
  ['signedCookie()', 'maxage', (wrong) => () => signedCookie('x', { keys: [key], ...wrong }), {}, 'maxAge'],
  ['sealedCookie()', 'maxAg', (wrong) => () => sealedCookie('x', { keys: [key], ...wrong }), {}, 'maxAge'],
  ['passwords()', 'peper', inJavaScript(passwords), {}, 'pepper'],
  [
    'signingKeys()',
    'algoritm',
    inJavaScript(signingKeys),
    { store: memorySigningKeyStore(), keys: [key] },
    'algorithm',
  ],
  ['accessTokens()', 'lifeTime', inJavaScript(accessTokens), { keys, issuer: 'a', audience: 'b' }, 'lifetime'],
  [
    'refreshTokens()',
    'usres',
    inJavaScript(refreshTokens),
    { sessions: new SessionManager(sessions), keys: [key] },
    'users',
  ],
]

test.each(misspelt)('%s refuses `%s` by its name, and says what may be meant', (_, name, make, others, meant) => {
  expect(make({ ...others, [name]: 1 })).toThrow(
    expect.objectContaining({
      name: 'UsageError',
      message: expect.stringContaining(`there is no option \`${name}\``),
      hint: `Did you mean \`${meant}\`?`,
    }),
  )
})

test('an option that is undefined is none, and an object of a class may have members of its own', () => {
  expect(() => inJavaScript(memoryStore)({ maxSession: undefined })()).not.toThrow()
  class Directory {
    readonly connection = 'ldap://directory'
    verify(name: string) {
      return { id: name }
    }
  }
  expect(() => local(new Directory())).not.toThrow()
  expect(() => node({ sessions, users: { ...users, create: () => {} } as typeof users })).not.toThrow()
})

describe('an option of another type than it has', () => {
  test.each([
    ['sessions: `cookie` is an object', { sessions: { store, cookie: { maxAge: 60 } }, users }],
    ['`strategies` is an object', { sessions, users, strategies: strategies[0] }],
    ['has a function that has no authenticate()', { sessions, users, strategies: [local] }],
    ['users: `subject` is undefined', { sessions, users: { find: users.find } }],
    ['users: `stamp` is a text', { sessions, users: { ...users, stamp: 'password' } }],
    ['`carry` is a text', { sessions, users, carry: 'cart' }],
    ['`consent` is a function', { sessions, users, consent: () => consentTo() }],
    ['`consent` is an object', { sessions, users, consent: { statistics: true } }],
    ['`clock` is a number', { sessions, users, clock: 5 }],
  ])('is named when gatepass() is called: %s', (message, options) => {
    expect(inJavaScript(node)(options)).toThrow(message)
  })

  test.each([
    ['`scope` is a text', github, { ...provider, scope: 'read:user user:email' }],
    ['`account` is undefined', google, { ...provider, account: undefined }],
    ['needs either `find` or `verify`', local, {}],
    ['needs either `find` or `verify`', basic, { find: account, verify: account }],
    ['the options are undefined', local, undefined],
    ['`find` is a text', bearer, { find: 'token' }],
  ])('is named when the strategy is made: %s', (message, make, options) => {
    expect(() => (make as (options: unknown) => unknown)(options)).toThrow(message)
  })

  test('consent may be a choice or a cookie', () => {
    for (const consent of [consentTo('statistics'), consentCookie()]) {
      expect(() => node({ sessions, users, consent })).not.toThrow()
    }
  })
})

const adapters = [
  ['Express', express],
  ['Fastify', fastify],
] as const

describe.each(adapters)('a route in %s', (_, gatepass) => {
  // biome-ignore lint/suspicious/noExplicitAny: as JavaScript calls it
  const auth = gatepass({ sessions, users, strategies }) as any

  test('refuses a misspelt option when it is defined', () => {
    const routes: [string, () => unknown][] = [
      ['sucess', () => auth.login('local', { sucess: '/' })],
      ['sucess', () => auth.link('google', { sucess: '/' })],
      ['everwhere', () => auth.logout({ everwhere: true })],
      ['maxage', () => auth.requireLogin({ maxage: 600 })],
      ['subjet', () => auth.backChannelLogout('google', { subjet: () => 'ada' })],
    ]
    for (const [name, define] of routes) {
      expect(define, name).toThrow(
        expect.objectContaining({
          code: 'ERR_PASSPORT_OPTIONS',
          message: expect.stringContaining(`there is no option \`${name}\``),
          hint: expect.stringContaining('Did you mean'),
        }),
      )
    }
  })

  test('refuses a strategy that does not exist when it is defined, and names those that do', () => {
    const unknown = expect.objectContaining({
      code: 'ERR_PASSPORT_UNKNOWN_STRATEGY',
      hint: 'Known strategies: local, google.',
    })
    for (const define of [
      () => auth.login('lcoal'),
      () => auth.login(['local', 'gogle']),
      () => auth.link('gogle', { success: '/' }),
      () => auth.authenticate('lcoal'),
      () => auth.backChannelLogout('gogle', { subject: () => 'ada' }),
    ])
      expect(define).toThrow(unknown)
    expect(() => gatepass({ sessions, users, strategies, bearer: 'jwt' as 'local' })).toThrow(unknown)
    for (const names of [[], undefined, {}]) {
      expect(() => auth.login(names)).toThrow(expect.objectContaining({ code: 'ERR_PASSPORT_OPTIONS' }))
    }
  })

  test('refuses `next` without `success`, unless the login leads away and ends at another route', () => {
    expect(() => auth.login('local', { next: 'next' })).toThrow('`next` has no effect without `success`')
    expect(() => auth.login('local', { next: 'next', success: '/' })).not.toThrow()
    expect(() => auth.login('google', { next: 'next' })).not.toThrow()
  })

  test('refuses a link without `success`', () => {
    expect(() => auth.link('google', {})).toThrow('auth.link() needs `success`')
  })
})

test('options of a login route are checked by a provider that is named alone, and left to others that are named with it', async () => {
  const seen: unknown[] = []
  const own: Strategy<{ id: string }, 'own'> = {
    name: 'own',
    authenticate(_, { options }) {
      seen.push(options)
      return { type: 'pass' }
    },
  }
  const acme = oauth2({
    ...{ name: 'acme', clientId: 'c', clientSecret: 's', callback: '/auth/acme/callback' },
    ...{ authorizationEndpoint: 'https://acme.example/a', tokenEndpoint: 'https://acme.example/t' },
    identity: () => ({ subject: '7' }),
    account: () => ({ id: '7' }),
  })
  const passport = new Passport<{ id: string }, 'own' | 'acme'>({
    users: { find: (id) => ({ id }), subject: (user) => user.id },
    strategies: [own, acme],
    sessions: new SessionManager<object>({ store: memoryStore() }),
  })
  const exchange = new TestExchange({ target: '/auth/acme' })
  const strategy = { tenant: 'x', prompt: 'login' }
  const both = await passport.authenticate(exchange, ['own', 'acme'], strategy)
  expect(both).toMatchObject({ type: 'redirect', location: expect.stringContaining('prompt=login') })
  expect(both).not.toMatchObject({ location: expect.stringContaining('tenant') })
  expect(seen).toEqual([strategy])
  const wrong = expect.objectContaining({ code: 'ERR_OAUTH_OPTIONS' })
  await expect(passport.authenticate(exchange, 'acme', strategy)).rejects.toEqual(wrong)
  await expect(passport.authenticate(exchange, ['own', 'acme'], { prompt: 1 })).rejects.toEqual(wrong)
})
