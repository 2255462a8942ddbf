import { describe, expect, test } from 'vitest'
import { loggedIn, startHttpsServer, startTestServer, type TestServer } from './test-server.ts'
import { type Answer, raw } from './visitor.ts'

const PATHS = [
  '/',
  '/login',
  '/register',
  '/account',
  '/account/sessions',
  '/account/sessions/end-others',
  '/account/sessions/AAAAAAAAAAAAAAAAAAAAAA/end',
  '/auth/register',
  '/auth/login',
  '/auth/logout',
  '/auth/session',
  '/auth/sessions',
  '/auth/sessions/AAAAAAAAAAAAAAAAAAAAAA',
  '/healthz',
  '/readyz',
  '/nothing',
  '/favicon.ico',
]
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE']

async function crawl(server: TestServer): Promise<[string, Answer][]> {
  const ada = await loggedIn(server)
  const answers: [string, Answer][] = []
  for (const path of PATHS) {
    for (const method of METHODS) {
      for (const headers of [{ origin: server.origin }, { origin: 'https://evil.example' }]) {
        const visitor = path === '/auth/logout' || path.includes('sessions') ? server.visitor() : ada
        answers.push([`${method} ${path} from ${headers.origin}`, await visitor.ask(method, path, { headers })])
      }
    }
  }
  return answers
}

describe('attack 79: every route with every method', () => {
  test('answers with all security header fields, and without a word about the software', async () => {
    const server = await startHttpsServer()
    const answers = await crawl(server)
    expect(new Set(answers.map(([, answer]) => answer.status))).toEqual(
      new Set([200, 204, 303, 400, 401, 403, 404, 405]),
    )
    for (const [name, { headers }] of answers) {
      const expected: Record<string, string> = {
        'strict-transport-security': 'max-age=31536000; includeSubDomains',
        'x-content-type-options': 'nosniff',
        'x-frame-options': 'DENY',
        'referrer-policy': 'same-origin',
        'cross-origin-opener-policy': 'same-origin',
        'cross-origin-resource-policy': 'same-origin',
        'cache-control': 'no-store',
      }
      expect([name, headers]).toEqual([name, expect.objectContaining(expected)])
      const policy = String(headers['content-security-policy'])
      for (const part of ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "object-src 'none'"]) {
        expect([name, policy]).toEqual([name, expect.stringContaining(part)])
      }
      expect([name, /unsafe|script-src|\*/.test(policy)]).toEqual([name, false])
      expect([name, headers['x-powered-by'], headers.server]).toEqual([name, undefined, undefined])
      expect([name, headers['access-control-allow-origin']]).toEqual([name, undefined])
      expect([name, headers.vary]).toEqual([name, expect.stringMatching(/Sec-Fetch-Site, Origin/)])
    }
  })

  test('over http says nothing of HSTS, which only https may', async () => {
    const server = await startTestServer()
    expect((await server.visitor().get('/login')).headers['strict-transport-security']).toBeUndefined()
  })

  test('answers a method that it does not have with 405 and those that it has', async () => {
    const server = await startTestServer()
    const expected = {
      '/login': 'GET, HEAD',
      '/auth/login': 'POST',
      '/auth/register': 'POST',
      '/auth/logout': 'POST',
      '/auth/session': 'GET, HEAD',
      '/auth/sessions': 'GET, HEAD, DELETE',
      '/auth/sessions/AAAAAAAAAAAAAAAAAAAAAA': 'DELETE',
      '/healthz': 'GET, HEAD',
    }
    for (const [path, allow] of Object.entries(expected)) {
      for (const method of METHODS.filter((name) => !allow.split(', ').includes(name))) {
        const answer = await server.visitor().json(method, path)
        expect([method, path, answer.status, answer.headers.allow]).toEqual([method, path, 405, allow])
      }
    }
  })

  test('answers HEAD like GET, without the body', async () => {
    const server = await startTestServer()
    const head = await server.visitor().ask('HEAD', '/login')
    expect([head.status, head.body, head.headers['content-type']]).toEqual([200, '', 'text/html; charset=utf-8'])
  })

  test('answers programs with JSON in a sandbox, also when a browser asks', async () => {
    const server = await startTestServer()
    for (const path of ['/auth/session', '/auth/sessions', '/healthz']) {
      const { headers } = await server.visitor().get(`${path}?callback=x&jsonp=x`)
      expect(headers['content-type']).toBe('application/json; charset=utf-8')
      expect(headers['content-security-policy']).toContain('sandbox')
    }
  })

  test('answers what is no request with the same header fields', async () => {
    const server = await startHttpsServer()
    for (const request of [
      'nonsense\r\n\r\n',
      'FOO / HTTP/1.1\r\n\r\n',
      `GET / HTTP/1.1\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`,
    ]) {
      const answer = await raw(server.port, request)
      expect(answer).toMatch(/^HTTP\/1\.1 (400|405|431) /)
      for (const field of [
        'Strict-Transport-Security',
        'Content-Security-Policy',
        'X-Content-Type-Options',
        'Cache-Control: no-store',
      ]) {
        expect(answer).toContain(field)
      }
    }
    const unexpected = await server.visitor().ask('GET', '/', { headers: { expect: 'everything' } })
    expect(unexpected.headers['x-content-type-options']).toBe('nosniff')
  })
})

