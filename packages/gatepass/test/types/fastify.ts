// Compiled by `npm run check:types`, never run: what must and what must not compile.
import fastify, { type FastifyPluginAsync } from 'fastify'
import { gatepass } from 'gatepass/fastify'
import type { SessionStore } from 'gatepass/session'
import { local } from 'gatepass/strategies/local'

interface Account {
  id: string
}
declare const accounts: { byId(id: string): Account | undefined }
declare const store: SessionStore

const auth = gatepass({
  sessions: { store },
  users: { find: (id) => accounts.byId(id), subject: (user) => user.id },
  strategies: [local({ verify: (name) => accounts.byId(name) })],
})

export async function routes(): Promise<void> {
  const app = fastify({ logger: true })
  await app.register(auth)
  await app.register(auth, { prefix: '/scope' })

  // Guards and handlers fit routes with types of their own.
  app.post('/login', auth.login('local', { success: '/' }))
  app.post<{ Body: { name: string }; Reply: { ok: boolean } }>(
    '/name',
    { preHandler: [auth.requireLogin(), auth.requireSameOrigin()] },
    async (request) => ({ ok: (await auth.user(request))?.id === request.body.name }),
  )
  app.addHook('onRequest', auth.requireLogin({ maxAge: 600 }))
  // @ts-expect-error it makes hooks, and is none
  app.get('/hook', { preHandler: auth.requireLogin }, () => 'in')
  // @ts-expect-error it makes hooks, and is none
  app.addHook('onRequest', auth.requireSameOrigin)
  // @ts-expect-error it makes handlers, and is none
  app.post('/logout', auth.logout)
  // @ts-expect-error there is no strategy of this name
  app.post('/login', auth.login('lcoal'))

  app.get('/', async (request) => {
    const user: Account | undefined = await auth.user(request)
    await request.login({ id: 'a' }, { remember: true, amr: ['pwd'] })
    await request.logout({ everywhere: true })
    // @ts-expect-error a session is not replaced
    request.session = {}
    return [user?.id, request.session.data]
  })
}

export const asPlugin: FastifyPluginAsync = async (app) => {
  await app.register(auth)
}
