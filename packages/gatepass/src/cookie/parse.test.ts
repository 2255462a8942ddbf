import fc from 'fast-check'
import { countCookie, parseCookie, readCookie } from 'gatepass/cookie'
import { describe, expect, test } from 'vitest'

const header = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 60 }),
  fc.string({ unit: fc.constantFrom('a', 'b', '=', ';', ' ', '\t', '"', '\u00a0', '%', ','), maxLength: 40 }),
)
const name = fc.string({ unit: fc.constantFrom('a', 'b', '=', ';', ' ', '\t', '"'), maxLength: 4 })

describe('parseCookie', () => {
  test('pairs are parted at semicolons and at their first equals sign', () => {
    expect(parseCookie('a=1; b=x=y;c=;  d = e ;')).toEqual({ a: '1', b: 'x=y', c: '', d: 'e' })
  })

  test.each([undefined, '', ' ', ';', ';;; ;', 'a', 'a; b', '=', '=a', '; =a', ' =a', 'a;b;=c'])(
    '%j holds no cookie that has a name',
    (text) => {
      expect(Object.keys(parseCookie(text))).toEqual([])
    },
  )

  test('pairs without a name are left out wherever they stand', () => {
    expect(parseCookie('x; a=1; y; z;=v; b=2; w')).toEqual({ a: '1', b: '2' })
  })

  test('the first value of a name sent twice is kept', () => {
    expect(parseCookie('a=1; b=2; a=3')).toEqual({ a: '1', b: '2' })
    expect(parseCookie('a=; a=3')).toEqual({ a: '' })
  })

  test('only space and tab are trimmed', () => {
    expect(parseCookie('\t a \t=\t 1 \t; b=2')).toEqual({ a: '1', b: '2' })
    expect(parseCookie('\u00a0a=1; b=2\u00a0')).toEqual({ '\u00a0a': '1', b: '2\u00a0' })
  })

  test('nothing is decoded and quotes stay', () => {
    expect(parseCookie('a="1"; b=%41')).toEqual({ a: '"1"', b: '%41' })
  })

  test('the result has no prototype, and names of its members are cookies like others', () => {
    const cookies = parseCookie('__proto__=1; constructor=2; toString=3')
    expect(Object.getPrototypeOf(cookies)).toBeNull()
    expect(Object.entries(cookies)).toEqual([
      ['__proto__', '1'],
      ['constructor', '2'],
      ['toString', '3'],
    ])
    expect(parseCookie('a=1').toString).toBeUndefined()
  })

  test('it reads what a plain model of the format reads, in any text', () => {
    fc.assert(
      fc.property(header, (text) => {
        expect(Object.entries(parseCookie(text))).toEqual(Object.entries(model(text)))
      }),
    )
  })
})

describe('readCookie', () => {
  test('one cookie is found at the start, in the middle and at the end', () => {
    for (const wanted of ['a', 'b', 'c'])
      expect(readCookie('a=1; b=2; c=3', wanted)).toBe({ a: '1', b: '2', c: '3' }[wanted])
  })

  test('a name inside another name or inside a value is not that cookie', () => {
    expect(readCookie('xsid=1; sidx=2; v=sid=3; w=sid; x=a sid=4', 'sid')).toBeUndefined()
    expect(readCookie('xsid=1; sid=2', 'sid')).toBe('2')
  })

  test('it gives what parseCookie gives, for any header and any name', () => {
    fc.assert(
      fc.property(header, name, (text, wanted) => {
        expect(readCookie(text, wanted)).toBe(parseCookie(text)[wanted])
      }),
      { numRuns: 3000 },
    )
  })

  test('every name that parseCookie finds is found alone', () => {
    fc.assert(
      fc.property(header, (text) => {
        for (const [found, value] of Object.entries(parseCookie(text))) expect(readCookie(text, found)).toBe(value)
      }),
    )
  })
})

describe('countCookie', () => {
  test('it counts pairs of the name, and nothing that looks like one', () => {
    expect(countCookie('sid=1; xsid=2; sid=; v=sid=3; sid ; sid =4', 'sid')).toBe(3)
    expect(countCookie('sid=1', 'other')).toBe(0)
    expect(countCookie(undefined, 'sid')).toBe(0)
  })

  test('it counts what a plain model counts, for any header and any name', () => {
    fc.assert(
      fc.property(header, name, (text, wanted) => {
        const counted = pairs(text).filter(([found]) => found === wanted && found !== '').length
        expect(countCookie(text, wanted)).toBe(counted)
      }),
      { numRuns: 3000 },
    )
  })
})

test('headers of a million hostile characters are read to their end', () => {
  // Anything but linear time would run into the limit of the test.
  for (const unit of [
    ';',
    '=',
    ' ',
    '\t',
    'a',
    'sid',
    'sid ',
    ';sid',
    '; sid',
    '=sid',
    'sid;',
    ' ;',
    'sid =;',
    'a=b;',
  ]) {
    const text = unit.repeat(1_000_000 / unit.length)
    parseCookie(text)
    readCookie(text, 'sid')
    countCookie(text, 'sid')
    expect(readCookie(`${text};sid=found`, 'sid')).toBeDefined()
  }
})

function pairs(text: string): [name: string, value: string][] {
  return text
    .split(';')
    .filter((part) => part.includes('='))
    .map((part) => [trim(part.slice(0, part.indexOf('='))), trim(part.slice(part.indexOf('=') + 1))])
}

function model(text: string): Record<string, string> {
  const result: Record<string, string> = Object.create(null)
  for (const [found, value] of pairs(text)) if (found !== '' && !(found in result)) result[found] = value
  return result
}

function trim(text: string): string {
  return text.replace(/^[ \t]+|[ \t]+$/g, '')
}