describe('errors', () => {
  test('are JSON with code, message and hint for programs', async () => {
    const server = await startTestServer()
    const answer = await server.visitor().json('POST', '/auth/login', {})
    expect(answer.data).toEqual({
      error: {
        code: 'ERR_INPUT',
        message: expect.any(String),
        hint: expect.any(String),
        fields: { email: expect.any(String), password: expect.any(String) },
      },
    })
  })

  test('are pages with a way on for people', async () => {
    const server = await startTestServer()
    const page = await server.visitor().get('/nothing')
    expect([page.status, page.headers['content-type']]).toEqual([404, 'text/html; charset=utf-8'])
    expect(page.body).toContain('<title>Error: Nothing here')
    expect(page.body).toContain('href="/"')
    const ada = await loggedIn(server)
    const inside = await ada.get('/nothing')
    expect(inside.body).toContain('href="/account"')
    expect(inside.body).toContain('action="/auth/logout"')
  })

  test('tell nothing of files, statements or versions', async () => {
    const server = await startTestServer()
    for (const path of ['/nothing', '/%00', '/auth/sessions']) {
      const { body } = await server.visitor().get(path)
      expect(body).not.toMatch(/\.ts\b|\.js\b|select |node_modules|sqlite|\bat \w+ \(/i)
    }
  })
})

describe('pages', () => {
  test('have a language, one heading, a label for every input, and no script or foreign address', async () => {
    const server = await startTestServer()
    const ada = await loggedIn(server)
    const pages = [
      await server.visitor().get('/'),
      await server.visitor().get('/login'),
      await server.visitor().get('/register'),
      await server.visitor().post('/auth/register', { email: 'x' }),
      await server.visitor().get('/nothing'),
      await ada.get('/account'),
      await ada.get('/account/sessions'),
    ]
    for (const { body } of pages) {
      expect(body).toMatch(/^<!doctype html>\s*<html lang="en">/)
      expect(body.match(/<h1>/g)).toHaveLength(1)
      expect(body).toContain('<main id="main"')
      expect(body).not.toMatch(/<script|style=|\son\w+=|javascript:|https?:\/\/(?!www\.w3\.org)/i)
      const inputs = [...body.matchAll(/<input (?![^>]*type="hidden")[^>]*\sid="([^"]+)"/g)].map(([, id]) => id)
      for (const id of inputs) expect(body).toContain(`<label for="${id}">`)
      const ids = [...body.matchAll(/\sid="([^"]+)"/g)].map(([, id]) => id)
      expect(new Set(ids).size).toBe(ids.length)
      for (const [, list = ''] of body.matchAll(/aria-(?:describedby|labelledby)="([^"]+)"/g)) {
        for (const id of list.split(' ')) expect(ids).toContain(id)
      }
      for (const form of body.match(/<form [\s\S]*?<\/form>/g) ?? []) expect(form).toMatch(/name="csrf" value="[^"]+"/)
    }
    for (const { body } of pages.slice(-2)) expect(body).toContain('action="/auth/logout"')
  })
})
