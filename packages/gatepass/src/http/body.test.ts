import { expect, test } from 'vitest'
import { parseContentType } from './body.ts'

test.each([
  ['application/json', 'application/json', {}],
  ['APPLICATION/JSON', 'application/json', {}],
  ['text/html; charset=UTF-8', 'text/html', { charset: 'UTF-8' }],
  ['text/html;Charset="utf-8"', 'text/html', { charset: 'utf-8' }],
  ['text/plain ;\ta=1 ; b="x;\\"y"', 'text/plain', { a: '1', b: 'x;"y' }],
  ['text/plain;a=""', 'text/plain', { a: '' }],
  ['application/json;', 'application/json', {}],
  ['application/json; ;a=1; ', 'application/json', { a: '1' }],
])('%j is read whole', (field, type, parameters) => {
  const parsed = parseContentType(field)
  expect(parsed?.type).toBe(type)
  expect(Object.fromEntries(parsed?.parameters ?? [])).toEqual(parameters)
})

test.each([
  '',
  'json',
  'application/',
  '/json',
  ' application/json',
  'application/json, text/plain',
  'application/json;x',
  'application/json;;x',
  'application/json;x=',
  'application/json; charset=utf-8; charset=utf-16',
  'application/json; CHARSET=utf-8; charset=utf-8',
  'text/plain;application/json',
  'application/json charset=utf-8',
  'application/json;a="x',
  'application/json;a="x"y',
  'application /json',
  'application/json\n',
])('%j is malformed', (field) => {
  expect(parseContentType(field)).toBeUndefined()
})

test('a long malformed field is refused', () => {
  expect(parseContentType(`a/b${' '.repeat(60_000)}`)).toBeUndefined()
  expect(parseContentType(`a/b;c="${'\\\\'.repeat(30_000)}`)).toBeUndefined()
  expect(parseContentType(`a/b${'; '.repeat(30_000)}x`)).toBeUndefined()
})
