import { createRequire } from 'node:module'
import express5, { type Express, type NextFunction, type Request, type Response } from 'express'
import { gatepass } from 'gatepass/express'
import { type Account, adapterSuite, type Cart, type Ingredients } from './suite.ts'

const express4 = createRequire(import.meta.url)('express4') as typeof express5

function application(express: typeof express5, ingredients: Ingredients): Express {
  const { store, users, strategies, carry, lazy, latch, accounts } = ingredients
  const auth = gatepass({ sessions: { store }, users, strategies, carry, lazy })
  const data = async (req: Request): Promise<Cart> => (await auth.session(req)).data as Cart
  const caught =
    (run: (req: Request, res: Response) => Promise<unknown>) => (req: Request, res: Response, next: NextFunction) =>
      run(req, res).catch(next)

  const app = express()
  app.set('env', 'test')
  app.use(auth)
  app.get('/public', (_req, res) => void res.send('public'))
  app.post('/login', auth.login('local', { success: '/me', failure: '/login', next: 'next', remember: 'remember' }))
  app.post('/login-plain', express.json(), auth.login('local'), (_req, res) => void res.sendStatus(204))
  app.post(
    '/login-by-hand',
    auth.requireSameOrigin(),
    caught(async (req, res) => {
      await req.login(accounts.byId.get('bob') as Account)
      res.sendStatus(204)
    }),
  )
  app.post('/logout', auth.logout({ success: '/public' }))
  app.post(
    '/logout-by-hand',
    caught(async (req, res) => {
      await req.logout({ everywhere: true })
      res.sendStatus(204)
    }),
  )
  app.get('/me', auth.requireLogin(), (req, res) => void res.json({ id: (req.user as Account).id }))
  app.get('/login', (_req, res) => void res.send('login page'))
  app.get(
    '/whoami',
    caught(async (req, res) => res.send((await auth.user(req))?.id ?? 'nobody')),
  )
  app.post(
    '/cart',
    caught(async (req, res) => {
      const bag = await data(req)
      bag.cart = [...(bag.cart ?? []), String(req.query.item)]
      res.json(bag.cart)
    }),
  )
  app.get(
    '/cart',
    caught(async (req, res) => res.json((await data(req)).cart ?? [])),
  )
  app.get(
    '/slow',
    caught(async (req, res) => {
      const bag = await data(req)
      await latch.promise
      bag.visits = (bag.visits ?? 0) + 1
      res.send(String(bag.visits))
    }),
  )
  app.get(
    '/broken',
    caught(async (req) => {
      ;(await data(req)).visits = 1
      throw new Error('broken on purpose')
    }),
  )
  return app
}

adapterSuite('Express 5', (ingredients) => application(express5, ingredients).listen(0, 'localhost'))
adapterSuite('Express 4', (ingredients) => application(express4, ingredients).listen(0, 'localhost'))
