import { Cookies } from '../cookie/cookies.ts'
import type { Exchange } from '../http/exchange.ts'

/** A request for a test. */
export interface TestRequest {
  /** Default GET. */
  method?: string
  /** Default `/`. */
  target?: string
  /** Default `https://app.example`. An http origin makes the exchange insecure. */
  origin?: string
  /** Default true. */
  originConfigured?: boolean
  /** Header fields with lower-case names. A `cookie` field replaces the cookies of the jar. */
  headers?: Readonly<Record<string, string>>
  fields?: Readonly<Record<string, unknown>>
  remoteAddress?: string
}

/** An exchange without a server. */
export class TestExchange implements Exchange {
  readonly method: string
  readonly target: string
  readonly origin: string
  readonly originConfigured: boolean
  readonly secure: boolean
  readonly remoteAddress: string | undefined
  readonly cookies: Cookies
  readonly memory: Map<object, unknown> = new Map()
  readonly #headers: Readonly<Record<string, string>>
  readonly #fields: Readonly<Record<string, unknown>>

  constructor(request: TestRequest = {}) {
    this.method = request.method ?? 'GET'
    this.target = request.target ?? '/'
    this.origin = request.origin ?? 'https://app.example'
    this.originConfigured = request.originConfigured ?? true
    this.secure = this.origin.startsWith('https:')
    this.remoteAddress = request.remoteAddress ?? '203.0.113.7'
    this.#headers = request.headers ?? {}
    this.#fields = request.fields ?? {}
    this.cookies = new Cookies(this.#headers.cookie)
  }

  header(name: string): string | undefined {
    return this.#headers[name]
  }

  async fields(): Promise<Readonly<Record<string, unknown>>> {
    return this.#fields
  }
}

/** The cookies of one browser between exchanges, for one host and one path. */
export class TestJar {
  readonly #cookies = new Map<string, string>()

  /** Makes a request with the current cookies. */
  exchange(request: TestRequest = {}): TestExchange {
    return new TestExchange({ ...request, headers: { ...this.#header(), ...request.headers } })
  }

  /** Takes the cookies that the response sets. */
  receive(exchange: Exchange): void {
    for (const field of exchange.cookies.setCookieFields()) this.#keep(field)
  }

  get(name: string): string | undefined {
    return this.#cookies.get(name)
  }

  set(name: string, value: string): void {
    this.#cookies.set(name, value)
  }

  get names(): string[] {
    return [...this.#cookies.keys()]
  }

  #keep(field: string): void {
    const [pair = '', ...attributes] = field.split('; ')
    const name = pair.slice(0, pair.indexOf('='))
    if (attributes.includes('Max-Age=0')) this.#cookies.delete(name)
    else this.#cookies.set(name, pair.slice(name.length + 1))
  }

  #header(): Record<string, string> {
    if (this.#cookies.size === 0) return {}
    return { cookie: [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ') }
  }
}
