import { describe, expect, test } from 'vitest'
import { hosts, type MakeStrategy, require } from './site.ts'

type Done = (error: unknown, user?: unknown) => void

/** passport-magic-login, whose mails land in `sent`. */
function magic(sent: string[], verify?: () => Promise<never>): MakeStrategy {
  return ({ known }) => {
    const MagicLogin = require('passport-magic-login').default
    return new MagicLogin({
      secret: 'a secret of at least thirty-two characters',
      callbackUrl: '/login',
      sendMagicLink: async (_to: string, href: string) => void sent.push(href),
      verify:
        verify ?? ((payload: { destination: string }, done: Done) => done(null, known({ id: payload.destination }))),
    })
  }
}

async function mailed(strategy: unknown, sent: string[]): Promise<string> {
  const answered = new Promise<void>((resolve) => {
    const res = { json: () => resolve(), status: () => res }
    ;(strategy as { send(req: object, res: object): void }).send(
      {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: { destination: 'ada@example.org' },
        query: {},
      },
      res,
    )
  })
  await answered
  return sent.at(-1) ?? ''
}

describe.each(hosts)('%s', (name, host) => {
  test('passport-magic-login logs in by a link that was mailed', async () => {
    const sent: string[] = []
    let strategy: unknown
    const browser = await host((site) => {
      const made = magic(sent)(site)
      strategy = made
      return made
    })
    const link = await mailed(strategy, sent)
    expect(await (await browser.fetch(link)).json()).toEqual({ id: 'ada@example.org' })
    expect(await (await browser.fetch('/me')).json()).toEqual({ id: 'ada@example.org' })
    expect((await browser.fetch(link.replace(/.$/, (last) => (last === 'A' ? 'B' : 'A')))).status).toBe(401)
  })

  // Passport itself never answers here, and the process is told of an unhandled rejection.
  test.skipIf(name === 'passport 0.7')(
    'a verify function of passport-magic-login that rejects is an error',
    async () => {
      const sent: string[] = []
      let strategy: unknown
      const browser = await host((site) => {
        const made = magic(sent, () => Promise.reject(new Error('no database')))(site)
        strategy = made
        return made
      })
      expect((await browser.fetch(await mailed(strategy, sent))).status).toBe(500)
    },
  )
})
