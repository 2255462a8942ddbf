import type { LoginOptions, Success } from 'gatepass'
import { toResponse } from 'gatepass/hono'
import { type Account, publicUser } from '../accounts/accounts.ts'
import { parseEmailAddress } from '../accounts/email-address.ts'
import type { Auth, Services } from '../services.ts'
import { Pseudonyms } from '../settings/secrets.ts'
import { json, page, seeOther } from '../web/answer.ts'
import { type Fields, text, ticked } from '../web/form.ts'
import type { Route } from '../web/handler.ts'
import { returnTarget } from '../web/login-required.ts'
import { leaveNotice, takeNotice } from '../web/notices.ts'
import { invalidInput, loginRefused, type Problem, tooManyTries } from '../web/problem.ts'
import type { ServerRequest } from '../web/request.ts'
import { loginAgainPage, loginPage } from './page.ts'

type LoginServices = Pick<
  Services,
  'auth' | 'pages' | 'origins' | 'stores' | 'limits' | 'knownDevices' | 'keys' | 'audit'
>

export function loginRoutes(services: LoginServices): Route[] {
  const { auth, pages, origins, stores, limits, knownDevices, keys, audit } = services
  const { accounts } = stores
  const [origin] = origins
  const accountNames = new Pseudonyms(keys, 'account')
  return [
    { method: 'GET', path: '/login', answer: showForm },
    { method: 'POST', path: '/auth/login', page: '/login', answer: logIn },
    {
      method: 'POST',
      path: '/auth/logout',
      page: '/account',
      answer: (request) => logOut(auth, request, request.wantsPage ? '/login' : undefined),
    },
  ]

  async function showForm(request: ServerRequest): Promise<Response> {
    const context = await pages.context(request)
    const next = returnTarget(request.query('next'), origin)
    const { account } = context
    if (account === undefined) return page(200, loginPage(context, { next, notice: takeNotice(request.exchange) }))
    if (request.query('again') === undefined) return seeOther(next)
    const { email = '', passwordHash } = account
    const { login } = await auth.sessions.open(request.exchange)
    const remember = login?.remembered === true
    return page(200, loginAgainPage(context, { next, email, remember, password: passwordHash !== undefined }))
  }

  async function logIn(request: ServerRequest): Promise<Response> {
    const fields = await request.exchange.fields()
    const identifier = identifierOf(fields)
    const missing = {
      ...(identifier === '' && { email: 'Enter your e-mail address.' }),
      ...(text(fields, 'password') === '' && { password: 'Enter your password.' }),
    }
    if (Object.keys(missing).length > 0) return formAgain(request, invalidInput(missing))

    // No account has such a name or password, so it is refused before it counts against an account.
    if (!isReadable(fields)) {
      audit.record('input_validation_fail', request, { reason: 'login' })
      return formAgain(request, loginRefused)
    }

    const attempt = await limits.admitLogin({
      address: request.address,
      account: accountNames.of(identifier),
      device: knownDevices.find(request.exchange, identifier),
    })
    if (!attempt.admitted) {
      audit.record('authn_login_fail_max', request, { identifier })
      audit.record('excess_rate_limit_exceeded', request, { reason: 'login' })
      return formAgain(request, tooManyTries(attempt.retryAfter))
    }

    // A wrong password counts, also if that cannot be written down. An error of ours does not count.
    const giveBack = async (error: unknown): Promise<never> => {
      await attempt.undecided()
      throw error
    }
    const verdict = await auth.passport.authenticate(request.exchange, 'local').catch(giveBack)
    if (verdict.type !== 'success') {
      const locked = await accounts.failed(identifier)
      audit.record('authn_login_fail', request, { identifier, amr: ['pwd'] })
      if (locked) audit.record('authn_login_lock', request, { identifier, reason: 'consecutive_failures' })
      return formAgain(request, loginRefused)
    }

    await enter(request, verdict, { remember: ticked(fields, 'remember') }).catch(giveBack)
    const { user, amr = [] } = verdict
    knownDevices.remember(request.exchange, identifier)
    const failures = await attempt.succeeded()
    audit.record('authn_login_success', request, { userId: user.id, amr })
    if (failures > 0) audit.record('authn_login_successafterfail', request, { userId: user.id, count: failures })
    return request.wantsPage
      ? seeOther(returnTarget(text(fields, 'next'), origin))
      : json(200, { user: publicUser(user) })
  }

  /** Logs in and saves that, so that the log never has a login that was not saved. */
  async function enter({ exchange }: ServerRequest, verdict: Success<Account>, options: LoginOptions): Promise<void> {
    // First: if this fails, the answer says that nothing was changed.
    await accounts.succeeded(verdict.user.id)
    await auth.passport.login(exchange, verdict, options)
    await auth.sessions.commit(exchange)
  }

  function formAgain(request: ServerRequest, problem: Problem): Promise<Response> {
    return pages.refuseForm(request, problem, (context, fields) => {
      const form = {
        problem,
        email: text(fields, 'email'),
        remember: ticked(fields, 'remember'),
        next: returnTarget(text(fields, 'next'), origin),
      }
      const again = ticked(fields, 'again') && context.account !== undefined
      return again ? loginAgainPage(context, { ...form, password: true }) : loginPage(context, form)
    })
  }
}

/** Logs this browser out. Logging out twice is not an error. @param page where a person goes then */
export async function logOut(auth: Auth, { exchange }: ServerRequest, page?: string): Promise<Response> {
  const reply = await auth.gatepass.logout(exchange, page === undefined ? {} : { success: page })
  if (page !== undefined) leaveNotice(exchange, 'logged-out')
  return toResponse(reply)
}

function nameIn(fields: Fields): string {
  return text(fields, 'email') || text(fields, 'username')
}

/** Whether the strategy looks up the name and hashes the password. It refuses others unseen. */
function isReadable(fields: Fields): boolean {
  const bytes = Buffer.byteLength(text(fields, 'password').normalize('NFC'))
  return /^[^\x00-\x1f\x7f]{1,256}$/.test(nameIn(fields)) && bytes <= 1024
}

/** Under which name tries are counted: the address as accounts are found by it, or the typed text if it is not an address. */
function identifierOf(fields: Fields): string {
  const typed = nameIn(fields)
  return parseEmailAddress(typed)?.key ?? typed.normalize('NFKC').toLowerCase().trim().slice(0, 254)
}
