import fc from 'fast-check'
import type { SessionId, SessionRecord } from 'gatepass/session'
import { expect, test } from 'vitest'
import { RecentRecords } from './recent-records.ts'

const LIFETIME = 60_000
const LONGEST = 10_000

function record(name: string, differing: Partial<SessionRecord> = {}): SessionRecord {
  const id = name as SessionId
  return {
    id,
    handle: name,
    version: 1,
    subject: null,
    data: '{}',
    about: '{}',
    createdAt: 0,
    seenAt: 0,
    expiresAt: LIFETIME,
    ...differing,
  }
}

function kept(records: RecentRecords, names: readonly string[], now = 0): string[] {
  return names.filter((name) => records.find(name as SessionId, now) !== undefined)
}

test('a record is found until its expiry, and not longer than records are kept', () => {
  const records = new RecentRecords(10, LONGEST)
  records.keep(record('short', { expiresAt: 5000 }), 0)
  records.keep(record('long'), 0)
  expect(kept(records, ['short', 'long'], 4999)).toEqual(['short', 'long'])
  expect(kept(records, ['short', 'long'], 5000)).toEqual(['long'])
  expect(kept(records, ['long'], LONGEST - 1)).toEqual(['long'])
  expect(kept(records, ['long'], LONGEST)).toEqual([])
  expect(records.size).toBe(0)
})

test('a clock that is set back keeps nothing longer', () => {
  const records = new RecentRecords(10, LONGEST)
  records.keep(record('a'), 1000)
  expect(kept(records, ['a'], 999)).toEqual([])
})

test('what is used stays when others make room, and what is used no longer goes at last', () => {
  const records = new RecentRecords(4, LONGEST)
  records.keep(record('regular'), 0)
  for (let n = 0; n < 100; n++) {
    expect(kept(records, ['regular'])).toEqual(['regular'])
    records.keep(record(`visitor ${n}`), 0)
  }
  expect(records.size).toBe(4)
  for (let n = 0; n < 6; n++) records.keep(record(`another ${n}`), 0)
  expect(kept(records, ['regular'])).toEqual([])
})

test('when all of many are used, room is found without looking at all of them', () => {
  const records = new RecentRecords(1000, LONGEST)
  const names = Array.from({ length: 1000 }, (_, n) => `${n}`)
  for (const name of names) records.keep(record(name), 0)
  expect(kept(records, names)).toHaveLength(1000)
  records.keep(record('one more'), 0)
  expect(kept(records, names)).toEqual(names.filter((name) => name !== '64'))
})

test('text beyond a kilobyte counts as more sessions, and what is larger than everything is not kept', () => {
  const records = new RecentRecords(10, LONGEST)
  for (let n = 0; n < 10; n++) records.keep(record(`${n}`), 0)
  records.keep(record('large', { data: 'x'.repeat(3000), about: 'y'.repeat(1100) }), 0)
  expect(records.size).toBe(6)
  records.keep(record('huge', { data: 'x'.repeat(20_000) }), 0)
  expect(kept(records, ['large', 'huge'])).toEqual(['large'])
  records.keep(record('large', { data: 'x'.repeat(20_000) }), 0)
  expect(kept(records, ['large'])).toEqual([])
})

const names = fc.constantFrom(...'abcdefgh')
const subjects = fc.constantFrom('s', 't', null)
const actions = fc.oneof(
  fc.record({ act: fc.constant('keep' as const), name: names, subject: subjects, length: fc.nat(2500) }),
  fc.record({ act: fc.constant('forget' as const), name: names }),
  fc.record({ act: fc.constant('find' as const), name: names }),
  fc.record({ act: fc.constant('forgetSubject' as const), subject: fc.constantFrom('s', 't') }),
  fc.record({ act: fc.constant('clear' as const) }),
)

/** Two that are never full with these names, and one that often is. */
const capacities = fc.constantFrom(6, 32, 40)

test('whatever comes and goes, what is found is what was kept last, all of it where there is room, and not what was forgotten', () => {
  fc.assert(
    fc.property(capacities, fc.array(actions, { maxLength: 60, size: 'max' }), (capacity, history) => {
      const records = new RecentRecords(capacity, LONGEST)
      const last = new Map<string, SessionRecord>()
      for (const action of history) {
        if (action.act === 'keep') {
          const { name, subject, length } = action
          const newest = record(name, { subject, data: 'x'.repeat(length) }) // up to three sessions' worth
          records.keep(newest, 0)
          last.set(name, newest)
        } else if (action.act === 'forget') {
          records.forget(action.name as SessionId)
          last.delete(action.name)
        } else if (action.act === 'forgetSubject') {
          records.forgetSubject(action.subject)
          for (const [name, { subject }] of last) if (subject === action.subject) last.delete(name)
        } else if (action.act === 'clear') {
          records.clear()
          last.clear()
        }
        let weight = 0
        for (const name of 'abcdefgh') {
          const found = action.act === 'find' && action.name !== name ? undefined : records.find(name as SessionId, 0)
          if (capacity >= 32 && action.act !== 'find') expect(found).toEqual(last.get(name))
          if (found === undefined) continue
          expect(found).toEqual(last.get(name))
          weight += 1 + Math.floor((found.data.length + 2) / 1024)
        }
        expect(weight).toBeLessThanOrEqual(capacity)
        expect(records.size).toBeLessThanOrEqual(Math.min(capacity, last.size))
      }
    }),
  )
})
