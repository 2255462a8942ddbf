import type { LoginIntent, Verdict } from 'gatepass'
import { toResponse } from 'gatepass/hono'
import { type Account, publicUser } from '../accounts/accounts.ts'
import { parseEmailAddress } from '../accounts/email-address.ts'
import type { Services } from '../services.ts'
import type { ProviderConfig } from '../settings/provider-config.ts'
import { type HeaderFields, json, noContent, page, seeOther } from '../web/answer.ts'
import type { Parameters, Route } from '../web/handler.ts'
import { loginGuards, nextQuery, returnTarget } from '../web/login-required.ts'
import { leaveNotice } from '../web/notices.ts'
import { errorPage, type NextStep } from '../web/pages.ts'
import {
  identityNotFound,
  lastLoginMethod,
  linkEnded,
  loginRequired,
  type Problem,
  problemHeaders,
  problemJson,
  tooManyTries,
} from '../web/problem.ts'
import type { ServerRequest } from '../web/request.ts'
import { confirmPage, toProviderPage } from './pages.ts'
import { providerProblem } from './refusals.ts'
import { askAgain, callbackPath, decisionOf } from './strategies.ts'
import type { Opened } from './whose-account.ts'

type ProviderServices = Pick<
  Services,
  'auth' | 'pages' | 'origins' | 'providers' | 'stores' | 'limits' | 'knownDevices' | 'audit'
>

/** Logs in with a provider, adds a provider to an account, and removes it. */
export function providerRoutes(services: ProviderServices): Route[] {
  const { auth, pages, providers, stores, audit } = services
  const { identities } = stores
  const answer = loginGuards(services).forRecentLogin(unlink)
  return [
    ...providers.flatMap((provider) => routesOf(provider, services)),
    { method: 'POST', path: '/account/identities/:handle/unlink', page: '/account', answer },
  ]

  /**
   * The identity of another account is treated like one that does not exist. An identity that is unlinked already is not an
   * error for a person: that is what the person wanted.
   */
  async function unlink(request: ServerRequest, account: Account, { handle = '' }: Parameters): Promise<Response> {
    const { id: session } = await auth.sessions.open(request.exchange)
    const configured = providers.map(({ name }) => name)
    const provider = await identities.remove(account, { handle, configured, session })
    if (provider !== undefined) {
      audit.record('link_removed', request, { userId: account.id, provider })
      if (!request.wantsPage) return noContent()
      leaveNotice(request.exchange, 'unlinked')
      return seeOther('/account')
    }
    // The session has ended or the password was changed since this request began.
    if (!(await identities.stands(account, session)))
      return request.wantsPage ? seeOther('/login') : pages.refuse(request, loginRequired)
    const owner = await identities.ownerOfHandle(handle)
    if (owner === account.id) return pages.refuse(request, lastLoginMethod)
    if (owner !== undefined)
      audit.record('malicious_direct_reference', request, { userId: account.id, reason: 'identity_handle' })
    if (owner !== undefined || !request.wantsPage) return pages.refuse(request, identityNotFound)
    leaveNotice(request.exchange, 'unlinked')
    return seeOther('/account')
  }
}

