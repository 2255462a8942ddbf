import assert from 'node:assert/strict'
import { GatepassError } from '../error.ts'
import type { SessionRecord, SessionStore } from '../session/store.ts'
import { freshId, freshSubject, LIFETIME, recordAt } from './store-records.ts'
import type { Fixture } from './store-suite.ts'

/** Tests of the suite by their titles. */
export type StoreCases = Readonly<Record<string, (fixture: Fixture) => Promise<void>>>

/** Texts that encodings, SQL or JavaScript objects have misread. */
const awkwardTexts: readonly string[] = [
  ...['', ' ', 'a', 'A', 'a ', ' a', 'a\t', 'a\n', '\u00e9', 'e\u0301', 'Straße', 'STRASSE', '日本語'],
  ...['\u{1f44d}\u{1f3fd}', '\ufeffa', 'a\u0000', 'a\u0000b', '\u0000', '"', "'", "' OR '1'='1", '%', '_', '*', '\\'],
  ...['{"a":"\\u0000\\"\\\\"}', '__proto__', 'constructor', 'null', 'NULL', 'undefined', 'true'],
  ...['0', '1', '01', '1.0', '1e0', '9007199254740993', 'x'.repeat(500)],
]

/** The cases for every store. */
export const storeCases: StoreCases = {
  async 'a record is loaded as it was inserted'({ store, second, clock }) {
    const record = recordAt(clock(), { subject: 'u', data: '{"a":1}', about: '{"b":2}', seenAt: clock() + 1 })
    await store.insert(record)
    await assertStored(second, record)
  },

  async 'timestamps are kept to the millisecond, and far ahead'({ store, clock }) {
    const record = recordAt(clock() - 1, { seenAt: clock() + 1, expiresAt: Date.UTC(9999, 11, 31, 23, 59, 59, 999) })
    await store.insert(record)
    await assertStored(store, record)
  },

  async 'an id that was never inserted loads nothing'({ store, clock }) {
    await store.insert(recordAt(clock()))
    assert.equal(await store.load(freshId()), undefined)
  },

  async 'data and notes are kept as they are, whatever the text'({ store, second, clock }) {
    for (const text of awkwardTexts) {
      const record = recordAt(clock(), { data: text, about: `${text}!` })
      await store.insert(record)
      await assertStored(second, record)
      await store.replace({ ...record, version: 2, data: `${text}?`, about: text }, 1)
      await assertStored(second, { ...record, version: 2, data: `${text}?`, about: text })
    }
  },

  async 'a megabyte of data is kept as it is'({ store, second, clock }) {
    const record = recordAt(clock(), { data: JSON.stringify('ä"\u2028'.repeat(200_000)) })
    await store.insert(record)
    await assertStored(second, record)
  },

  async 'a record cannot be changed from outside, before or after it is loaded'({ store, clock }) {
    const record = recordAt(clock())
    const given = { ...record }
    await store.insert(given)
    Object.assign(given, { data: 'changed', version: 7 })
    Object.assign((await store.load(record.id)) ?? {}, { data: 'changed', version: 7 })
    await assertStored(store, record)
  },

  async 'insert refuses an id that lives, and leaves its record alone'({ store, second, clock }) {
    const record = recordAt(clock())
    await store.insert(record)
    await assertRejects(() => second.insert({ ...record, data: '{"other":1}' }), 'ERR_STORE_DUPLICATE')
    await assertStored(store, record)
  },

  async 'of many inserts of one id at once, one succeeds'({ store, second, clock }) {
    const record = recordAt(clock())
    const attempts = Array.from({ length: 20 }, async (_, n) => (n % 2 ? second : store).insert(record))
    const results = await Promise.allSettled(attempts)
    assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1)
  },

  async 'an id may be inserted again once its record is removed'({ store, clock }) {
    const record = recordAt(clock())
    await store.insert(record)
    await store.remove(record.id)
    await store.insert({ ...record, data: '{"again":1}' })
    await assertStored(store, { ...record, data: '{"again":1}' })
  },

  async 'replace saves what it is given, under the next version'({ store, second, clock }) {
    const record = recordAt(clock())
    await store.insert(record)
    const next = { ...record, version: 2, subject: 'u', data: '{"n":2}', about: '{"n":2}', seenAt: clock() + 5 }
    assert.equal(await second.replace(next, 1), 'done')
    await assertStored(store, next)
    assert.equal(await store.replace({ ...next, version: 3, subject: null }, 2), 'done')
    await assertStored(second, { ...next, version: 3, subject: null })
  },

  async 'replace can bring an expiry forward'({ store, clock }) {
    const record = recordAt(clock())
    await store.insert(record)
    await store.replace({ ...record, version: 2, expiresAt: clock() + 1000 }, 1)
    clock.advance(1)
    assert.equal(await store.load(record.id), undefined)
  },

  async 'replace never changes when a session began, nor its handle'({ store, clock }) {
    const record = recordAt(clock())
    await store.insert(record)
    await store.replace({ ...record, version: 2, handle: 'another', createdAt: clock() + 9000 }, 1)
    await assertStored(store, { ...record, version: 2 })
  },

  async 'replace is a conflict on any version but the one it names, and changes nothing'({ store, second, clock }) {
    const record = recordAt(clock())
    const second2 = { ...record, version: 2, data: '{"n":2}' }
    await store.insert(record)
    await store.replace(second2, 1)
    for (const expected of [0, 1, 3]) {
      const result = await second.replace({ ...record, version: expected + 1, data: '{"late":1}' }, expected)
      assert.equal(result, 'conflict', `expecting version ${expected} of 2`)
    }
    await assertStored(store, second2)
  },

  async 'replace of a record that was removed answers gone and brings nothing back'({ store, second, clock }) {
    const record = recordAt(clock())
    await store.insert(record)
    await store.remove(record.id)
    assert.equal(await second.replace({ ...record, version: 2 }, 1), 'gone')
    assert.equal(await store.load(record.id), undefined)
  },

  async 'touch moves seenAt and the expiry, and changes nothing else'({ store, second, clock }) {
    const record = recordAt(clock(), { subject: 'u', data: '{"a":1}', about: '{"b":2}' })
    await store.insert(record)
    const moved = { seenAt: clock() + 1000, expiresAt: record.expiresAt + 1000 }
    assert.equal(await second.touch(record.id, moved.seenAt, moved.expiresAt), 'done')
    await assertStored(store, { ...record, ...moved })
    assert.equal(await store.replace({ ...record, version: 2 }, 1), 'done', 'a touch is no new version')
  },

  async 'touch moves neither seenAt nor the expiry back'({ store, clock }) {
    const record = recordAt(clock())
    await store.insert(record)
    assert.equal(await store.touch(record.id, record.seenAt - 1, record.expiresAt + 5), 'done')
    await assertStored(store, { ...record, expiresAt: record.expiresAt + 5 })
    assert.equal(await store.touch(record.id, record.seenAt + 5, record.expiresAt - 1), 'done')
    await assertStored(store, { ...record, seenAt: record.seenAt + 5, expiresAt: record.expiresAt + 5 })
  },

  async 'touch keeps a session alive beyond its first expiry'({ store, clock }) {
    const record = recordAt(clock())
    await store.insert(record)
    clock.advance(LIFETIME - 1)
    const expiresAt = clock() + LIFETIME * 1000
    await store.touch(record.id, clock(), expiresAt)
    clock.advance(LIFETIME - 1)
    await assertStored(store, { ...record, seenAt: expiresAt - LIFETIME * 1000, expiresAt })
    clock.advance(1)
    assert.equal(await store.load(record.id), undefined)
  },

  async 'touch of a record that was removed answers gone and brings nothing back'({ store, second, clock }) {
    const record = recordAt(clock())
    await store.insert(record)
    await store.remove(record.id)
    assert.equal(await second.touch(record.id, clock(), record.expiresAt), 'gone')
    assert.equal(await second.touch(freshId(), clock(), record.expiresAt), 'gone')
    assert.equal(await store.load(record.id), undefined)
  },

  async 'remove without a version is done whether anything was there or not'({ store, second, clock }) {
    const record = recordAt(clock())
    await store.insert(record)
    await store.replace({ ...record, version: 2 }, 1)
    assert.equal(await second.remove(record.id), 'done')
    assert.equal(await store.load(record.id), undefined)
    assert.equal(await store.remove(record.id), 'done')
    assert.equal(await store.remove(freshId()), 'done')
  },

  async 'remove with a version acts on that version alone'({ store, second, clock }) {
    const record = recordAt(clock())
    await store.insert(record)
    await store.replace({ ...record, version: 2 }, 1)
    for (const version of [0, 1, 3]) assert.equal(await second.remove(record.id, version), 'conflict')
    await assertStored(store, { ...record, version: 2 })
    assert.equal(await store.remove(record.id, 2), 'done')
    assert.equal(await second.load(record.id), undefined)
    assert.equal(await second.remove(record.id, 2), 'gone')
  },

  async 'one session is removed, and its neighbours stay'({ store, clock }) {
    const records = Array.from({ length: 50 }, () => recordAt(clock()))
    for (const record of records) await store.insert(record)
    for (const record of records.filter((_, n) => n % 2)) await store.remove(record.id)
    for (const [n, record] of records.entries()) {
      if (n % 2) assert.equal(await store.load(record.id), undefined)
      else await assertStored(store, record)
    }
  },

  async 'a record lives until the millisecond before its expiry'({ store, clock }) {
    const record = recordAt(clock())
    await store.insert(record)
    clock.advance(LIFETIME - 0.001)
    await assertStored(store, record)
    clock.advance(0.001)
    assert.equal(await store.load(record.id), undefined)
  },

  async 'to replace, touch and remove an expired record is an absent one'({ store, second, clock }) {
    const record = recordAt(clock())
    await store.insert(record)
    clock.advance(LIFETIME)
    const later = clock() + LIFETIME * 1000
    assert.equal(await store.replace({ ...record, version: 2, expiresAt: later }, 1), 'gone')
    assert.equal(await store.replace({ ...record, version: 9, expiresAt: later }, 8), 'gone')
    assert.equal(await store.touch(record.id, clock(), later), 'gone')
    assert.equal(await store.remove(record.id, 1), 'gone')
    assert.equal(await store.remove(record.id, 8), 'gone')
    assert.equal(await store.load(record.id), undefined)
    assert.equal(await second.remove(record.id), 'done')
  },

  async 'to insert an expired record is an absent one'({ store, second, clock }) {
    const record = recordAt(clock(), { subject: 'u', data: '{"old":1}' })
    await store.insert(record)
    await store.replace({ ...record, version: 2 }, 1)
    clock.advance(LIFETIME)
    const renewed = recordAt(clock(), { id: record.id, data: '{"new":1}' })
    await second.insert(renewed)
    await assertStored(store, renewed)
  },

  async 'of many increments at once none is lost'({ store, second, clock }) {
    const record = recordAt(clock(), { data: '0' })
    await store.insert(record)
    const workers = Array.from({ length: 6 }, (_, n) => increment(n % 2 ? second : store, record, 10))
    await Promise.all(workers)
    await assertStored(store, { ...record, version: 61, data: '60' })
  },

  async 'a store that calls itself synchronous answers with values'({ store, clock }) {
    const record = recordAt(clock())
    const answers = [store.insert(record), store.load(record.id), store.touch(record.id, clock(), clock())]
    answers.push(store.replace({ ...record, version: 2 }, 1), store.remove(record.id, 2), store.remove(record.id))
    await Promise.all(answers)
    if (store.synchronous) assert(!answers.some((answer) => answer instanceof Promise))
  },
}

