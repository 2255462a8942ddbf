import { createHash } from 'node:crypto'
import express from 'express'
import { listen } from './site.ts'

/** A provider of OAuth 2 that lets everybody in at once. */
export interface FakeOAuth2 {
  readonly origin: string
  /** The query of every request to `/authorize`. */
  readonly asked: Record<string, string>[]
}

/** @param profile what it says about everybody; a list of e-mail addresses is at `/emails` */
export async function fakeOAuth2(profile: object): Promise<FakeOAuth2> {
  const asked: Record<string, string>[] = []
  const codes = new Map<string, Record<string, string>>()
  const app = express()
  app.get('/authorize', (req, res) => {
    const query = req.query as Record<string, string>
    const code = `code-${asked.push(query)}`
    codes.set(code, query)
    const back = new URL(query.redirect_uri ?? '')
    back.searchParams.set('code', code)
    if (query.state !== undefined) back.searchParams.set('state', query.state)
    res.redirect(back.href)
  })
  app.post('/token', express.urlencoded(), (req, res) => {
    const query = codes.get(req.body.code)
    codes.delete(req.body.code)
    const proven = query?.code_challenge === undefined || query.code_challenge === challengeOf(req.body.code_verifier)
    if (query === undefined || !proven) return void res.status(400).json({ error: 'invalid_grant' })
    res.json({ access_token: 'an-access-token', token_type: 'Bearer' })
  })
  app.get('/profile', (_req, res) => void res.json(profile))
  app.get('/emails', (_req, res) => void res.json([{ email: 'ada@example.org', primary: true, verified: true }]))
  return { origin: await listen(app), asked }
}

function challengeOf(verifier: string | undefined): string {
  return createHash('sha256')
    .update(verifier ?? '')
    .digest('base64url')
}
