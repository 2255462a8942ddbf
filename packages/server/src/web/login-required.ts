import type { Awaitable } from 'gatepass'
import { safeLocation } from 'gatepass/hono'
import type { Account } from '../accounts/accounts.ts'
import type { Services } from '../services.ts'
import { seeOther } from './answer.ts'
import type { Parameters, Route } from './handler.ts'
import { loginRequired, loginTooOld } from './problem.ts'
import { decoded, type ServerRequest } from './request.ts'

const HOME = '/account'

/** How old a login may be that changes who can log in to an account. Seconds. */
const RECENT = 600

/** Answers a request of a logged-in user. */
export type UserAnswer = (request: ServerRequest, account: Account, parameters: Parameters) => Awaitable<Response>

/** Makes the answers of routes that need a login. */
export interface LoginGuards {
  /** Sends a person without a login to the login page. @param back the page to show afterwards. Default the page asked for */
  forPerson(answer: UserAnswer, back?: string): Route['answer']
  /** Refuses a program without a login. */
  forProgram(answer: UserAnswer): Route['answer']
  /** Asks for a login of the last ten minutes; afterwards the person comes back to the account page. */
  forRecentLogin(answer: UserAnswer): Route['answer']
}

export function loginGuards({ auth, pages }: Pick<Services, 'auth' | 'pages'>): LoginGuards {
  return {
    forPerson: (answer, back) => async (request, parameters) => {
      const account = await auth.passport.user(request.exchange)
      if (account !== undefined) return answer(request, account, parameters)
      return toLogin(back ?? request.url.pathname + request.url.search)
    },
    forProgram: (answer) => async (request, parameters) => {
      const account = await auth.passport.user(request.exchange)
      return account === undefined ? pages.refuse(request, loginRequired) : answer(request, account, parameters)
    },
    forRecentLogin: (answer) => async (request, parameters) => {
      const refusal = await auth.gatepass.requireLogin(request.exchange, { maxAge: RECENT })
      const account = await auth.passport.user(request.exchange)
      if (account === undefined) return request.wantsPage ? toLogin(HOME) : pages.refuse(request, loginRequired)
      if (refusal === undefined) return answer(request, account, parameters)
      const again = `/login?again=1&next=${encodeURIComponent(HOME)}`
      return request.wantsPage ? seeOther(again) : pages.refuse(request, loginTooOld)
    },
  }
}

function toLogin(back: string): Response {
  return seeOther(`/login${nextQuery(back)}`)
}

/**
 * The query that tells the login where to go afterwards. It is empty for the account page.
 *
 * @param options `again`: whether the person must prove again who they are
 */
export function nextQuery(next: string = HOME, { again = false }: { again?: boolean } = {}): string {
  const query = new URLSearchParams({ ...(next !== HOME && { next }), ...(again && { again: '1' }) }).toString()
  return query === '' ? '' : `?${query}`
}

/** Where to go after a login: always a path on this site, and never the address of a form. */
export function returnTarget(wish: string | undefined, origin: string): string {
  const target = safeLocation(wish, { origin, fallback: HOME })
  // These addresses take forms, answer programs, or lead to a provider.
  return decoded(target).startsWith('/auth/') ? HOME : target
}
