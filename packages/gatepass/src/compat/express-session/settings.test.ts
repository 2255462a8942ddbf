import { expect, test } from 'vitest'
import { signedIds } from './settings.ts'

const sent = (name: string, value: string) => ({ headers: { cookie: `${name}=${encodeURIComponent(value)}` } })

test('a signature that was verified once is verified again, and a forged one beside it is not', () => {
  const ids = signedIds('sid', 'a secret')
  const genuine = sent('sid', ids.sign('an-id'))
  const forged = sent('sid', `${ids.sign('an-id').slice(0, -1)}_`)
  for (let n = 0; n < 3; n++) {
    expect(ids.from(genuine)).toEqual({ value: 'an-id', outdated: false })
    expect(ids.from(forged)).toBeUndefined()
  }
})

test('what was verified under one secret is not under another', () => {
  const [ours, theirs] = [signedIds('sid', 'a secret'), signedIds('sid', 'another secret')]
  const cookie = sent('sid', ours.sign('an-id'))
  expect(ours.from(cookie)).toBeDefined()
  expect(theirs.from(cookie)).toBeUndefined()
})

test('a signature by a retired secret stays outdated, however often it comes', () => {
  const cookie = sent('sid', signedIds('sid', 'the old one').sign('an-id'))
  const ids = signedIds('sid', ['the new one', 'the old one'])
  for (let n = 0; n < 2; n++) expect(ids.from(cookie)).toEqual({ value: 'an-id', outdated: true })
})
