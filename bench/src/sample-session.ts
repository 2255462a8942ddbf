import { hash } from 'node:crypto'
import type { SessionId, SessionRecord } from 'gatepass/session'

/** Session `n` of a bench: a login as the manager stores it. Each user has two. */
export function sampleSession(n: number, times: { now?: number; expiresAt?: number } = {}): SessionRecord {
  const { now = Date.now(), expiresAt = now + 3600_000 } = times
  const login = { at: now, amr: ['pwd'], by: 'local' }
  return {
    id: hash('sha256', `token ${n}`, 'hex') as SessionId,
    handle: String(n).padStart(22, 'h'),
    version: 1,
    subject: `user ${n >> 1}`,
    data: JSON.stringify({ cart: [n, n + 1], seen: 'a page' }),
    about: JSON.stringify({ login, client: { browser: 'Firefox', os: 'Linux' } }),
    createdAt: now,
    seenAt: now,
    expiresAt,
  }
}