/** The cases for every store that is a SubjectIndex. */
export const subjectCases: StoreCases = {
  async 'the sessions of a subject are listed, the most recently begun first'({ store, second, clock }) {
    const subject = freshSubject()
    const records = [3, 1, 4, 2].map((age) => recordAt(clock(), { subject, createdAt: clock() - age * 1000 }))
    for (const record of records) await store.insert(record)
    await store.insert(recordAt(clock(), { subject: freshSubject() }))
    await store.insert(recordAt(clock()))
    const [three, one, four, two] = records
    assert.deepEqual((await second.listBySubject(subject)).map(fields), [one, two, three, four])
    assert.deepEqual(await second.listBySubject(freshSubject()), [])
  },

  async 'subjects that look alike are different subjects'({ store, second, clock }) {
    const records = awkwardTexts.map((subject) => recordAt(clock(), { subject }))
    for (const record of records) await store.insert(record)
    await store.insert(recordAt(clock()))
    for (const record of records) {
      assert.deepEqual((await second.listBySubject(record.subject ?? '')).map(fields), [record])
    }
    for (const record of records) assert.equal(await store.removeBySubject(record.subject ?? ''), 1)
  },

  async 'a session that changes hands by replace is found under its new subject alone'({ store, clock }) {
    const [before, after] = [freshSubject(), freshSubject()]
    const record = recordAt(clock())
    await store.insert(record)
    await store.replace({ ...record, version: 2, subject: before }, 1)
    assert.equal((await store.listBySubject(before)).length, 1)
    await store.replace({ ...record, version: 3, subject: after }, 2)
    assert.deepEqual(await store.listBySubject(before), [])
    assert.deepEqual((await store.listBySubject(after)).map(fields), [{ ...record, version: 3, subject: after }])
    await store.replace({ ...record, version: 4, subject: null }, 3)
    assert.deepEqual(await store.listBySubject(after), [])
  },

  async 'a removed session is listed no longer'({ store, clock }) {
    const subject = freshSubject()
    const [kept, ended] = [recordAt(clock(), { subject }), recordAt(clock(), { subject })]
    await store.insert(kept)
    await store.insert(ended)
    await store.remove(ended.id, 1)
    assert.deepEqual((await store.listBySubject(subject)).map(fields), [kept])
  },

  async 'removeBySubject ends all sessions of a subject, counts them, and leaves those of others'({
    store,
    second,
    clock,
  }) {
    const subject = freshSubject()
    const own = [1, 2, 3].map(() => recordAt(clock(), { subject }))
    const others = [recordAt(clock(), { subject: freshSubject() }), recordAt(clock())]
    for (const record of [...own, ...others]) await store.insert(record)
    assert.equal(await second.removeBySubject(subject), 3)
    for (const { id } of own) assert.equal(await store.load(id), undefined)
    for (const record of others) await assertStored(store, record)
    assert.equal(await store.removeBySubject(subject), 0)
    assert.equal(await store.removeBySubject(freshSubject()), 0)
  },

  async 'removeBySubject leaves the one that is excepted'({ store, clock }) {
    const subject = freshSubject()
    const [kept, ended] = [recordAt(clock(), { subject }), recordAt(clock(), { subject })]
    const stranger = recordAt(clock(), { subject: freshSubject() })
    for (const record of [kept, ended, stranger]) await store.insert(record)
    assert.equal(await store.removeBySubject(subject, kept.id), 1)
    await assertStored(store, kept)
    assert.equal(await store.removeBySubject(subject, stranger.id), 1)
    await assertStored(store, stranger)
    assert.equal(await store.removeBySubject(subject, freshId()), 0)
  },

  async 'to everything asked by subject an expired record is an absent one'({ store, clock }) {
    const subject = freshSubject()
    for (let n = 0; n < 3; n++) await store.insert(recordAt(clock(), { subject }))
    const lasting = recordAt(clock(), { subject, expiresAt: clock() + 2 * LIFETIME * 1000 })
    await store.insert(lasting)
    clock.advance(LIFETIME)
    assert.deepEqual((await store.listBySubject(subject)).map(fields), [lasting])
    assert.equal(await store.insertWithin(recordAt(clock(), { subject }), 2), 0)
    assert.equal(await store.removeBySubject(subject, lasting.id), 1)
  },

  async 'insertWithin keeps the newest up to the limit and says how many it removed'({ store, second, clock }) {
    const subject = freshSubject()
    const removed: number[] = []
    const records: SessionRecord[] = []
    for (let n = 0; n < 6; n++) {
      const record = recordAt(clock(), { subject })
      records.unshift(record)
      removed.push(await (n % 2 ? second : store).insertWithin(record, 3))
      assert.deepEqual((await store.listBySubject(subject)).map(fields), records.slice(0, 3))
      clock.advance(1)
    }
    assert.deepEqual(removed, [0, 0, 0, 1, 1, 1])
  },

  async 'insertWithin removes all beyond a limit that was lowered'({ store, clock }) {
    const subject = freshSubject()
    for (let age = 5; age > 0; age--) await store.insert(recordAt(clock(), { subject, createdAt: clock() - age }))
    const newest = recordAt(clock(), { subject })
    assert.equal(await store.insertWithin(newest, 1), 5)
    assert.deepEqual((await store.listBySubject(subject)).map(fields), [newest])
  },

  async 'insertWithin keeps the session it inserts, whatever its age and the limit'({ store, clock }) {
    const subject = freshSubject()
    await store.insert(recordAt(clock(), { subject }))
    const fromSlowClock = recordAt(clock(), { subject, createdAt: clock() - 5000 })
    assert.equal(await store.insertWithin(fromSlowClock, 1), 1)
    assert.deepEqual((await store.listBySubject(subject)).map(fields), [fromSlowClock])
    const last = recordAt(clock(), { subject })
    assert.equal(await store.insertWithin(last, 0), 1)
    await assertStored(store, last)
  },

  async 'to insertWithin two records with one handle are one session, as old as the younger'({ store, second, clock }) {
    const subject = freshSubject()
    const [oldest, older, old] = [3, 2, 1].map((age) => recordAt(clock() - age, { subject })) as [
      SessionRecord,
      SessionRecord,
      SessionRecord,
    ]
    for (const record of [oldest, older, old]) await store.insert(record)
    // The oldest logs in again and the next one moves to another id. Both still have their old records.
    const again = recordAt(clock(), { subject, handle: oldest.handle })
    const moved = { ...older, id: freshId() }
    assert.equal(await second.insertWithin(again, 3), 0)
    await second.insert(moved)
    assert.equal(await store.insertWithin(recordAt(clock() + 1, { subject }), 4), 0)
    for (const record of [oldest, older, old, again, moved]) await assertStored(store, record)
    assert.equal(await store.insertWithin(recordAt(clock() + 2, { subject }), 4), 2, 'both records of one session')
    for (const { id } of [older, moved]) assert.equal(await store.load(id), undefined)
    for (const record of [oldest, old, again]) await assertStored(store, record)
  },

  async 'insertWithin leaves the sessions of other subjects and of nobody'({ store, clock }) {
    const others = [recordAt(clock(), { subject: freshSubject() }), recordAt(clock()), recordAt(clock())]
    for (const record of others) assert.equal(await store.insertWithin(record, 1), 0)
    assert.equal(await store.insertWithin(recordAt(clock(), { subject: freshSubject() }), 1), 0)
    for (const record of others) await assertStored(store, record)
  },

  async 'insertWithin of an id that lives is refused and removes nobody'({ store, clock }) {
    const subject = freshSubject()
    const records = [2, 1].map((age) => recordAt(clock(), { subject, createdAt: clock() - age }))
    for (const record of records) await store.insert(record)
    const taken = recordAt(clock())
    await store.insert(taken)
    await assertRejects(() => store.insertWithin({ ...taken, subject }, 1), 'ERR_STORE_DUPLICATE')
    for (const record of [...records, taken]) await assertStored(store, record)
  },

  async 'many logins at once stay within the limit'({ store, second, clock }) {
    const subject = freshSubject()
    const logins = Array.from({ length: 30 }, async (_, n) =>
      (n % 2 ? second : store).insertWithin(recordAt(clock(), { subject, createdAt: clock() + n }), 5),
    )
    const removed = await Promise.all(logins)
    assert.equal((await store.listBySubject(subject)).length, 5)
    assert.equal(
      removed.reduce((sum, count) => sum + count, 0),
      25,
    )
  },
}

