import { GatepassError, UsageError } from 'gatepass'
import { json } from './answer.ts'

/** Why a request is refused. The visitor may see everything in it. */
export interface Problem {
  readonly status: number
  /** Never renamed; what programs look at. */
  readonly code: string
  readonly message: string
  readonly hint?: string | undefined
  /** Seconds. */
  readonly retryAfter?: number | undefined
  /** Above the message on a page; default by the status. */
  readonly title?: string
  /** What was wrong with which field of a form. */
  readonly fields?: Readonly<Record<string, string>>
  readonly headers?: Readonly<Record<string, string>>
  /** What helps after a refused login with a provider. Default: to log in another way. */
  readonly remedy?: 'log in as usual' | 'try again'
}

export const notFound: Problem = { status: 404, code: 'ERR_NOT_FOUND', message: 'There is nothing at this address.' }

export const sessionNotFound: Problem = {
  status: 404,
  code: 'ERR_SESSION_NOT_FOUND',
  message: 'Your account has no session with this handle.',
  hint: 'It may have ended already. GET /auth/sessions lists your sessions.',
}

/** A challenge that browsers do not know, so they open no window; it names the login page (RFC 9110 §15.5.2). */
const loginChallenge: Readonly<Record<string, string>> = {
  'WWW-Authenticate': 'Cookie realm="login", form-action="/login"',
}

export const loginRequired: Problem = {
  status: 401,
  code: 'ERR_LOGIN_REQUIRED',
  message: 'You are not logged in.',
  hint: 'Log in at /login, or with POST /auth/login.',
  headers: loginChallenge,
}

/** The one answer to every failed login. It does not tell which part was wrong, or whether the account exists. */
export const loginRefused: Problem = {
  status: 401,
  code: 'ERR_LOGIN_REFUSED',
  message: 'The e-mail address or the password is not right.',
  headers: loginChallenge,
}

export const registrationClosed: Problem = {
  status: 403,
  code: 'ERR_REGISTRATION_CLOSED',
  message: 'This site does not accept new accounts.',
}

export const loginTooOld: Problem = {
  status: 401,
  code: 'ERR_LOGIN_TOO_OLD',
  message: 'Your login is older than ten minutes, and this needs a newer one.',
  hint: 'Log in again, then repeat the request.',
  headers: loginChallenge,
}

export const emailInUse: Problem = {
  status: 409,
  code: 'ERR_EMAIL_IN_USE',
  title: 'This address has an account',
  message: 'An account here has the same e-mail address. Nothing was changed.',
  hint: 'Log in to it as you usually do. Then link this way to log in on your account page, and you can use both.',
  remedy: 'log in as usual',
}

export const identityTaken: Problem = {
  status: 409,
  code: 'ERR_IDENTITY_TAKEN',
  title: 'It belongs to another account',
  message: 'This way to log in belongs to another account here, so it was not linked to yours.',
  hint: 'Log in with it to see which account that is. If you can log in to that account in another way, unlink it there, and then link it here.',
  remedy: 'log in as usual',
}

export const linkEnded: Problem = {
  status: 403,
  code: 'ERR_OAUTH_LINK_ENDED',
  title: 'Your login has ended',
  message: 'You were logged out before the link was complete, so nothing was linked.',
  hint: 'Log in again, and link it on your account page.',
  remedy: 'log in as usual',
}

export const accountDisabled: Problem = {
  status: 403,
  code: 'ERR_ACCOUNT_DISABLED',
  title: 'This account is closed',
  message: 'The account that you log in to with this has been closed.',
  hint: 'Ask the operator of this site.',
}

export const identityNotFound: Problem = {
  status: 404,
  code: 'ERR_IDENTITY_NOT_FOUND',
  message: 'Your account has no such way to log in.',
  hint: 'It may have been unlinked already.',
}

export const lastLoginMethod: Problem = {
  status: 409,
  code: 'ERR_LAST_WAY_IN',
  title: 'This is your only way to log in',
  message: 'Without it you could not log in to your account again, so it was not unlinked.',
  hint: 'Link another way to log in first.',
}

