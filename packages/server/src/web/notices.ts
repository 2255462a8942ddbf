import { type Cookie, type Exchange, plainCookie } from 'gatepass'

/** What the next page may say. The cookie only names it, so a planted cookie cannot show its own words. */
export const notices = {
  registered: 'You can log in now. If this address had an account before, use the password it already has.',
  'logged-out': 'You are logged out.',
  'device-ended': 'That device is logged out.',
  'others-ended': 'All other devices are logged out.',
  linked: 'From now on you can log in with this, too.',
  unlinked: 'You can no longer log in with that.',
  reclaimed:
    'Your e-mail address is confirmed, and this account is yours. A password, other ways to log in and logins that it had before were removed, because they may have been another person’s.',
} as const

export type Notice = (typeof notices)[keyof typeof notices]

// The page follows the redirect at once. A notice that no page has shown is out of date after a minute.
const attributes = {
  maxAge: 60,
  description: 'Tells the next page what to say, once: that you are logged out, for example.',
}
const overHttps = plainCookie('__Host-gp-notice', { ...attributes, secure: true })
const onThisMachine = plainCookie('gp-notice', { ...attributes, secure: false })

function cookieOf({ secure }: Exchange): Cookie {
  return secure ? overHttps : onThisMachine
}

/** Leaves a notice for the page that follows a redirect. */
export function leaveNotice(exchange: Exchange, name: keyof typeof notices): void {
  exchange.cookies.set(cookieOf(exchange), name)
}

/** Takes the notice that was left: a reload does not show it again. */
export function takeNotice(exchange: Exchange): Notice | undefined {
  const cookie = cookieOf(exchange)
  const name = exchange.cookies.get(cookie)
  if (name === undefined) return undefined
  exchange.cookies.delete(cookie)
  return Object.hasOwn(notices, name) ? notices[name as keyof typeof notices] : undefined
}
