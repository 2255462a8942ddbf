import { createHmac } from 'node:crypto'
import express from 'express'
import { describe, expect, test } from 'vitest'
import { hosts, listen, type MakeStrategy, require } from './site.ts'

type Done = (error: unknown, user?: unknown) => void
const encode = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16)}`)

/** A provider of OAuth 1.0 (RFC 5849) that checks signatures and accepts every user. */
async function fakeOAuth1(): Promise<string> {
  const app = express()
  const secrets: Record<string, string> = { '': '', request: 'request-secret', access: 'access-secret' }
  app.use((req, res, next) => {
    if (req.path === '/authenticate') return next()
    const fields = [...(req.headers.authorization ?? '').matchAll(/(\w+)="([^"]*)"/g)].map(
      ([, name = '', value = '']) => [name, decodeURIComponent(value)] as const,
    )
    const header = Object.fromEntries(fields)
    const query = Object.entries(req.query as Record<string, string>)
    const parameters = [...fields, ...query].filter(([name]) => name !== 'oauth_signature')
    const sorted = parameters.map(([name, value]) => `${encode(name)}=${encode(value)}`).sort()
    const url = `http://${req.headers.host}${req.path}`
    const base = [req.method, url, sorted.join('&')].map(encode).join('&')
    const key = `consumer-secret&${secrets[header.oauth_token ?? ''] ?? '?'}`
    const expected = createHmac('sha1', key).update(base).digest('base64')
    if (expected === header.oauth_signature) next()
    else res.status(401).send('bad signature')
  })
  app.post(
    '/request',
    (_req, res) => void res.send('oauth_token=request&oauth_token_secret=request-secret&oauth_callback_confirmed=true'),
  )
  app.get('/authenticate', (req, res) =>
    res.redirect(`${callback}?oauth_token=${req.query.oauth_token}&oauth_verifier=v`),
  )
  app.post(
    '/access',
    (_req, res) => void res.send('oauth_token=access&oauth_token_secret=access-secret&user_id=7&screen_name=ada'),
  )
  app.get('/profile', (_req, res) => void res.json({ id_str: '7', id: 7, screen_name: 'ada', name: 'Ada' }))
  return listen(app)
}

let callback: string

const twitter: (provider: string) => MakeStrategy =
  (provider) =>
  ({ origin, known }) => {
    callback = `${origin}/login`
    const { Strategy } = require('passport-twitter')
    const options = {
      consumerKey: 'us',
      consumerSecret: 'consumer-secret',
      callbackURL: callback,
      requestTokenURL: `${provider}/request`,
      accessTokenURL: `${provider}/access`,
      userAuthorizationURL: `${provider}/authenticate`,
      userProfileURL: `${provider}/profile`,
    }
    return new Strategy(
      options,
      (_token: string, _secret: string, profile: { id: string; username: string }, done: Done) =>
        done(null, known({ id: profile.id, name: profile.username })),
    )
  }

describe.each(hosts)('%s', (_, host) => {
  test('passport-twitter logs in by OAuth 1.0: signed requests, request token in the session', async () => {
    const browser = await host(twitter(await fakeOAuth1()))
    expect(await (await browser.fetch('/login')).json()).toEqual({ id: '7', name: 'ada' })
    expect(await (await browser.fetch('/me')).json()).toEqual({ id: '7', name: 'ada' })
  })

  test('passport-twitter refuses who says no', async () => {
    const browser = await host(twitter(await fakeOAuth1()))
    expect((await browser.fetch('/login?denied=request')).status).toBe(401)
  })
})
