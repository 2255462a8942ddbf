import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { startPretendProviders } from '../src/providers/pretend.ts'
import type { ServerOptions } from '../src/server.ts'
import type { Visitor } from './visitor.ts'

/** The pretend providers. `meanwhile` runs before each answer of Facebook to the server. */
export function slowFacebook(meanwhile: () => Promise<unknown>): ServerOptions['moreProviders'] {
  return async ({ origins }) => {
    const pretend = await startPretendProviders({ origins, port: 65_535, except: [] })
    const graph = pretend.providers.flatMap((one) => (one.kind === 'facebook' ? (one.endpoints?.graph ?? []) : []))[0]
    const between = createServer(async (req, res) => {
      await meanwhile()
      const body: Buffer[] = []
      for await (const chunk of req) body.push(chunk)
      const { 'content-type': type = '', authorization = '' } = req.headers
      const answer = await fetch(`${graph}${req.url}`, {
        method: req.method ?? 'GET',
        headers: { ...(type && { 'content-type': type }), ...(authorization && { authorization }) },
        body: body.length === 0 ? null : Buffer.concat(body),
      })
      res.writeHead(answer.status, { 'content-type': 'application/json' }).end(await answer.text())
    })
    await new Promise<void>((resolve) => between.listen(0, '127.0.0.1', resolve))
    const there = `http://127.0.0.1:${(between.address() as AddressInfo).port}`
    return {
      providers: pretend.providers.map((one) =>
        one.kind === 'facebook' && one.endpoints !== undefined
          ? { ...one, endpoints: { ...one.endpoints, graph: there } }
          : one,
      ),
      close: async () => {
        between.closeAllConnections()
        between.close()
        await pretend.close()
      },
    }
  }
}

/** What a person does on a provider's page. */
export type Deed = { readonly person: string; readonly fault?: string } | { readonly cancel: 'yes' }

/** Goes to the provider as a browser would, and returns the path and query here to which it leads back. */
export async function visitProvider(location: string, deed: Deed): Promise<string> {
  const jar = new Map<string, string>()
  let response = await ask(jar, location)
  const form = /<form[^>]*action="([^"]+)"/.exec(await response.text())?.[1]
  if (form === undefined) throw new Error(`the provider shows no form: ${response.status}`)
  response = await ask(jar, new URL(form.replaceAll('&amp;', '&'), response.url).href, new URLSearchParams(deed))
  return response.url
}

/** Follows redirects that stay at the provider; the answer's `url` is where the last one leads. */
async function ask(jar: Map<string, string>, url: string, body?: URLSearchParams): Promise<Response> {
  const { origin } = new URL(url)
  const cookie = [...jar].map((pair) => pair.join('=')).join('; ')
  const response = await fetch(url, {
    redirect: 'manual',
    headers: { cookie, accept: 'text/html', ...(body && { origin, 'sec-fetch-site': 'same-origin' }) },
    ...(body && { method: 'POST', body }),
  })
  for (const field of response.headers.getSetCookie()) {
    const [pair = ''] = field.split(';')
    jar.set(pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1))
  }
  const location = response.headers.get('location')
  if (location === null) return response
  const next = new URL(location, url)
  if (next.origin === origin) return ask(jar, next.href)
  const { pathname, search } = next
  return Object.defineProperty(response, 'url', { value: pathname + search })
}

/** A whole login with a provider; returns the answer to the callback. */
export async function logInAt(visitor: Visitor, provider: string, deed: Deed, query = '') {
  const begun = await visitor.get(`/auth/${provider}${query}`)
  return visitor.get(await visitProvider(begun.headers.location ?? '', deed))
}

/** Adds a way to log in, from the account page. */
export async function linkAt(visitor: Visitor, provider: string, deed: Deed) {
  const begun = await visitor.post(`/account/identities/${provider}/link`, {})
  const [, location = ''] = /<meta http-equiv="refresh" content="0;url=([^"]+)"/.exec(begun.body) ?? []
  if (location === '') return begun
  return visitor.get(await visitProvider(location.replaceAll('&amp;', '&'), deed))
}
