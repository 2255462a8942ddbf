import { UsageError } from '../../error.ts'
import type { AuthenticateOptions, FlashWish, PassportRequest } from './types.ts'

/** What a strategy says about a success or a failure: a text, or an object with a `message` and a `type`. */
type Said = { readonly message?: unknown; readonly type?: string } | string

/** Leaves the messages for the next page that the options ask for: by `req.flash`, and in `req.session.messages`. */
export function leaveMessages(
  req: PassportRequest,
  options: AuthenticateOptions,
  outcome: 'success' | 'failure',
  said: unknown,
): void {
  const words = (said || {}) as Said
  const { [`${outcome}Flash` as const]: flash, [`${outcome}Message` as const]: message } = options
  if (flash) leaveFlash(req, flash, words, outcome === 'success' ? 'success' : 'error')
  if (message) leaveMessage(req, typeof message === 'boolean' ? textOf(words) : message)
}

function leaveFlash(req: PassportRequest, wish: FlashWish, words: Said, usual: string): void {
  const { type, message } = wished(wish, words, usual)
  const text = message || textOf(words)
  if (typeof text !== 'string') return
  if (typeof req.flash !== 'function') throw cannot('successFlash and failureFlash', 'req.flash(): mount connect-flash')
  req.flash(type, text)
}

function wished(wish: FlashWish, words: Said, usual: string): { type: string; message?: string | undefined } {
  if (typeof wish === 'string') return { type: usual, message: wish }
  if (typeof wish === 'object') return { ...wish, type: wish.type || usual }
  return { type: (typeof words === 'object' && words.type) || usual }
}

function leaveMessage(req: PassportRequest, text: unknown): void {
  if (typeof text !== 'string') return
  if (!req.session) throw cannot('successMessage and failureMessage', 'req.session: mount a session middleware')
  const { session } = req
  session.messages ||= []
  ;(session.messages as string[]).push(text)
}

function textOf(words: Said): unknown {
  return typeof words === 'object' ? words.message || words : words
}

function cannot(options: string, need: string): UsageError {
  return new UsageError('ERR_PASSPORT_OPTIONS', `${options} need ${need} before authenticate()`, {
    hint: 'Mount it, or remove the option.',
  })
}
