import { Gatepass, type LoginRouteOptions, type Reply, type Strategy } from 'gatepass/passport'
import { type MemoryStore, memoryStore } from 'gatepass/stores/memory'
import { type TestClock, TestJar, type TestRequest, testClock } from 'gatepass/testing'
import { type Account, Accounts } from './express-site.ts'

export const origin = 'https://app.example'

/** What came of one request. */
export interface Answer {
  readonly status: number
  readonly location: string | undefined
  readonly reply: Reply | undefined
  /** Who is logged in afterwards. */
  readonly subject: string | undefined
}

/** An application without a server, and browsers that visit it. */
export class Visited {
  readonly clock: TestClock
  readonly store: MemoryStore
  readonly accounts: Accounts = new Accounts()
  readonly gatepass: Gatepass<Account, string>
  readonly name: string

  constructor(
    strategy: (accounts: Accounts, clock: TestClock) => Strategy<Account, string>,
    clock: TestClock = testClock(),
  ) {
    this.clock = clock
    this.store = memoryStore({ clock })
    const made = strategy(this.accounts, clock)
    this.name = made.name
    this.gatepass = new Gatepass<Account, string>(
      {
        sessions: { store: this.store, clock },
        users: {
          find: (id) => this.accounts.byId.get(id),
          subject: (user) => user.id,
          stamp: (user) => user.name,
        },
        strategies: [made],
        clock,
      },
      [origin],
    )
  }

  browser(): Visitor {
    return new Visitor(this)
  }
}

export class Visitor {
  readonly jar: TestJar = new TestJar()
  readonly #app: Visited

  constructor(app: Visited) {
    this.#app = app
  }

  /** A request to the login route, or to the callback. */
  login(request: TestRequest, options: LoginRouteOptions = {}): Promise<Answer> {
    return this.through(request, { success: '/', failure: '/login', ...options })
  }

  /** The same by a route that says nothing but this. */
  through(request: TestRequest, route: LoginRouteOptions): Promise<Answer> {
    return this.#visit(request, (exchange) => this.#app.gatepass.login(exchange, this.#app.name, route))
  }

  link(request: TestRequest = {}, maxAge?: number): Promise<Answer> {
    const route = { success: '/account', ...(maxAge !== undefined && { maxAge }) }
    const own = { method: 'POST', target: '/link', headers: { 'sec-fetch-site': 'same-origin', origin }, ...request }
    return this.#visit(own, (exchange) => this.#app.gatepass.link(exchange, this.#app.name, route))
  }

  logOut(): Promise<Answer> {
    return this.#visit({ method: 'POST' }, async (exchange) => {
      await this.#app.gatepass.passport.logout(exchange)
      return undefined
    })
  }

  /** A login by other means, with an account that is then there as given. */
  logInAs(user: Account): Promise<Answer> {
    this.#app.accounts.byId.set(user.id, user)
    return this.#visit({ method: 'POST' }, async (exchange) => {
      await this.#app.gatepass.passport.login(exchange, { type: 'success', user })
      return undefined
    })
  }

  /** Begins a login: where the provider is asked. */
  async begin(options: LoginRouteOptions = {}): Promise<URL> {
    const { location = '' } = await this.login({ target: `/auth/${this.#app.name}` }, options)
    return new URL(location)
  }

  /** Comes back from the provider with these parameters. */
  back(parameters: Record<string, string> | string, options: LoginRouteOptions = {}): Promise<Answer> {
    const target = `/auth/${this.#app.name}/callback?${new URLSearchParams(parameters)}`
    return this.login({ target, headers: { 'sec-fetch-site': 'cross-site' } }, options)
  }

  async #visit(
    request: TestRequest,
    act: (exchange: ReturnType<TestJar['exchange']>) => Promise<Reply | undefined>,
  ): Promise<Answer> {
    const exchange = this.jar.exchange(request)
    const { sessions, passport } = this.#app.gatepass
    const reply = await act(exchange)
    const user = await passport.user(exchange)
    await sessions.commit(exchange)
    this.jar.receive(exchange)
    const { location } = reply?.headers ?? {}
    return {
      status: reply?.status ?? 200,
      location: typeof location === 'string' ? location : undefined,
      reply,
      subject: user?.id,
    }
  }
}
