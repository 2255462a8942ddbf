import type { Verdict } from 'gatepass'
import { type Account, type Accounts, publicUser } from '../accounts/accounts.ts'
import { parseEmailAddress } from '../accounts/email-address.ts'
import type { Auth } from '../auth.ts'
import type { Audit } from '../operation/audit.ts'
import type { Pseudonyms } from '../settings/secrets.ts'
import { json, page, seeOther } from '../web/answer.ts'
import { type Fields, text, ticked } from '../web/form.ts'
import { returnTarget } from '../web/login-required.ts'
import { takeNotice } from '../web/notices.ts'
import type { Pages } from '../web/pages.ts'
import { invalidInput, loginRefused, type Problem, tooManyTries } from '../web/problem.ts'
import type { ServerRequest } from '../web/request.ts'
import type { Route } from '../web/router.ts'
import type { KnownDevices } from './known-devices.ts'
import type { AdmittedTry, Limits } from './limits.ts'
import { loginAgainPage, loginPage } from './page.ts'

export interface LoginDeps {
  readonly auth: Auth
  readonly pages: Pages
  /** As browsers see this server. */
  readonly origin: string
  readonly accounts: Accounts
  readonly limits: Limits
  readonly knownDevices: KnownDevices
  /** Names accounts in counts without telling which they are. */
  readonly accountNames: Pseudonyms
  readonly audit: Audit
}

export function loginRoutes(deps: LoginDeps): Route[] {
  const { auth, pages, origin, accounts, limits, knownDevices, accountNames, audit } = deps
  return [
    { method: 'GET', path: '/login', answer: showForm },
    { method: 'POST', path: '/auth/login', page: '/login', answer: logIn },
  ]

  async function showForm(request: ServerRequest): Promise<Response> {
    const frame = await pages.frame(request)
    const next = returnTarget(request.query('next'), origin)
    const { account } = frame
    if (account === undefined) return page(200, loginPage(frame, { next, notice: takeNotice(request.exchange) }))
    if (request.query('again') === undefined) return seeOther(next)
    const { email = '', passwordHash } = account
    return page(200, loginAgainPage(frame, { next, email, password: passwordHash !== undefined }))
  }

  async function logIn(request: ServerRequest): Promise<Response> {
    const fields = await request.exchange.fields()
    const identifier = identifierOf(fields)
    const missing = missingFields(fields, identifier)
    if (missing !== undefined) return formAgain(request, missing)

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

    const verdict = await verdictOf(request, attempt)
    if (verdict.type !== 'success') {
      const locked = await accounts.failed(identifier)
      audit.record('authn_login_fail', request, { identifier, amr: ['pwd'] })
      if (locked) audit.record('authn_login_lock', request, { identifier, reason: 'consecutive_failures' })
      return formAgain(request, loginRefused)
    }

    const { user, amr = [] } = verdict
    await auth.passport.login(request.exchange, verdict, { remember: ticked(fields, 'remember') })
    knownDevices.remember(request.exchange, identifier)
    const failures = await attempt.succeeded()
    await accounts.succeeded(user.id)
    audit.record('authn_login_success', request, { userId: user.id, amr })
    if (failures > 0) audit.record('authn_login_successafterfail', request, { userId: user.id, count: failures })
    return request.wantsPage
      ? seeOther(returnTarget(text(fields, 'next'), origin))
      : json(200, { user: publicUser(user) })
  }

  /** What the strategy concludes. If the server could not look, the try does not count. */
  async function verdictOf(request: ServerRequest, attempt: AdmittedTry): Promise<Verdict<Account>> {
    try {
      return await auth.passport.authenticate(request.exchange, 'local')
    } catch (error) {
      await attempt.undecided()
      throw error
    }
  }

  function formAgain(request: ServerRequest, problem: Problem): Promise<Response> {
    return pages.refuseForm(request, problem, (frame, fields) =>
      loginPage(frame, {
        problem,
        email: text(fields, 'email'),
        remember: ticked(fields, 'remember'),
        next: returnTarget(text(fields, 'next'), origin),
      }),
    )
  }
}

/** What is counted as one account: the address as it is looked up, or the text that was typed instead of one. */
function identifierOf(fields: Fields): string {
  const typed = text(fields, 'email') || text(fields, 'username')
  return parseEmailAddress(typed)?.key ?? typed.normalize('NFKC').toLowerCase().trim().slice(0, 254)
}

function missingFields(fields: Fields, identifier: string): Problem | undefined {
  const missing = {
    ...(identifier === '' && { email: 'Enter your e-mail address.' }),
    ...(text(fields, 'password') === '' && { password: 'Enter your password.' }),
  }
  return Object.keys(missing).length === 0 ? undefined : invalidInput(missing)
}
