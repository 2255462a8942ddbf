import { parseSetCookie, type SetCookie } from '../cookie/parse-set-cookie.ts'

/** The options of {@link TestBrowser.fetch}. `form` and `json` make the request a POST. */
export interface VisitOptions {
  method?: string
  headers?: Readonly<Record<string, string>>
  form?: Readonly<Record<string, string>>
  json?: unknown
  /** Stops at a redirect instead of following it. */
  manual?: boolean
}

/** How many redirects a browser follows (fetch standard, §4.4). */
const REDIRECTS = 20

/**
 * A small browser that tests a login over HTTP. It has one origin and a cookie jar, follows redirects, and sends the headers
 * that tell a server which page a request comes from (`Origin`, `Sec-Fetch-Site`).
 */
export class TestBrowser {
  readonly origin: string
  /** Cookies by name, as the server set them. */
  readonly jar: Map<string, string> = new Map()

  constructor(origin: string) {
    this.origin = origin
  }

  /** Makes another browser with a copy of the cookies, for stolen or remembered cookies. */
  clone(): TestBrowser {
    const twin = new TestBrowser(this.origin)
    for (const [name, value] of this.jar) twin.jar.set(name, value)
    return twin
  }

  async fetch(path: string, options: VisitOptions = {}): Promise<Response> {
    let response = await this.#request(path, options)
    for (let hops = 0; options.manual !== true && hops < REDIRECTS; hops++) {
      const location = response.headers.get('location')
      if (response.status < 300 || response.status > 399 || location === null) break
      await response.body?.cancel()
      response = await this.#request(new URL(location, response.url).href, { headers: options.headers ?? {} })
    }
    return response
  }

  async #request(path: string, options: VisitOptions): Promise<Response> {
    const { body, type } = bodyOf(options)
    const method = options.method ?? (body === undefined ? 'GET' : 'POST')
    const cookie = [...this.jar].map(([name, value]) => `${name}=${value}`).join('; ')
    const response = await fetch(new URL(path, this.origin), {
      method,
      redirect: 'manual',
      ...(body !== undefined && { body }),
      headers: {
        'sec-fetch-site': 'same-origin',
        ...(method !== 'GET' && method !== 'HEAD' && { origin: this.origin }),
        ...(cookie !== '' && { cookie }),
        ...(type !== undefined && { 'content-type': type }),
        ...options.headers,
      },
    })
    for (const field of response.headers.getSetCookie()) this.#keep(parseSetCookie(field))
    return response
  }

  #keep(cookie: SetCookie | undefined): void {
    if (cookie === undefined) return
    const { maxAge, expires } = cookie.attributes
    const ended = maxAge === undefined ? expires !== undefined && expires.getTime() <= Date.now() : maxAge <= 0
    if (ended) this.jar.delete(cookie.name)
    else this.jar.set(cookie.name, cookie.value)
  }
}

function bodyOf(options: VisitOptions): { body?: string; type?: string } {
  if (options.form !== undefined) {
    return { body: new URLSearchParams(options.form).toString(), type: 'application/x-www-form-urlencoded' }
  }
  return options.json === undefined ? {} : { body: JSON.stringify(options.json), type: 'application/json' }
}
