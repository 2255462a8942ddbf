import type { Exchange } from '../http/exchange.ts'
import type { SessionId } from './store.ts'

/** What happened to a session, for an audit log. Ids are hashes and safe to keep. */
export type SessionEvent =
  /** A session was stored for the first time: at its first value, or at a login. */
  | { readonly type: 'created'; readonly id: SessionId; readonly subject: string | undefined }
  /** A session got a new token. `subject` is its subject from now on. */
  | {
      readonly type: 'rotated'
      readonly id: SessionId
      readonly previous: SessionId
      readonly subject: string | undefined
    }
  /** `destroy()` ended a session: a logout. */
  | { readonly type: 'ended'; readonly id: SessionId; readonly subject: string | undefined }
  /** `revoke`, `revokeHandle` or `revokeAll` ended sessions. */
  | { readonly type: 'revoked'; readonly id?: SessionId; readonly subject?: string; readonly count: number }
  /** A login exceeded `perSubject`, so the oldest sessions of its subject ended. */
  | { readonly type: 'evicted'; readonly subject: string; readonly count: number }
  /**
   * The session ended while a request was running, and the changes that the request left for its end were not saved. It is
   * answered with 409, unless only a flash message was lost. A refused `update()` tells its caller instead.
   */
  | { readonly type: 'discarded'; readonly id: SessionId }
  /** The store failed to write `seenAt`. The request went on, and a later request writes it. */
  | { readonly type: 'touch_failed'; readonly id: SessionId; readonly error: unknown }
  /** The browser sent the session cookie twice: an attacker may have planted one of the two. */
  | { readonly type: 'cookie_duplicate'; readonly cookie: string }
  /** The token has no tag, or a tag that was made with none of the configured keys. */
  | { readonly type: 'token_forged'; readonly cookie: string }

export type OnSessionEvent = (event: SessionEvent, exchange: Exchange | undefined) => void
