import type { Exchange } from '../http/exchange.ts'
import type { SessionId } from './store.ts'

/** What happens to sessions, for an audit log. Ids are hashes: safe to keep. */
export type SessionEvent =
  /** A record was made: at the first stored value, or at a login. */
  | { readonly type: 'created'; readonly id: SessionId; readonly subject: string | undefined }
  /** A session goes on under another token; `subject` is whose it is now. */
  | {
      readonly type: 'rotated'
      readonly id: SessionId
      readonly previous: SessionId
      readonly subject: string | undefined
    }
  /** By `destroy()`: a logout. */
  | { readonly type: 'ended'; readonly id: SessionId; readonly subject: string | undefined }
  /** By `revoke`, `revokeHandle` or `revokeAll`. */
  | { readonly type: 'revoked'; readonly id?: SessionId; readonly subject?: string; readonly count: number }
  /** A login went beyond `perSubject`, and the oldest sessions ended for it. */
  | { readonly type: 'evicted'; readonly subject: string; readonly count: number }
  /** A request outlived its session; what it changed was not saved, and the request was answered with 409. */
  | { readonly type: 'discarded'; readonly id: SessionId }
  /** That a session was seen could not be written down; the request went on, and a later one writes it. */
  | { readonly type: 'touch_failed'; readonly id: SessionId; readonly error: unknown }
  /** The browser sent the cookie twice: one of the two may have been planted. */
  | { readonly type: 'cookie_duplicate'; readonly cookie: string }
  /** The tag of a token is not under any of our keys. */
  | { readonly type: 'token_forged'; readonly cookie: string }

export type OnSessionEvent = (event: SessionEvent, exchange: Exchange | undefined) => void

/** Tells a listener; a failure there must not touch the request. */
export function report(listener: OnSessionEvent, event: SessionEvent, exchange: Exchange | undefined): void {
  try {
    const answer: unknown = listener(event, exchange)
    if (answer instanceof Promise) answer.catch(warn)
  } catch (error) {
    warn(error)
  }
}

function warn(error: unknown): void {
  const reason = error instanceof Error ? error.message : String(error)
  process.emitWarning(`onEvent of the sessions failed: ${reason}`, { code: 'GATEPASS_LISTENER' })
}
