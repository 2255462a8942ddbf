// biome-ignore lint/suspicious/noTsIgnore: an error only where @types/express-session is not installed
/** @ts-ignore */
import type * as original from 'express-session'
import type { RequestSession } from '../../register.ts'
import type expressSession from '../express-session.ts'
import type { Session } from './session.ts'
import type { Store } from './store.ts'

declare const nowhere: unique symbol

/**
 * The types of express-session if they are installed, so that both packages declare the same; otherwise ours. Without them,
 * theirs is `any`, the only type that extends this impossible one.
 */
type Either<Theirs, Ours> = [Theirs] extends [{ [nowhere]: true }] ? Ours : Theirs

/** The types of `req.session` and `req.sessionStore`: those of express-session if they are installed. */
export interface SessionTypes {
  session: Either<original.Session & Partial<original.SessionData>, Session & Partial<expressSession.SessionData>>
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

type OurData = expressSession.SessionData