/** Other requests kept changing the same account. */
export const unsettled: Problem = {
  status: 503,
  code: 'ERR_ACCOUNT_BUSY',
  message: 'Another request is changing this account at this moment.',
  hint: 'Try again in a moment.',
  retryAfter: 1,
}

export const malformedRequest: Problem = {
  status: 400,
  code: 'ERR_REQUEST_MALFORMED',
  message: 'The browser sent a request that breaks the rules of HTTP.',
}

export const crossSite: Problem = {
  status: 403,
  code: 'ERR_CROSS_ORIGIN',
  message: 'This request did not come from a page of this site.',
  hint: 'Open the page again and repeat what you did. Programs send an Origin field with the address of this server.',
}

const internalProblem: Problem = {
  status: 500,
  code: 'ERR_INTERNAL',
  message: 'Something is broken on this server.',
  hint: 'The error is in the log. Try again later.',
}

export const starting: Problem = {
  status: 503,
  code: 'ERR_STARTING',
  message: 'This server is starting.',
  hint: 'Try again in a moment.',
  retryAfter: 1,
}

const unavailable: Omit<Problem, 'code' | 'retryAfter'> = {
  status: 503,
  message: 'This cannot be answered right now. Nothing was changed.',
  hint: 'Try again in a moment.',
}

export function methodNotAllowed(methods: readonly string[]): Problem {
  return {
    status: 405,
    code: 'ERR_METHOD_NOT_ALLOWED',
    message: 'This address does not answer that method.',
    hint: `Use ${methods.join(' or ')}.`,
    headers: { Allow: methods.join(', ') },
  }
}

/** @param cookies whether the cookies are to blame: every further request would fail, so they are removed */
export function tooManyFields({ cookies }: { cookies: boolean }): Problem {
  return {
    status: 431,
    code: 'ERR_HEADERS_TOO_LARGE',
    message: 'The browser sent a larger address or more cookies than this server reads.',
    hint: cookies
      ? 'The cookies of this site were too many. They are being removed: load the page again, and log in.'
      : 'If it happens again, remove the cookies of this site in the settings of your browser.',
    ...(!cookies && { title: 'This request is too large' }),
    headers: { Connection: 'close', ...(cookies && { 'Clear-Site-Data': '"cookies"' }) },
  }
}

export function misdirected(host: string): Problem {
  return {
    status: 421,
    code: 'ERR_HOST_UNKNOWN',
    message: 'This server does not know the host name of this request.',
    hint: `Use ${host}. A proxy in front must pass the Host field on unchanged.`,
  }
}

export function tooManyTries(retryAfter: number): Problem {
  return {
    status: 429,
    code: 'ERR_TOO_MANY_TRIES',
    message: 'Too many tries.',
    hint: `Try again in ${inWords(retryAfter)}.`,
    retryAfter,
  }
}

export function invalidInput(fields: Readonly<Record<string, string>>): Problem {
  return {
    status: 400,
    code: 'ERR_INPUT',
    message: 'Some fields are missing or not valid.',
    hint: Object.values(fields).join(' '),
    fields,
  }
}

/** A problem as programs read it. */
export function problemJson(problem: Problem): Response {
  const { status, code, message, hint, fields } = problem
  const error = { code, message, ...(hint !== undefined && { hint }), ...(fields !== undefined && { fields }) }
  return json(status, { error }, problemHeaders(problem))
}

export function problemHeaders({ retryAfter, headers }: Problem): Record<string, string> {
  return { ...headers, ...(retryAfter !== undefined && { 'Retry-After': String(Math.max(1, Math.ceil(retryAfter))) }) }
}

/** What a visitor may learn of an error. The rest belongs in the log. */
export function problemOf(error: unknown): Problem {
  if (!(error instanceof GatepassError) || error instanceof UsageError) return internalProblem
  const { status, code, message, hint, retryAfter } = error
  if (code === 'ERR_CROSS_ORIGIN') return crossSite
  return status >= 500
    ? { ...unavailable, code, retryAfter: retryAfter ?? 1 }
    : { status, code, message, hint, retryAfter }
}

function inWords(seconds: number): string {
  if (seconds < 90) return seconds === 1 ? 'one second' : `${seconds} seconds`
  return `${Math.ceil(seconds / 60)} minutes`
}
