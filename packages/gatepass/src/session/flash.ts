import { FLASH_KEY, type Session } from './session.ts'

/** A message for the next page that is shown. */
export interface FlashMessage {
  /** `error`, `info`, or what else the application styles differently. */
  readonly kind: string
  readonly text: string
}

/** Keeps a message in the session until a page takes it; it survives a login. */
export function addFlash(session: Session<object>, kind: string, text: string): void {
  bagOf(session)[FLASH_KEY] = [...messagesIn(session), { kind, text }]
}

/** The messages so far, oldest first; they are shown once. */
export function takeFlash(session: Session<object>): FlashMessage[] {
  const messages = messagesIn(session)
  if (messages.length > 0) delete bagOf(session)[FLASH_KEY]
  return messages
}

function messagesIn(session: Session<object>): FlashMessage[] {
  const kept = bagOf(session)[FLASH_KEY]
  return Array.isArray(kept) ? kept : []
}

function bagOf(session: Session<object>): Record<string, unknown> {
  return session.data as Record<string, unknown>
}
