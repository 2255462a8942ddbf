import { createServer } from 'node:http'
import { gatepass } from 'gatepass/node'
import { adapterSuite, type Cart } from './suite.ts'

adapterSuite('node', ({ store, users, strategies, carry, lazy, latch, accounts }) => {
  const auth = gatepass({ sessions: { store }, users, strategies, carry, lazy, onError: () => {} })
  return createServer(
    auth.handler(async (req, res) => {
      const url = new URL(req.url ?? '/', 'http://localhost')
      const data = async (): Promise<Cart> => (await auth.session(req)).data as Cart
      switch (`${req.method} ${url.pathname}`) {
        case 'GET /public':
          return res.end('public')
        case 'POST /login':
          return auth.reply(req, (await auth.gatepass.login(auth.exchange(req), 'local', loginRoute)) ?? done)
        case 'POST /login-plain':
          return auth.reply(req, (await auth.gatepass.login(auth.exchange(req), 'local')) ?? done)
        case 'POST /login-by-hand': {
          await auth.requireSameOrigin(req)
          const bob = accounts.byId.get('bob')
          if (bob !== undefined) await req.login(bob)
          return res.writeHead(204).end()
        }
        case 'POST /logout':
          return auth.reply(req, await auth.gatepass.logout(auth.exchange(req), { success: '/public' }))
        case 'POST /logout-by-hand':
          await req.logout({ everywhere: true })
          return res.writeHead(204).end()
        case 'GET /me': {
          const refusal = await auth.gatepass.requireLogin(auth.exchange(req))
          return refusal === undefined ? res.end(JSON.stringify({ id: req.user?.id })) : auth.reply(req, refusal)
        }
        case 'GET /whoami':
          return res.end((await auth.user(req))?.id ?? 'nobody')
        case 'POST /cart': {
          const bag = await data()
          bag.cart = [...(bag.cart ?? []), url.searchParams.get('item') ?? '']
          return res.end(JSON.stringify(bag.cart))
        }
        case 'GET /cart':
          return res.end(JSON.stringify((await data()).cart ?? []))
        case 'GET /slow': {
          const bag = await data()
          await latch.promise
          bag.visits = (bag.visits ?? 0) + 1
          return res.end(String(bag.visits))
        }
        case 'GET /broken':
          ;(await data()).visits = 1
          throw new Error('broken on purpose')
        default:
          return res.writeHead(404).end()
      }
    }),
  ).listen(0, 'localhost')
})

const done = { status: 204, headers: {} }
const loginRoute = { success: '/me', failure: '/login', next: 'next', remember: 'remember' }
