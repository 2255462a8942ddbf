import type { Verdict } from 'gatepass'
import type { Account } from '../accounts/accounts.ts'
import { parseEmailAddress } from '../accounts/email-address.ts'
import { json, page, seeOther } from '../answer.ts'
import { frameOf } from '../frame.ts'
import type { AdmittedTry } from '../limits.ts'
import { loginAgainPage, loginPage } from '../pages/login.ts'
import { takeNotice } from '../pages/notices.ts'
import { invalidInput, loginRefused, type Problem, tooManyTries } from '../problem.ts'
import { problemHeaders, refuse } from '../refusal.ts'
import type { Route } from '../router.ts'
import type { Site } from '../site.ts'
import type { Visit } from '../visit.ts'
import { type Fields, text, ticked } from './fields.ts'
import { returnTarget } from './return-target.ts'

export function loginRoutes(site: Site): Route[] {
  return [
    { method: 'GET', path: '/login', answer: (visit) => showLogin(site, visit) },
    { method: 'POST', path: '/auth/login', page: '/login', answer: (visit) => logIn(site, visit) },
  ]
}

async function showLogin(site: Site, visit: Visit): Promise<Response> {
  const frame = await frameOf(site, visit)
  const next = returnTarget(visit.query('next'), site.origin)
  const { account } = frame
  if (account === undefined) return page(200, loginPage(frame, { next, notice: takeNotice(visit.exchange) }))
  if (visit.query('again') === undefined) return seeOther(next)
  const { email = '', passwordHash } = account
  return page(200, loginAgainPage(frame, { next, email, password: passwordHash !== undefined }))
}

async function logIn(site: Site, visit: Visit): Promise<Response> {
  const fields = await visit.exchange.fields()
  const identifier = identifierOf(fields)
  const missing = missingFields(fields, identifier)
  if (missing !== undefined) return refuseLogin(site, visit, missing)
  const attempt = await site.limits.admitLogin({
    address: visit.address,
    account: site.accountNames.of(identifier),
    device: site.devices.find(visit.exchange, identifier),
  })
  if (!attempt.admitted) return refuseTry(site, visit, identifier, attempt.retryAfter)
  const verdict = await verdictOf(site, visit, attempt)
  if (verdict.type !== 'success') return refuseCredentials(site, visit, identifier)
  const { user } = verdict
  await site.auth.login(visit.request, verdict, { remember: ticked(fields, 'remember') })
  site.devices.remember(visit.exchange, identifier)
  await noteSuccess(site, visit, { user, attempt, amr: verdict.amr ?? [] })
  return visit.wantsPage
    ? seeOther(returnTarget(text(fields, 'next'), site.origin))
    : json(200, { user: publicUser(user) })
}

/** The account as its owner sees it. */
export function publicUser({ id, email, name }: Account): object {
  return { id, email: email ?? null, name: name === '' ? null : name }
}

/** What is counted as one account: the address as it is looked up, or whatever was typed instead of one. */
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

/** What the strategy concludes. A server that could not look has not been tried. */
async function verdictOf(site: Site, visit: Visit, attempt: AdmittedTry): Promise<Verdict<Account>> {
  try {
    return await site.auth.authenticate(visit.request, 'local')
  } catch (error) {
    await attempt.undecided()
    throw error
  }
}

async function refuseCredentials(site: Site, visit: Visit, identifier: string): Promise<Response> {
  const locked = await site.accounts.failed(identifier)
  site.audit.record('authn_login_fail', visit, { identifier, amr: ['pwd'] })
  if (locked) site.audit.record('authn_login_lock', visit, { identifier, reason: 'consecutive_failures' })
  return refuseLogin(site, visit, loginRefused)
}

function refuseTry(site: Site, visit: Visit, identifier: string, retryAfter: number): Promise<Response> {
  site.audit.record('authn_login_fail_max', visit, { identifier })
  site.audit.record('excess_rate_limit_exceeded', visit, { reason: 'login' })
  return refuseLogin(site, visit, tooManyTries(retryAfter))
}

/** A person gets the form again, with everything but the password. */
async function refuseLogin(site: Site, visit: Visit, problem: Problem): Promise<Response> {
  if (!visit.wantsPage) return refuse(site, visit, problem)
  const fields = await visit.exchange.fields()
  const form = {
    problem,
    email: text(fields, 'email'),
    remember: ticked(fields, 'remember'),
    next: returnTarget(text(fields, 'next'), site.origin),
  }
  return page(problem.status, loginPage(await frameOf(site, visit), form), problemHeaders(problem))
}

interface Success {
  readonly user: Account
  readonly attempt: AdmittedTry
  readonly amr: readonly string[]
}

async function noteSuccess(site: Site, visit: Visit, { user, attempt, amr }: Success): Promise<void> {
  const failures = await attempt.succeeded()
  await site.accounts.succeeded(user.id)
  site.audit.record('authn_login_success', visit, { userId: user.id, amr })
  if (failures > 0) site.audit.record('authn_login_successafterfail', visit, { userId: user.id, count: failures })
}