/** The way to one provider and back. */
function routesOf(provider: ProviderConfig, services: ProviderServices): Route[] {
  const { auth, pages, origins, limits, knownDevices, audit } = services
  const { name, label } = provider
  return [
    { method: 'GET', path: `/auth/${name}`, answer: beginLogin },
    { method: 'GET', path: callbackPath(name), answer: finish },
    { method: 'POST', path: callbackPath(name), answer: finish },
    {
      method: 'POST',
      path: `/account/identities/${name}/link`,
      page: '/account',
      answer: loginGuards(services).forRecentLogin(beginLink),
    },
  ]

  async function beginLogin(request: ServerRequest): Promise<Response> {
    const intent: LoginIntent = { purpose: 'login', next: returnTarget(request.query('next'), origins[0]) }
    const wishes = request.query('again') === undefined ? {} : askAgain(provider)
    const verdict = await auth.passport.authenticate(request.exchange, name, { ...wishes }, intent)
    switch (verdict.type) {
      case 'redirect':
        return seeOther(verdict.location, noReferrer)
      case 'respond':
        // Another site sent the person here: the login begins only with a click on our page.
        return page(200, confirmPage(pages.plainContext, { label, href: request.exchange.target }))
      default:
        return conclude(request, verdict, intent)
    }
  }

  /** A POST of our own page with a recent login: another site cannot link, nor can a passer-by at a screen that was left open longer. */
  async function beginLink(request: ServerRequest, { id }: Account): Promise<Response> {
    const intent: LoginIntent = { purpose: 'link', subject: id, next: '/account' }
    const verdict = await auth.passport.authenticate(request.exchange, name, {}, intent)
    switch (verdict.type) {
      case 'redirect': {
        const { location } = verdict
        if (!request.wantsPage) return json(200, { location })
        // Not by a redirect: browsers apply `form-action` to redirects of a form (CSP 3 §6.4.1.1).
        return page(200, toProviderPage(pages.plainContext, { label, location }), noReferrer)
      }
      case 'respond':
        return toResponse(verdict.reply)
      default:
        return conclude(request, verdict, intent)
    }
  }

  async function finish(request: ServerRequest): Promise<Response> {
    const attempt = await limits.admitCallback(request.address)
    if (!attempt.admitted) {
      audit.record('excess_rate_limit_exceeded', request, { reason: 'callback' })
      return refusal(request, tooManyTries(attempt.retryAfter))
    }
    let refused = false
    try {
      const verdict = await auth.passport.authenticate(request.exchange, name)
      // If the provider does not answer, that is not a failure of the visitor.
      refused = verdict.type === 'rejection' && verdict.failures[0]?.reason !== 'unavailable'
      if (verdict.type === 'redirect') return seeOther(verdict.location, noReferrer)
      if (verdict.type === 'respond') return toResponse(verdict.reply)
      return await conclude(request, verdict, verdict.intent)
    } finally {
      if (!refused) await attempt.undecided()
    }
  }

  async function conclude(
    request: ServerRequest,
    verdict: Extract<Verdict<Account>, { type: 'success' | 'rejection' }>,
    intent: LoginIntent | undefined,
  ): Promise<Response> {
    const { exchange } = request
    const linking = intent?.purpose === 'link'
    const decision = decisionOf(exchange)
    if (verdict.type === 'rejection') {
      const problem = decision?.type === 'refused' ? decision.problem : providerProblem(verdict, label)
      const details = { userId: intent?.subject, provider: name, reason: problem.code }
      audit.record(linking ? 'link_fail' : 'authn_login_fail', request, details)
      return refusal(request, problem, intent?.next)
    }
    const opened: Opened =
      decision?.type === 'opened' ? decision : { type: 'opened', account: verdict.user, how: 'known' }
    const { account, how, emailProved = false } = opened
    if (!linking) {
      // The new version of the password has ended these sessions already. They should not stay in the list.
      if (how === 'reclaimed') {
        const count = await auth.sessions.revokeAll(account.id)
        if (count > 0) audit.record('session_ended', request, { userId: account.id, count, reason: 'reclaimed' })
      }
      // Logging in again does not change whether this browser is remembered.
      const { subject, login } = await auth.sessions.open(exchange)
      const remember = subject === account.id && login?.remembered === true
      await auth.passport.login(exchange, verdict, { remember })
      // Saved before the log has it: a login that was not saved is none.
      await auth.sessions.commit(exchange)
      // An unconfirmed address may be another person's. Guesses at that account must stay limited on this device.
      const email = account.emailVerified ? parseEmailAddress(account.email) : undefined
      if (email !== undefined) knownDevices.remember(exchange, email.key)
    }
    const details = { userId: account.id, provider: name }
    if (how === 'created') audit.record('user_created', request, details)
    if (how === 'reclaimed') audit.record('user_reclaimed', request, { ...details, reason: 'mailbox_proved' })
    if (how !== 'known') audit.record('link_added', request, details)
    if (emailProved) audit.record('user_email_verified', request, details)
    if (!linking) {
      audit.record('authn_login_success', request, { ...details, amr: verdict.amr ?? [] })
      if (!request.wantsPage) return json(200, { user: publicUser(account) })
      if (how !== 'reclaimed') return seeOther(verdict.intent?.next ?? '/account', noReferrer)
    }
    leaveNotice(exchange, linking ? 'linked' : 'reclaimed')
    return seeOther('/account', noReferrer)
  }

  async function refusal(request: ServerRequest, problem: Problem, next?: string): Promise<Response> {
    if (!request.wantsPage) return problemJson(problem)
    const { requestId, path } = request
    // After `linkEnded` the session that this request knows is out of date.
    const loggedIn = problem.code !== linkEnded.code && (await pages.context(request)).account !== undefined
    const nextSteps = loggedIn ? [toAccount] : stepsAfter(problem, provider, next)
    // Without forms: the address of this page may hold a code, which a form would send to the next page.
    const body = errorPage(pages.plainContext, { problem, requestId, path, nextSteps })
    return page(problem.status, body, { ...problemHeaders(problem), ...noReferrer })
  }
}

const toAccount: NextStep = { href: '/account', text: 'To your account' }

function stepsAfter({ remedy }: Problem, { name, label }: ProviderConfig, next: string | undefined): NextStep[] {
  const query = nextQuery(next)
  const again = { href: `/auth/${name}${query}`, text: `Try again with ${label}` }
  if (remedy === 'log in as usual') return [{ href: '/login?next=%2Faccount', text: 'Log in' }]
  const other = { href: `/login${query}`, text: 'Log in another way' }
  return remedy === 'try again' ? [again, other] : [other]
}

/** The addresses on the way to a provider and back hold codes that other sites must not see (RFC 9700 §4.2.4). */
const noReferrer: HeaderFields = { 'Referrer-Policy': 'no-referrer' }
