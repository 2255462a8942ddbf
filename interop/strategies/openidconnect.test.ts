import type { IncomingMessage, ServerResponse } from 'node:http'
import { Provider } from 'oidc-provider'
import { beforeAll, describe, expect, test, vi } from 'vitest'
import { hosts, listen, type MakeStrategy, require } from './site.ts'

type Done = (error: unknown, user?: unknown) => void

// It says what everybody knows of a provider in a test.
beforeAll(() => void vi.spyOn(console, 'warn').mockImplementation(() => {}))

/** oidc-provider with one client, whose only user is logged in and agrees at once. */
async function provider(redirectUri: string): Promise<string> {
  let serve: (req: IncomingMessage, res: ServerResponse) => void = () => {}
  const origin = await listen((req, res) => serve(req, res))
  const oidc = new Provider(origin, {
    clients: [
      {
        client_id: 'us',
        client_secret: 'secret',
        redirect_uris: [redirectUri],
        token_endpoint_auth_method: 'client_secret_post',
      },
    ],
    pkce: { required: () => false },
    cookies: { keys: ['a key for the cookies of the provider'] },
    findAccount: (_: unknown, sub: string) => ({ accountId: sub, claims: () => ({ sub, name: 'Ada' }) }),
    features: { devInteractions: { enabled: false } },
    interactions: { url: (_: unknown, interaction: { uid: string }) => `/interaction/${interaction.uid}` },
    ttl: { Interaction: 60, Session: 60, Grant: 60, AccessToken: 60, IdToken: 60, AuthorizationCode: 60 },
  } as never)
  const callback = oidc.callback()
  serve = async (req, res) => {
    if (!req.url?.startsWith('/interaction/')) return callback(req, res)
    const { params } = await oidc.interactionDetails(req, res)
    const grant = new oidc.Grant({ accountId: 'ada', clientId: String(params.client_id) })
    grant.addOIDCScope('openid profile')
    const grantId = await grant.save()
    await oidc.interactionFinished(req, res, { login: { accountId: 'ada' }, consent: { grantId } })
  }
  return origin
}

const openid: MakeStrategy = async ({ origin, known }) => {
  const { Strategy } = require('passport-openidconnect')
  const callbackURL = `${origin}/login`
  const issuer = await provider(callbackURL)
  const options = {
    issuer,
    authorizationURL: `${issuer}/auth`,
    tokenURL: `${issuer}/token`,
    userInfoURL: `${issuer}/me`,
    clientID: 'us',
    clientSecret: 'secret',
    callbackURL,
    nonce: true,
    scope: ['profile'],
    skipUserProfile: false,
  }
  return new Strategy(options, (_issuer: string, profile: { id: string }, done: Done) =>
    done(null, known({ id: profile.id })),
  )
}

describe.each(hosts)('%s', (_, host) => {
  test('passport-openidconnect logs in at oidc-provider: code, state, nonce, ID token, user info', async () => {
    const browser = await host(openid)
    expect(await (await browser.fetch('/login')).json()).toEqual({ id: 'ada' })
    expect(await (await browser.fetch('/me')).json()).toEqual({ id: 'ada' })
  })

  test('passport-openidconnect refuses a callback with a state that is not ours', async () => {
    const browser = await host(openid)
    expect((await browser.fetch('/login?code=1&state=made-up')).status).toBe(403)
  })
})
