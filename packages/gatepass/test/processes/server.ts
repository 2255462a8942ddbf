/**
 * One of several server processes behind one port: `server.ts <redis|postgres> <address of the engine> <port>`. It also
 * listens on a port of its own, which it prints once both answer.
 */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { ProtocolError } from 'gatepass'
import { gatepass } from 'gatepass/node'
import type { Session } from 'gatepass/session'
import { cachedStore } from 'gatepass/stores/cached'
import { type EngineName, storeOn } from './stores.ts'

const [, , engine = '', address = '', port = ''] = process.argv
const store = cachedStore((await storeOn(engine as EngineName, address)).store)

const auth = gatepass({
  sessions: { store },
  users: { find: (id) => ({ id }), subject: (user) => user.id },
})

type Data = Record<string, unknown>

const routes: Readonly<Record<string, (session: Session<Data>, query: URLSearchParams) => unknown>> = {
  '/login': (session, query) => session.assign(query.get('user') ?? '', { at: Date.now(), amr: ['pwd'] }),
  '/change': (session, query) => {
    owned(session).data[query.get('key') ?? ''] = true
  },
  '/update': (session, query) =>
    owned(session).update((data) => {
      data[query.get('key') ?? ''] = true
      data.count = Number(data.count ?? 0) + 1
    }),
  '/rotate': (session) => owned(session).rotate(),
  '/logout': (session) => session.destroy(),
  '/logout-everywhere': (session) => auth.sessions.revokeAll(owned(session).subject ?? ''),
  '/me': (session) => owned(session),
  '/cache': () => ({ listening: store.listening, size: store.size }),
}

const listener = auth.handler(async (req: IncomingMessage, res: ServerResponse) => {
  const { pathname, searchParams } = new URL(req.url ?? '', 'http://here')
  const session = (await auth.session(req)) as Session<Data>
  const answer = await routes[pathname]?.(session, searchParams)
  res.setHeader('process', process.pid)
  const { subject, data } = session
  res.end(JSON.stringify(pathname === '/cache' ? answer : { subject, data }))
})

function owned(session: Session<Data>): Session<Data> {
  if (session.subject !== undefined) return session
  throw new ProtocolError('ERR_LOGIN_REQUIRED', 'nobody is logged in', { status: 401 })
}

const shared = createServer(listener).listen({ port: Number(port), host: '127.0.0.1', reusePort: true })
const own = createServer(listener).listen(0, '127.0.0.1')
await Promise.all([once(shared, 'listening'), once(own, 'listening')])
console.log((own.address() as AddressInfo).port)
