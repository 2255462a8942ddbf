import { createAdaptorServer } from '@hono/node-server'
import { type FetchStep, gatepass } from 'gatepass/fetch'
import { type Account, adapterSuite, type Cart } from './suite.ts'

adapterSuite('fetch', ({ store, users, strategies, carry, lazy, latch, accounts }) => {
  const auth = gatepass({ sessions: { store }, users, strategies, carry, lazy, onError: () => {} })
  const data = async (request: Request): Promise<Cart> => (await auth.session(request)).data as Cart
  const done = () => new Response(null, { status: 204 })
  const answered = async (step: FetchStep, request: Request) => (await step(request)) ?? done()
  const login = auth.login('local', { success: '/me', failure: '/login', next: 'next', remember: 'remember' })
  const loginPlain = auth.login('local')
  const logout = auth.logout({ success: '/public' })
  const guard = auth.requireLogin()
  const ownPages = auth.requireSameOrigin()

  const handle = auth.handler(async (request) => {
    const url = new URL(request.url)
    switch (`${request.method} ${url.pathname}`) {
      case 'GET /public':
        return new Response('public')
      case 'GET /login':
        return new Response('login page')
      case 'POST /login':
        return answered(login, request)
      case 'POST /login-plain':
        return answered(loginPlain, request)
      case 'POST /login-by-hand':
        await ownPages(request)
        await auth.of(request).login(accounts.byId.get('bob') as Account)
        return done()
      case 'POST /logout':
        return answered(logout, request)
      case 'POST /logout-by-hand':
        await auth.of(request).logout({ everywhere: true })
        return done()
      case 'GET /me':
        return (await guard(request)) ?? Response.json({ id: auth.of(request).user?.id })
      case 'GET /whoami':
        return new Response((await auth.user(request))?.id ?? 'nobody')
      case 'POST /cart': {
        const bag = await data(request)
        bag.cart = [...(bag.cart ?? []), url.searchParams.get('item') ?? '']
        return Response.json(bag.cart)
      }
      case 'GET /cart':
        return Response.json((await data(request)).cart ?? [])
      case 'GET /slow': {
        const bag = await data(request)
        await latch.promise
        bag.visits = (bag.visits ?? 0) + 1
        return new Response(String(bag.visits))
      }
      case 'GET /broken':
        ;(await data(request)).visits = 1
        throw new Error('broken on purpose')
      default:
        return new Response(null, { status: 404 })
    }
  })
  return createAdaptorServer({ fetch: (request) => handle(request) }).listen(0, 'localhost') as never
})
