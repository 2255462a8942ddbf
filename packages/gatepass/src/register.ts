/**
 * The one place where an application declares its own types; everything else is inferred.
 *
 * Name the entry that the application imports (`gatepass/express`, `gatepass/node`, `gatepass/session`, `gatepass`):
 * TypeScript augments a module only where something imports it.
 *
 * ```ts
 * import type {} from 'gatepass/express'
 *
 * declare module 'gatepass/express' {
 *   interface Register {
 *     session: { cart: string[] }
 *     user: { id: string; name: string }
 *   }
 * }
 * ```
 */
// biome-ignore lint/suspicious/noEmptyInterface: filled in by the application, by declaration merging
export interface Register {}

/** What an application keeps in its sessions: `Register['session']`, or anything. */
export type SessionData = Register extends { session: infer Data extends object } ? Data : Record<string, unknown>

/** What `req.user` is in frameworks with a global request type: `Register['user']`, or unknown members. */
export type RegisteredUser = Register extends { user: infer User extends object } ? User : object

/**
 * What `req.session` is in frameworks with a global request type. What puts it there adds itself, so that
 * `gatepass/express` and the drop-in for express-session can be in one program.
 */
// biome-ignore lint/suspicious/noEmptyInterface: filled in by declaration merging
export interface RequestSessions {}

/** One of them; in a program with both, what both are. */
export type RequestSession = {
  [From in keyof RequestSessions]: (session: RequestSessions[From]) => void
}[keyof RequestSessions] extends (session: infer All) => void
  ? All
  : never
