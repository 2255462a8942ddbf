import { createDecipheriv, hkdfSync } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Sealer } from './seal.ts'

const first = 'first-key-first-key-first-key-first-key'
const second = 'second-key-second-key-second-key-second'
const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

describe('Sealer', () => {
  test('every text comes out as it went in', () => {
    const sealer = new Sealer([first], 'test')
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 300 }), (text) => {
        expect(sealer.unseal(sealer.seal(text, 'name'), 'name')).toEqual({ text, retired: false })
      }),
    )
  })

  test('a seal is version, key id and the rest in base64url, and shows nothing of the text', () => {
    const sealed = new Sealer([first], 'test').seal('a secret text', 'name')
    expect(sealed).toMatch(/^v1\.[A-Za-z0-9_-]{8}\.[A-Za-z0-9_-]+$/)
    expect(Buffer.from(sealed.split('.')[2] ?? '', 'base64url').includes('secret')).toBe(false)
  })

  test('it opens with nothing but HKDF-SHA-256 and AES-256-GCM as written in the format', () => {
    const sealed = new Sealer([first], 'test').seal('text', 'name')
    const [version, id, rest] = sealed.split('.')
    const body = Buffer.from(rest ?? '', 'base64url')
    const key = Buffer.from(hkdfSync('sha256', first, body.subarray(0, 16), 'gatepass/v1/seal/test', 32))
    const decipher = createDecipheriv('aes-256-gcm', key, body.subarray(16, 28))
    decipher.setAAD(Buffer.from(`${version}.${id}.4.test.name`)).setAuthTag(body.subarray(-16))
    expect(decipher.update(body.subarray(28, -16), undefined, 'utf8') + decipher.final('utf8')).toBe('text')
  })

  test('the same text is never sealed to the same value, with no salt and nonce twice', () => {
    const sealer = new Sealer([first], 'test')
    const heads = new Set<string>()
    for (let i = 0; i < 2000; i++) heads.add(sealer.seal('text', 'name').slice(12, 49))
    expect(heads.size).toBe(2000)
  })

  test('a seal changed in any one character does not open', () => {
    const sealer = new Sealer([first, second], 'test')
    const sealed = sealer.seal('text', 'name')
    for (let i = 0; i < sealed.length; i++) {
      for (const character of ['A', 'B', 'g', '.', '=', ' ', 'é']) {
        if (sealed[i] === character) continue
        expect(sealer.unseal(sealed.slice(0, i) + character + sealed.slice(i + 1), 'name')).toBeUndefined()
      }
    }
  })

  test('the unused bits of the last character cannot spell a second seal', () => {
    const sealer = new Sealer([first], 'test')
    for (const text of ['', 'a', 'ab', 'abc']) {
      const sealed = sealer.seal(text, 'name')
      const opening = [...alphabet].filter((last) => sealer.unseal(sealed.slice(0, -1) + last, 'name'))
      expect(opening).toEqual([sealed.at(-1)])
    }
  })

  test('a seal cut anywhere or lengthened does not open', () => {
    const sealer = new Sealer([first], 'test')
    const sealed = sealer.seal('text', 'name')
    for (let i = 0; i < sealed.length; i++) expect(sealer.unseal(sealed.slice(0, i), 'name')).toBeUndefined()
    expect(sealer.unseal(`${sealed}A`, 'name')).toBeUndefined()
    expect(sealer.unseal(`${sealed}=`, 'name')).toBeUndefined()
  })

  test('a seal opens under the name it was made for alone', () => {
    const sealer = new Sealer([first], 'test')
    expect(sealer.unseal(sealer.seal('text', 'name'), 'other')).toBeUndefined()
  })

  test('a seal opens for the usage it was made for alone, also where usage and name together read the same', () => {
    const sealed = new Sealer([first], 'a').seal('text', 'b.c')
    expect(new Sealer([first], 'other').unseal(sealed, 'b.c')).toBeUndefined()
    expect(new Sealer([first], 'a.b').unseal(sealed, 'c')).toBeUndefined()
  })

  test('a seal under a key that moved behind another opens and says so; once the key is dropped it does not open', () => {
    const sealed = new Sealer([first], 'test').seal('text', 'name')
    expect(new Sealer([second, first], 'test').unseal(sealed, 'name')).toEqual({ text: 'text', retired: true })
    expect(new Sealer([second], 'test').unseal(sealed, 'name')).toBeUndefined()
  })

  test('the key id of one key on another key does not open', () => {
    const [, id] = new Sealer([second], 'test').seal('text', 'name').split('.')
    const [version, , body] = new Sealer([first], 'test').seal('text', 'name').split('.')
    expect(new Sealer([first, second], 'test').unseal(`${version}.${id}.${body}`, 'name')).toBeUndefined()
  })

  test('nothing that a browser can send makes unseal throw', () => {
    const sealer = new Sealer([first], 'test')
    const [, id] = sealer.seal('', 'name').split('.')
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.base64String({ maxLength: 200 }), (junk, body) => {
        expect(sealer.unseal(junk, 'name')).toBeUndefined()
        expect(sealer.unseal(`v1.${id}.${junk}`, 'name')).toBeUndefined()
        expect(sealer.unseal(`v1.${id}.${body}`, 'name')).toBeUndefined()
      }),
    )
  })

  test.each([[[]], [['short']]])('keys %j are refused', (keys) => {
    expect(() => new Sealer(keys as unknown as [string], 'test')).toThrow(
      expect.objectContaining({ code: 'ERR_COOKIE_KEYS' }),
    )
  })
})

test('what was opened before opens again, and still under its own name alone', () => {
  const sealer = new Sealer([first], 'test')
  const sealed = sealer.seal('text', 'a')
  for (let round = 0; round < 3; round++) {
    expect(sealer.unseal(sealed, 'a')).toMatchObject({ text: 'text', retired: false })
    expect(sealer.unseal(sealed, 'b')).toBeUndefined()
    expect(sealer.unseal(`${sealed}A`, 'a')).toBeUndefined()
  }
})

test('more values than are remembered open all the same', () => {
  const sealer = new Sealer([first], 'test')
  const values = Array.from({ length: 1000 }, (_, n) => sealer.seal(String(n), 'a'))
  for (let round = 0; round < 2; round++) {
    expect(values.map((value) => sealer.unseal(value, 'a')?.text)).toEqual(values.map((_, n) => String(n)))
  }
})