/** Adds 1, `times` times. Every conflict is the success of another writer, so the number of attempts is limited. */
async function increment(store: SessionStore, { id }: SessionRecord, times: number): Promise<void> {
  let left = times
  for (let attempt = 0; left > 0; attempt++) {
    assert(attempt < 1000, 'replace hardly ever succeeds')
    const record = await store.load(id)
    assert(record, 'the record is gone')
    const next = { ...record, version: record.version + 1, data: String(Number(record.data) + 1) }
    if ((await store.replace(next, record.version)) === 'done') left--
  }
}

async function assertStored(store: SessionStore, expected: SessionRecord): Promise<void> {
  const record = await store.load(expected.id)
  assert(record, 'the record is gone')
  assert.deepEqual(fields(record), expected)
}

async function assertRejects(call: () => unknown, code: string): Promise<void> {
  await assert.rejects(
    async () => call(),
    (error) => error instanceof GatepassError && error.code === code,
    `expected ${code}`,
  )
}

/** The fields of a record. A store may return an object with more fields or another prototype. */
export function fields(record: SessionRecord): SessionRecord {
  const { id, handle, version, subject, data, about, createdAt, seenAt, expiresAt } = record
  return { id, handle, version, subject, data, about, createdAt, seenAt, expiresAt }
}
