import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { hosts, type MakeStrategy, require } from './site.ts'

type Done = (error: unknown, user?: unknown) => void
const ldap = require('ldapjs')
let url: string
let server: { close(): void }

beforeAll(async () => {
  const directory = ldap.createServer()
  directory.bind('cn=app,dc=example', (_req: unknown, res: { end(): void }, next: () => void) => {
    res.end()
    next()
  })
  directory.bind(
    'ou=people,dc=example',
    (req: { credentials: string }, res: { end(): void }, next: (error?: unknown) => void) => {
      if (req.credentials !== 'sesame') return next(new ldap.InvalidCredentialsError())
      res.end()
      return next()
    },
  )
  const ada = {
    dn: 'uid=ada,ou=people,dc=example',
    attributes: { objectclass: ['person'], uid: 'ada', mail: 'ada@example.org' },
  }
  directory.search('ou=people,dc=example', (req: SearchRequest, res: SearchResponse, next: () => void) => {
    if (req.filter.matches(ada.attributes)) res.send(ada)
    res.end()
    next()
  })
  await new Promise<void>((resolve) => directory.listen(0, '127.0.0.1', resolve))
  url = directory.url
  server = directory
})
afterAll(() => server?.close())

interface SearchRequest {
  readonly filter: { matches(attributes: object): boolean }
}
interface SearchResponse {
  send(entry: object): void
  end(): void
}

const ldapauth: MakeStrategy = ({ known }) => {
  const Strategy = require('passport-ldapauth')
  const options = {
    server: {
      url,
      bindDN: 'cn=app,dc=example',
      bindCredentials: 'app',
      searchBase: 'ou=people,dc=example',
      searchFilter: '(uid={{username}})',
    },
  }
  return new Strategy(options, (entry: { uid: string; mail: string }, done: Done) =>
    done(null, known({ id: entry.uid, mail: entry.mail })),
  )
}

describe.each(hosts)('%s', (_, host) => {
  test('passport-ldapauth searches and binds, and refuses wrong passwords and unknown names', async () => {
    const browser = await host(ldapauth)
    const login = await browser.fetch('/login', { form: { username: 'ada', password: 'sesame' } })
    expect(await login.json()).toEqual({ id: 'ada', mail: 'ada@example.org' })
    expect((await browser.fetch('/api', { form: { username: 'ada', password: 'no' } })).status).toBe(401)
    expect((await browser.fetch('/api', { form: { username: 'eve', password: 'sesame' } })).status).toBe(401)
    expect((await browser.fetch('/api', { form: { username: 'ada' } })).status).toBe(400)
  })
})
