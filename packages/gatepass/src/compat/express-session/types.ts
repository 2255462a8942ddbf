// biome-ignore lint/suspicious/noTsIgnore: an error only where @types/express-session is not installed
/** @ts-ignore */
import type * as original from 'express-session'
import type { RequestSession } from '../../register.ts'
import type { SessionData } from '../express-session.ts'
import type { Session } from './session.ts'
import type { Store } from './store.ts'

declare const nowhere: unique symbol

/**
 * Types of express-session where they are installed, so that both declare the same; ours where not. Then theirs is `any`,
 * and that alone is also what nothing is.
 */
type Either<Theirs, Ours> = [Theirs] extends [{ [nowhere]: true }] ? Ours : Theirs

/** What a request with a session has, in the words of whichever types are installed. */
export interface SessionTypes {
  session: Either<original.Session & Partial<original.SessionData>, Session & Partial<SessionData>>
  store: Either<original.Store & { generate: (req: Express.Request) => void }, Store>
}

declare module '../../register.ts' {
  interface RequestSessions {
    expressSession: SessionTypes['session']
  }
}

declare global {
  namespace Express {
    interface Request {
      session: RequestSession
      sessionID: string
      sessionStore: SessionTypes['store']
    }
  }
}

// biome-ignore lint/suspicious/noTsIgnore: as above
/** @ts-ignore */
declare module 'express-session' {
  interface SessionData extends OurData {}
  interface Session {
    save(): this & Promise<void>
    reload(): this & Promise<void>
    destroy(): this & Promise<void>
    regenerate(): this & Promise<void>
  }
}

type OurData = SessionData
