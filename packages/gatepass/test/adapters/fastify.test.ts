import fastify, { type FastifyInstance, type FastifyRequest } from 'fastify'
import { gatepass } from 'gatepass/fastify'
import { type Account, adapterSuite, type Cart, type Ingredients } from './suite.ts'

async function application(ingredients: Ingredients): Promise<FastifyInstance> {
  const { store, users, strategies, carry, lazy, latch, accounts } = ingredients
  const auth = gatepass({ sessions: { store }, users, strategies, carry, lazy })
  const data = async (request: FastifyRequest): Promise<Cart> => (await auth.session(request)).data as Cart

  const app = fastify()
  await app.register(auth)
  app.get('/public', () => 'public')
  app.post('/login', auth.login('local', { success: '/me', failure: '/login', next: 'next', remember: 'remember' }))
  app.post('/login-plain', auth.login('local'))
  app.post('/login-by-hand', { preHandler: auth.requireSameOrigin() }, async (request, reply) => {
    await request.login(accounts.byId.get('bob') as Account)
    return reply.code(204).send()
  })
  app.post('/logout', auth.logout({ success: '/public' }))
  app.post('/logout-by-hand', async (request, reply) => {
    await request.logout({ everywhere: true })
    return reply.code(204).send()
  })
  app.get('/me', { preHandler: auth.requireLogin() }, (request) => ({ id: (request.user as Account).id }))
  app.get('/login', () => 'login page')
  app.get('/whoami', async (request) => (await auth.user(request))?.id ?? 'nobody')
  app.post<{ Querystring: { item: string } }>('/cart', async (request) => {
    const bag = await data(request)
    bag.cart = [...(bag.cart ?? []), request.query.item]
    return bag.cart
  })
  app.get('/cart', async (request) => (await data(request)).cart ?? [])
  app.get('/slow', async (request) => {
    const bag = await data(request)
    await latch.promise
    bag.visits = (bag.visits ?? 0) + 1
    return String(bag.visits)
  })
  app.get('/broken', async (request) => {
    ;(await data(request)).visits = 1
    throw new Error('broken on purpose')
  })
  return app
}

adapterSuite('Fastify 5', async (ingredients) => {
  const app = await application(ingredients)
  await app.listen({ host: 'localhost', port: 0 })
  return app.server
})
