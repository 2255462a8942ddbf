// The parts of the peers' interfaces that the bench uses. Their own types would merge with those of `gatepass/express`.
declare module 'express-session' {
  import type { RequestHandler } from 'express'

  interface Options {
    secret: string
    resave: boolean
    saveUninitialized: boolean
  }
  class MemoryStore {
    set(id: string, session: object, callback: (error?: unknown) => void): void
    length(callback: (error: unknown, length: number) => void): void
  }
  const session: ((options: Options) => RequestHandler) & { MemoryStore: typeof MemoryStore }
  export default session
}

declare module 'passport' {
  import type { RequestHandler } from 'express'

  interface Passport {
    use(strategy: object): this
    serializeUser(serialize: (user: unknown, done: (error: unknown, id?: unknown) => void) => void): void
    deserializeUser(deserialize: (id: string, done: (error: unknown, user?: unknown) => void) => void): void
    session(): RequestHandler
    authenticate(name: string): RequestHandler
  }
  const passport: Passport
  export default passport
}

declare module 'passport-local' {
  type Verify = (name: string, password: string, done: (error: unknown, user?: unknown) => void) => void
  export class Strategy {
    constructor(verify: Verify)
  }
}

declare module 'memorystore'
