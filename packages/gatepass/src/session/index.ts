export type { Awaitable } from '../awaitable.ts'
export type { Register, SessionData } from '../register.ts'
export type { ClientSummary } from './about.ts'
export { addFlash, type FlashMessage, takeFlash } from './flash.ts'
export {
  type SessionEvent,
  SessionManager,
  type SessionOptions,
  type SessionSummary,
  type SessionTimeouts,
} from './manager.ts'
export type { Absence, LoginProof, Session } from './session.ts'
export {
  type ChangeFeed,
  type ChangeListener,
  hasSubjectIndex,
  type SessionId,
  type SessionRecord,
  type SessionStore,
  type SubjectIndex,
  type Timestamp,
  type WriteResult,
} from './store.ts'
