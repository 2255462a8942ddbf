/**
 * A process of its own on a shared file: `session-writer.ts write <file> <name>` stores sessions until it is killed,
 * `session-writer.ts count <file> <id>` adds to one session's number a hundred times. Each line of output acknowledges.
 */
import { hash } from 'node:crypto'
import { writeSync } from 'node:fs'
import type { SessionId, SessionRecord } from 'gatepass/session'
import { sqliteStore } from 'gatepass/stores/sqlite'

const [, , task, file = '', name = ''] = process.argv
const store = sqliteStore(file)

if (task === 'write') for (let n = 0; ; n++) write(n)
if (task === 'count') for (let n = 0; n < 100; n++) count(name as SessionId)
store.close()

function write(n: number): void {
  const id = hash('sha256', `${name} ${n}`) as SessionId
  const now = Date.now()
  const expiresAt = now + 3600_000
  const record: SessionRecord = {
    id,
    handle: id.slice(0, 22),
    version: 1,
    subject: `user ${n % 10}`,
    data: 'x'.repeat(n % 3000),
    about: '{}',
    createdAt: now,
    seenAt: now,
    expiresAt,
  }
  if (n % 2) store.insert(record)
  else store.insertWithin(record, Number.MAX_SAFE_INTEGER)
  acknowledge(`${id} 1`)
  store.replace({ ...record, version: 2, data: 'changed' }, 1)
  acknowledge(`${id} 2`)
}

function count(id: SessionId): void {
  const record = store.load(id)
  if (record === undefined) throw new Error('the session is gone')
  const next = { ...record, version: record.version + 1, data: String(Number(record.data) + 1) }
  if (store.replace(next, record.version) === 'done') acknowledge(next.data)
  else count(id)
}

/** At once, not by way of a buffer that dies with the process. */
function acknowledge(line: string): void {
  writeSync(1, `${line}\n`)
}
