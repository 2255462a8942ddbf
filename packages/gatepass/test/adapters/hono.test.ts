import { createAdaptorServer } from '@hono/node-server'
import { gatepass, type HonoEnv } from 'gatepass/hono'
import { type Context, Hono } from 'hono'
import { type Account, adapterSuite, type Cart } from './suite.ts'

adapterSuite('Hono 4', ({ store, users, strategies, carry, lazy, latch, accounts }) => {
  const auth = gatepass({ sessions: { store }, users, strategies, carry, lazy, onError: () => {} })
  const data = async (c: Context): Promise<Cart> => (await auth.session(c)).data as Cart
  const app = new Hono<HonoEnv<Account>>()
  app.use(auth)
  app.onError((error, c) => {
    try {
      return auth.errors()(error, c)
    } catch {
      return c.text('broken', 500)
    }
  })
  app.get('/public', (c) => c.text('public'))
  app.get('/login', (c) => c.text('login page'))
  const done = (c: Context) => c.body(null, 204)
  app.post('/login', auth.login('local', { success: '/me', failure: '/login', next: 'next', remember: 'remember' }))
  app.post('/login-plain', auth.login('local'), done)
  app.post('/login-by-hand', auth.requireSameOrigin(), async (c) => {
    await c.var.auth.login(accounts.byId.get('bob') as Account)
    return done(c)
  })
  app.post('/logout', auth.logout({ success: '/public' }))
  app.post('/logout-by-hand', async (c) => {
    await c.var.auth.logout({ everywhere: true })
    return done(c)
  })
  app.get('/me', auth.requireLogin(), (c) => c.json({ id: c.var.auth.user?.id }))
  app.get('/whoami', async (c) => c.text((await auth.user(c))?.id ?? 'nobody'))
  app.post('/cart', async (c) => {
    const bag = await data(c)
    bag.cart = [...(bag.cart ?? []), c.req.query('item') ?? '']
    return c.json(bag.cart)
  })
  app.get('/cart', async (c) => c.json((await data(c)).cart ?? []))
  app.get('/slow', async (c) => {
    const bag = await data(c)
    await latch.promise
    bag.visits = (bag.visits ?? 0) + 1
    return c.text(String(bag.visits))
  })
  app.get('/broken', async (c) => {
    ;(await data(c)).visits = 1
    throw new Error('broken on purpose')
  })
  return createAdaptorServer({ fetch: app.fetch }).listen(0, 'localhost') as never
})
