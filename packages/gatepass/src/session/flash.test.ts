import { addFlash, type Session, SessionManager, takeFlash } from 'gatepass/session'
import { memoryStore } from 'gatepass/stores/memory'
import { TestJar } from 'gatepass/testing'
import { expect, test } from 'vitest'

const sessions = new SessionManager({ store: memoryStore() })

async function visit<T>(jar: TestJar, act: (session: Session) => T): Promise<T> {
  const exchange = jar.exchange()
  const answer = act(await sessions.open(exchange))
  await sessions.commit(exchange)
  jar.receive(exchange)
  return answer
}

test('a message is shown once, on the next page, in the order of adding', async () => {
  const jar = new TestJar()
  await visit(jar, (session) => {
    addFlash(session, 'info', 'Saved')
    addFlash(session, 'error', 'But not sent')
  })
  expect(await visit(jar, takeFlash)).toEqual([
    { kind: 'info', text: 'Saved' },
    { kind: 'error', text: 'But not sent' },
  ])
  expect(await visit(jar, takeFlash)).toEqual([])
})

test('a message survives a login, and may be left by a logout', async () => {
  const jar = new TestJar()
  await visit(jar, (session) => addFlash(session, 'info', 'Log in first'))
  await visit(jar, (session) => session.assign('alice', { at: 0, amr: [] }))
  expect(await visit(jar, takeFlash)).toEqual([{ kind: 'info', text: 'Log in first' }])
  await visit(jar, (session) => {
    session.destroy()
    addFlash(session, 'info', 'Logged out')
  })
  expect(await visit(jar, (session) => session.subject)).toBeUndefined()
  expect(await visit(jar, takeFlash)).toEqual([{ kind: 'info', text: 'Logged out' }])
})

test('looking for messages changes nothing', async () => {
  const jar = new TestJar()
  expect(await visit(jar, takeFlash)).toEqual([])
  expect(jar.names).toEqual([])
})
