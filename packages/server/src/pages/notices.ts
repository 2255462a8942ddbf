/** What a page may say after a redirect; the address only names it, so that nobody else's words can be put there. */
export const notices = {
  registered: 'You can log in now. If this address had an account before, use the password it already has.',
  'logged-out': 'You are logged out.',
  'device-ended': 'That device is logged out.',
  'others-ended': 'All other devices are logged out.',
} as const

export type Notice = (typeof notices)[keyof typeof notices]

export function noticeNamed(name: string | undefined): Notice | undefined {
  return name !== undefined && Object.hasOwn(notices, name) ? notices[name as keyof typeof notices] : undefined
}
