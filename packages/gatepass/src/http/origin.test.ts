import { ProtocolError } from 'gatepass'
import type { Exchange } from 'gatepass/passport'
import { describe, expect, test } from 'vitest'
import { crossOriginError, crossOriginReason, type OriginRule } from './origin.ts'

const rule: OriginRule = { origins: ['https://app.example'], trustedOrigins: ['https://partner.example'] }

function request(headers: Record<string, string>, method = 'POST'): Exchange {
  return { method, header: (name: string) => headers[name] } as Exchange
}

const passes = (headers: Record<string, string>, changed: Partial<OriginRule> = {}, method = 'POST'): boolean =>
  crossOriginReason(request(headers, method), { ...rule, ...changed }) === undefined

describe('what the browser says of the site decides', () => {
  test.each([
    ['same-origin', undefined, true],
    ['same-origin', 'https://app.example', true],
    ['same-origin', 'https://APP.example:443', true],
    ['same-origin', 'null', true],
    ['same-origin', 'https://evil.example', false],
    ['same-origin', 'https://partner.example', false],
    ['same-origin', '', false],
    ['none', undefined, true],
    ['none', 'https://app.example', true],
    ['none', 'https://evil.example', false],
    ['none', 'null', false],
    ['same-site', undefined, false],
    ['same-site', 'https://a.app.example', false],
    ['same-site', 'https://app.example', false],
    ['same-site', 'https://partner.example', true],
    ['cross-site', undefined, false],
    ['cross-site', 'null', false],
    ['cross-site', 'https://evil.example', false],
    ['cross-site', 'https://app.example', false],
    ['cross-site', 'https://partner.example', true],
    ['cross-site', 'http://partner.example', false],
    ['cross-site', 'https://partner.example.evil.example', false],
    ['cross-site', 'https://partner.example:8443', false],
    ['cross-site', 'https://partner.example/', false],
    ['Same-Origin', 'https://app.example', false],
    ['same-origin, same-origin', 'https://app.example', false],
    ['same-origin ', 'https://app.example', false],
    ['', 'https://app.example', false],
    ['trusted', 'https://app.example', false],
  ])('Sec-Fetch-Site %j with Origin %j passes: %s', (site, origin, expected) => {
    expect(passes({ 'sec-fetch-site': site, ...(origin !== undefined && { origin }) })).toBe(expected)
  })
})

describe('without Sec-Fetch-Site the Origin decides', () => {
  test.each([
    ['https://app.example', true],
    ['https://APP.example:443', true],
    ['https://partner.example', true],
    ['http://app.example', false],
    ['https://app.example:8443', false],
    ['https://app.example.evil.example', false],
    ['https://evil.example', false],
    ['https://app.example, https://app.example', false],
    ['https://evil.example, https://app.example', false],
    ['https://user@app.example', false],
    ['https://app.example/path', false],
    ['https://evil.example#https://app.example', false],
    ['app.example', false],
    ['null', false],
    ['', false],
  ])('Origin %j passes: %s', (origin, expected) => {
    expect(passes({ origin })).toBe(expected)
  })
})

describe('without either a token decides', () => {
  const token = (presented: string): boolean => presented === 'right'

  test('and the request is refused where there are no tokens', () => {
    expect(passes({})).toBe(false)
    expect(passes({ 'x-csrf-token': 'right' })).toBe(false)
  })

  test('from a header or from a form', () => {
    expect(passes({ 'x-csrf-token': 'right' }, { token })).toBe(true)
    expect(passes({ 'x-csrf-token': 'wrong' }, { token })).toBe(false)
    expect(passes({}, { token })).toBe(false)
    expect(crossOriginReason(request({}), { ...rule, token }, 'right')).toBeUndefined()
    expect(crossOriginReason(request({}), { ...rule, token }, 'wrong')).toBeDefined()
  })

  test('and cannot outweigh what the browser says', () => {
    expect(passes({ 'x-csrf-token': 'right', 'sec-fetch-site': 'cross-site' }, { token })).toBe(false)
    expect(passes({ 'x-csrf-token': 'right', origin: 'https://evil.example' }, { token })).toBe(false)
  })
})

test.each(['GET', 'HEAD', 'OPTIONS', 'TRACE'])('%s changes nothing, so it passes', (method) => {
  expect(passes({ 'sec-fetch-site': 'cross-site' }, {}, method)).toBe(true)
})

test.each(['POST', 'PUT', 'PATCH', 'DELETE', 'QUERY', 'get'])('%s is checked', (method) => {
  expect(passes({ 'sec-fetch-site': 'cross-site' }, {}, method)).toBe(false)
})

test('a refusal has a code, status 403, and names the field but not the token', () => {
  const refuse = (headers: Record<string, string>, changed = {}): ProtocolError => {
    const reason = crossOriginReason(request(headers), { ...rule, ...changed })
    if (reason === undefined) throw new Error('was not refused')
    return crossOriginError(request(headers), reason)
  }
  const error = refuse({ 'sec-fetch-site': 'cross-site', origin: 'https://evil.example' })
  expect(error).toBeInstanceOf(ProtocolError)
  expect(error).toMatchObject({ code: 'ERR_CROSS_ORIGIN', status: 403 })
  expect(error.message).toContain('Sec-Fetch-Site')
  expect(error.message).toContain('https://evil.example')
  expect(error.hint).toContain('trustedOrigins')
  const wrong = refuse({ 'x-csrf-token': 'canary' }, { token: () => false })
  expect(`${wrong.message}${wrong.hint}`).not.toContain('canary')
  const odd = refuse({ 'sec-fetch-site': '<script>', origin: '<script>' })
  expect(`${odd.message}${refuse({ origin: '<script>' }).message}`).not.toContain('<script>')
})

test('a refusal names the origin that was expected, the one that came, and the options', () => {
  const behindProxy = { origin: 'http://127.0.0.1:3000', originConfigured: false }
  const refuse = (changed: object): ProtocolError => {
    const headers = { 'sec-fetch-site': 'same-origin', origin: 'https://shop.example' }
    const exchange = { ...request(headers), ...changed }
    const reason = crossOriginReason(exchange, { origins: [behindProxy.origin] })
    if (reason === undefined) throw new Error('was not refused')
    return crossOriginError(exchange, reason)
  }
  const { message, hint } = refuse(behindProxy)
  expect(message).toContain('https://shop.example')
  expect(message).toContain('http://127.0.0.1:3000')
  for (const option of ['`origin`', '`trustProxy`', '`trustedOrigins`']) expect(hint).toContain(option)
  expect(refuse({ ...behindProxy, originConfigured: true }).hint).not.toContain('trustProxy')
})

test('a request that passes is not refused', () => {
  expect(crossOriginReason(request({ 'sec-fetch-site': 'same-origin' }), rule)).toBeUndefined()
})
