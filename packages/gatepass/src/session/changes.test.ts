import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { checkedText, dataText, diff, parseData, prune, rebase, replay } from './changes.ts'

const text = JSON.stringify

describe('diff', () => {
  test('names the keys that were set, changed and removed, and no others', () => {
    const changes = diff(
      text({ same: [1], changed: { a: 1 }, removed: 1 }),
      text({ same: [1], changed: { a: 2 }, set: null }),
    )
    expect([...changes]).toEqual([
      ['changed', '{"a":2}'],
      ['set', 'null'],
      ['removed', undefined],
    ])
  })

  test('sees no change where only the order of keys differs', () => {
    expect(diff('{"a":1,"b":2}', '{"b":2,"a":1}').size).toBe(0)
  })
})

describe('replay', () => {
  test('keeps what others changed meanwhile, key by key', () => {
    const edit = { base: text({ a: 1, b: 1, c: 1 }), local: text({ a: 2, b: 1 }) }
    expect(parseData(replay(edit, text({ a: 1, b: 3, c: 1, d: 4 })))).toEqual({ a: 2, b: 3, d: 4 })
  })

  test('lets the later of two writers of one key win', () => {
    expect(replay({ base: '{"a":1}', local: '{"a":2}' }, '{"a":3}')).toBe('{"a":2}')
  })

  test('drops what is not carried, whether it was there at first or came meanwhile', () => {
    const edit = { base: text({ cart: 1, role: 'guest' }), local: text({ cart: 1, name: 'a' }), carry: ['cart'] }
    expect(parseData(replay(edit, text({ cart: 2, role: 'guest', planted: true })))).toEqual({ cart: 2, name: 'a' })
  })

  test('keeps what the request has set again after it was dropped, even to the same value', () => {
    const edit = { base: text({ language: 'eo' }), local: text({ language: 'eo' }), carry: [] }
    expect(replay(edit, text({ language: 'eo', later: 1 }))).toBe('{"language":"eo"}')
    expect(replay(edit, '{}')).toBe('{"language":"eo"}')
  })

  test('leaves only what the request itself changed when nothing is left of the stored data', () => {
    const edit = { base: text({ cart: 1, kept: 1 }), local: text({ cart: 2, kept: 1 }) }
    expect(replay(edit, '{}')).toBe('{"cart":2}')
  })

  test('of what both changed in any way, every key is as its only writer left it', () => {
    const bags = fc.dictionary(fc.constantFrom('a', 'b', 'c', '__proto__', 'constructor', 'toString'), fc.jsonValue(), {
      maxKeys: 6,
    })
    fc.assert(
      fc.property(bags, bags, bags, (base, mine, theirs) => {
        const merged = parseData(replay({ base: text(base), local: text(mine) }, text(theirs)))
        const changed = diff(text(base), text(mine))
        const expected = rebase(text(theirs), changed)
        expect(merged).toEqual(parseData(expected))
        for (const key of Object.keys(merged)) {
          // Read as it would be from a store, which leaves out a key `__proto__` at every depth.
          const source = parseData(text(changed.has(key) ? mine : theirs))
          expect(text(merged[key])).toBe(text(source[key]))
        }
      }),
    )
  })
})

describe('prune', () => {
  test('keeps all without a list, and nothing with an empty one', () => {
    expect(prune('{"a":1}', undefined)).toBe('{"a":1}')
    expect(prune('{"a":1}', [])).toBe('{}')
  })
})

describe('parseData', () => {
  test('drops __proto__ at every depth and changes no prototype', () => {
    const data = parseData('{"__proto__":{"admin":true},"a":{"__proto__":{"admin":true},"b":1}}')
    expect(data).toEqual({ a: { b: 1 } })
    expect(Object.keys(data)).toEqual(['a'])
    expect(({} as { admin?: boolean }).admin).toBeUndefined()
    expect(Object.getPrototypeOf(data.a)).toBe(Object.prototype)
  })

  test.each(['', 'null', '[1]', '"text"', '{"secret":'])(
    'refuses %j as the data of a record, and does not quote it',
    (data) => {
      let thrown: unknown
      try {
        parseData(data)
      } catch (error) {
        thrown = error
      }
      expect(thrown).toMatchObject({ code: 'ERR_STORE_SCHEMA', status: 503 })
      expect((thrown as Error).cause).toBeUndefined()
      expect(String(thrown)).not.toContain('secret')
    },
  )
})

describe('checkedText', () => {
  const cycle: { self?: unknown } = {}
  cycle.self = cycle
  test.each([
    ['a bigint', 1n],
    ['a cycle', cycle],
    ['a Map', new Map()],
    ['a Set within', [{ tags: new Set() }]],
    ['a function', () => 1],
    ['a symbol within', { s: Symbol('x') }],
    ['a promise', Promise.resolve()],
    ['bytes', new Uint8Array(1)],
    ['an error', new Error('x')],
  ])('refuses %s, naming the key', (_what, value) => {
    expect(() => checkedText({ fine: 1, offender: value })).toThrow(
      expect.objectContaining({
        code: 'ERR_SESSION_DATA',
        status: 500,
        message: expect.stringContaining('"offender"'),
      }),
    )
  })

  test('takes whatever JSON carries, dates as their text', () => {
    expect(checkedText({ a: [null, true, 'x', 1.5], at: new Date(0), gone: undefined })).toBe(
      '{"a":[null,true,"x",1.5],"at":"1970-01-01T00:00:00.000Z"}',
    )
    expect(dataText(Object.assign(Object.create(null), { a: 1 }))).toBe('{"a":1}')
  })
})
