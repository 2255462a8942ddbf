import { createHmac } from 'node:crypto'
import { expect, test } from 'vitest'
import { signingKey, signValue, unsignValue } from './signed-value.ts'

const key = signingKey('tobiiscool')
const retired = signingKey('luna')

test('a value is signed with HMAC-SHA-256, in base64 without padding', () => {
  const signature = createHmac('sha256', 'tobiiscool').update('héllo').digest('base64').replace(/=+$/, '')
  expect(signValue('héllo', key)).toBe(`s:héllo.${signature}`)
  expect(signature).toMatch(/[+/]/)
  expect(signValue('foobar', signingKey(Buffer.from('tobiiscool')))).toBe(signValue('foobar', key))
})

test('what was signed is read, with its dots', () => {
  expect(unsignValue(signValue('a.b.c', key), [key])).toEqual({ value: 'a.b.c', outdated: false })
})

test('a signature under another key than the first is read and outdated', () => {
  expect(unsignValue(signValue('foo', retired), [key, retired])).toEqual({ value: 'foo', outdated: true })
})

test('a changed value, a changed signature, another key, no signature and no prefix are absent', () => {
  const signed = signValue('foo', key)
  const last = signed.at(-1) === 'A' ? 'B' : 'A'
  for (const forged of [
    signed.replace('foo', 'bar'),
    `${signed.slice(0, -1)}${last}`,
    signed.slice(0, -1),
    `${signed}=`,
    signValue('foo', retired),
    's:foo',
    's:foo.',
    's:',
    '',
    signed.slice(2),
  ]) {
    expect(unsignValue(forged, [key]), forged).toBeUndefined()
  }
  expect(unsignValue(signed, [])).toBeUndefined()
})
