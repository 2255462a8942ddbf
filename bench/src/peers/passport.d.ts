// The parts of Passport's interface that the bench uses; see express-session.d.ts.
import type { RequestHandler } from 'express'

interface Passport {
  use(strategy: object): this
  serializeUser(serialize: (user: unknown, done: (error: unknown, id?: unknown) => void) => void): void
  deserializeUser(deserialize: (id: string, done: (error: unknown, user?: unknown) => void) => void): void
  session(): RequestHandler
  authenticate(name: string): RequestHandler
}
declare const passport: Passport
export default passport
