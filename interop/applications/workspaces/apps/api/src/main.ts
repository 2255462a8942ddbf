import { parse } from 'cookie'
import cookieSession from 'cookie-session'
import express from 'express'

declare const process: { env: Record<string, string | undefined> }

const app = express()
app.use(express.urlencoded({ extended: false }))
app.use(cookieSession({ keys: ['a key'], maxAge: 3600_000 }))
app.get('/me', (req, res) => {
  const name = req.session?.name
  if (name === undefined) res.sendStatus(401)
  else res.json({ name, cookies: Object.keys(parse(req.headers.cookie ?? '')).sort() })
})
app.post('/login', (req, res) => {
  if (req.body.password !== 'secret') return void res.sendStatus(401)
  if (req.session) req.session.name = req.body.username
  res.redirect('/me')
})
app.post('/logout', (req, res) => {
  req.session = null
  res.redirect('/')
})
app.listen(Number(process.env.PORT), '127.0.0.1')
