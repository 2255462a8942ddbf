import type { SessionId } from '../session/store.ts'

/**
 * What a login was begun for. A flow keeps it, so that it is there again when the browser comes back from elsewhere: the
 * strategy in between neither sees to it nor can change it.
 */
export interface LoginIntent {
  /** `link`: who is logged in wants to log in this way, too. */
  readonly purpose: 'login' | 'link'
  /** Who was logged in when linking began. */
  readonly subject?: string
  /** Handle of the session in which linking began; Passport sets it. */
  readonly session?: string
  /** Fingerprint of the credentials with which that session was logged in; Passport sets it. */
  readonly stamp?: string
  /** Where to go afterwards: a path here, or what the application lists. */
  readonly next?: string
  /** Where to go when it is refused, a path here. */
  readonly failure?: string
  readonly remember?: boolean
}

/** Who began to link, found unchanged a moment ago: what a statement that links makes its condition. */
export interface Linking {
  readonly subject: string
  /** What `users.stamp` gives for this user: the credentials that linking began with. `undefined` without `users.stamp`. */
  readonly stamp: string | undefined
  /** The session that linking began in. */
  readonly sessionId: SessionId
  /** Looks at session and user again: ask inside your transaction, before it commits. */
  stillStands(): Promise<boolean>
}

/** What a login is for unless the route says otherwise. */
export const LOGIN: LoginIntent = { purpose: 'login' }
