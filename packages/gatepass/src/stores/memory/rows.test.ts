import fc from 'fast-check'
import { expect, test } from 'vitest'
import { PAGE_ROWS, Rows } from './rows.ts'

test('no row is handed out twice while it is in use', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: -2000, max: 2000 }), { maxLength: 30 }), (changes) => {
      const rows = new Rows()
      const used = new Set<number>()
      for (const change of changes) {
        for (let n = 0; n < change; n++) {
          const row = rows.allocate()
          expect(used.has(row)).toBe(false)
          used.add(row)
        }
        for (const row of [...used].slice(0, Math.max(0, -change))) {
          rows.release(row)
          used.delete(row)
        }
      }
      for (const row of used) expect(() => rows.page(row)).not.toThrow()
    }),
    { numRuns: 30 },
  )
})

test('pages that are empty are given back, but for one; their numbers are used again', () => {
  const rows = new Rows()
  const used = Array.from({ length: 4 * PAGE_ROWS }, () => rows.allocate())
  expect(Math.max(...used)).toBe(4 * PAGE_ROWS - 1)
  for (const row of used) rows.release(row)
  const kept = [0, 1, 2, 3].filter((page) => {
    try {
      return rows.page(page * PAGE_ROWS)
    } catch (error) {
      expect(error).toBeInstanceOf(RangeError)
      return false
    }
  })
  expect(kept).toHaveLength(1)
  const again = Array.from({ length: 4 * PAGE_ROWS }, () => rows.allocate())
  expect(new Set(again)).toEqual(new Set(used))
})

test('a released row holds on to no text', () => {
  const rows = new Rows()
  const row = rows.allocate()
  const page = rows.page(row)
  Object.assign(page.data, { [row]: 'data' })
  Object.assign(page.about, { [row]: 'about' })
  Object.assign(page.subject, { [row]: 'subject' })
  rows.release(row)
  expect([page.data[row], page.about[row], page.subject[row]]).toEqual(['', '', null])
})
