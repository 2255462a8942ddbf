import { type Awaitable, andThen, settled } from '../awaitable.ts'
import type { Exchange } from '../http/exchange.ts'
import { type LoginProof, readAbout } from '../session/about.ts'
import { hooksOf } from '../session/hooks.ts'
import type { SessionManager } from '../session/manager.ts'
import type { SessionRecord } from '../session/store.ts'
import { requireUser } from './outcome.ts'
import type { Linking, LoginIntent } from './strategy.ts'
import { hasCurrentStamp, type Users } from './users.ts'

// What an exchange knows of its login may be older than its body, or than a provider's answer. Three checks ask again:
// - `Passport.stillStands`, for guards: the login of this exchange.
// - `Attempt.stillStands`, for strategies: the login that the request arrived with, also where a rotation or a login moved it.
// - `Linking.stillStands`, for applications: the session, subject and credentials that a link began with.

/** Who knows whether a login has ended. */
export interface LoginSource<User> {
  readonly users: Users<User>
  readonly sessions: SessionManager<object> | undefined
}

export interface CurrentLogin<User> {
  readonly record: SessionRecord
  readonly login: LoginProof | undefined
  readonly user: User
}

/** Looks up session and user of this exchange's login again; `undefined` if it has ended. */
export function currentLogin<User>(
  { users, sessions }: LoginSource<User>,
  exchange: Exchange,
  moved: 'rotation' | 'rotation or login' = 'rotation',
): Awaitable<CurrentLogin<User> | undefined> {
  const id = sessions?.opened(exchange)?.id
  if (sessions === undefined || id === undefined) return undefined
  return andThen(hooksOf(sessions).current(id, moved), (record) => {
    const subject = record?.subject
    if (record === undefined || typeof subject !== 'string') return undefined
    const { login } = readAbout(record.about)
    return andThen(settled(users.find(subject)), (user) => {
      if (user === undefined || user === null || user === false) return undefined
      requireUser('users.find', user)
      return hasCurrentStamp(users, user, login) ? { record, login, user } : undefined
    })
  })
}

/** The user who began to link, if session, subject and credentials are those that the link began with. */
export async function linkingOf<User>(
  source: LoginSource<User>,
  exchange: Exchange,
  begun: LoginIntent,
): Promise<Linking | undefined> {
  const { purpose, subject, session, stamp } = begun
  if (purpose !== 'link' || subject === undefined || session === undefined) return undefined
  const now = await currentLogin(source, exchange)
  if (now?.record.handle !== session || now.record.subject !== subject || now.login?.stamp !== stamp) return undefined
  const stillStands = async () => (await linkingOf(source, exchange, begun)) !== undefined
  return { subject, stamp: source.users.stamp?.(now.user), sessionId: now.record.id, stillStands }
}
