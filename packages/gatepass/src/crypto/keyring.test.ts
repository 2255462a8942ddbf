import fc from 'fast-check'
import { UsageError } from 'gatepass'
import type { Keys } from 'gatepass/cookie'
import { describe, expect, test } from 'vitest'
import { Keyring } from './keyring.ts'

const first = 'first-key-first-key-first-key-first-key'
const second = 'second-key-second-key-second-key-second'

describe('Keyring', () => {
  test('a signature is 43 characters of base64url and verifies as current', () => {
    const keyring = new Keyring([first], 'test')
    const signature = keyring.sign('text')
    expect(signature).toMatch(/^[A-Za-z0-9_-]{43}$/)
    expect(keyring.verify('text', signature)).toBe('current')
  })

  test('a signature under a key that moved behind another verifies as retired', () => {
    const signature = new Keyring([first], 'test').sign('text')
    expect(new Keyring([second, first], 'test').verify('text', signature)).toBe('retired')
  })

  test('a signature under a key that was dropped verifies no more', () => {
    const signature = new Keyring([first], 'test').sign('text')
    expect(new Keyring([second], 'test').verify('text', signature)).toBeUndefined()
  })

  test('the first key signs', () => {
    expect(new Keyring([second, first], 'test').sign('text')).toBe(new Keyring([second], 'test').sign('text'))
  })

  test('a signature made for one usage does not verify for another', () => {
    const signature = new Keyring([first], 'one').sign('text')
    expect(new Keyring([first], 'other').verify('text', signature)).toBeUndefined()
  })

  test('a signature changed in any place, cut or lengthened does not verify', () => {
    const keyring = new Keyring([first, second], 'test')
    const signature = keyring.sign('text')
    for (let i = 0; i < signature.length; i++) {
      const other = signature[i] === 'A' ? 'B' : 'A'
      expect(keyring.verify('text', signature.slice(0, i) + other + signature.slice(i + 1))).toBeUndefined()
    }
    expect(keyring.verify('text', signature.slice(1))).toBeUndefined()
    expect(keyring.verify('text', `${signature}=`)).toBeUndefined()
    expect(keyring.verify('text', '')).toBeUndefined()
  })

  test('no text and no signature make verify throw', () => {
    const keyring = new Keyring([first, second], 'test')
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (text, signature) => {
        expect(keyring.verify(text, signature)).toBeUndefined()
      }),
    )
  })

  test.each([
    ['no key', []],
    ['an empty key', ['']],
    ['a key of 31 characters', ['k'.repeat(31)]],
    ['a short key behind a good one', [first, 'short']],
    ['a key of more than 1,024 characters', ['k'.repeat(1025)]],
    ['a key that is no text', [first, 7]],
    ['text instead of a list', first],
  ])('%s is refused, without naming a key', (_, keys) => {
    const attempt = () => new Keyring(keys as unknown as Keys, 'test')
    expect(attempt).toThrow(UsageError)
    expect(attempt).toThrow(
      expect.objectContaining({ code: 'ERR_COOKIE_KEYS', hint: expect.stringContaining('Make a key') }),
    )
    expect(attempt).not.toThrow(/first-key|kkkk|short\b/)
  })

  test('a key of 32 characters is enough', () => {
    expect(new Keyring(['k'.repeat(32)], 'test').sign('text')).toHaveLength(43)
  })
})
