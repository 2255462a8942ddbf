import { FLASH_KEY, type Session } from './session.ts'

/** A message for the next page that is shown. */
export interface FlashMessage {
  /** `error`, `info`, or another kind that the application chooses. */
  readonly kind: string
  readonly text: string
}

/** Keeps a message in the session until a page takes it. A login carries it over. */
export function addFlash(session: Session<object>, kind: string, text: string): void {
  bagOf(session)[FLASH_KEY] = [...messagesIn(session), { kind, text }]
}

/** Returns the messages, oldest first, and removes them from the session. */
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
