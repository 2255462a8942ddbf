/** What a page may say after a redirect; the address only names it, so that nobody else's words can be put there. */
export const notices = {
  registered: 'You can log in now. If this address had an account before, use the password it already has.',
  'logged-out': 'You are logged out.',
  'device-ended': 'That device is logged out.',
  'others-ended': 'All other devices are logged out.',
  linked: 'From now on this opens your account, too.',
  unlinked: 'That does not open your account any more.',
  reclaimed:
    'Your e-mail address is confirmed, and this account is yours. A password, other ways to log in and logins that were here before were removed, since nobody had shown that they were yours.',
} as const

export type Notice = (typeof notices)[keyof typeof notices]

export function noticeNamed(name: string | undefined): Notice | undefined {
  return name !== undefined && Object.hasOwn(notices, name) ? notices[name as keyof typeof notices] : undefined
}
