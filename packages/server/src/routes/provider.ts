import type { Exchange, LoginIntent, Reply, Verdict } from 'gatepass'
import type { Account } from '../accounts/accounts.ts'
import { parseEmailAddress } from '../accounts/email-address.ts'
import { json, page, seeOther } from '../answer.ts'
import { frameOf, plainFrame } from '../frame.ts'
import { confirmPage } from '../pages/confirm.ts'
import { errorPage, type Way } from '../pages/error.ts'
import { leaveNotice } from '../pages/notices.ts'
import { onwardsPage } from '../pages/onwards.ts'
import { emailInUse, identityTaken, linkEnded, type Problem, tooManyTries } from '../problem.ts'
import type { ProviderConfig } from '../provider-config.ts'
import { providerProblem } from '../providers/refusals.ts'
import { askAnew, callbackPath, decisionOf } from '../providers/strategies.ts'
import type { Opened } from '../providers/whose-account.ts'
import { problemBody, problemHeaders } from '../refusal.ts'
import type { Route } from '../router.ts'
import type { Site } from '../site.ts'
import type { Visit } from '../visit.ts'
import { publicUser } from './login.ts'
import { recentLogin } from './recent-login.ts'
import { returnTarget } from './return-target.ts'

type Of<Type, Union = Verdict<Account>> = Extract<Union, { type: Type }>

/** A request on the way to a provider, or back from it. */
interface Journey {
  readonly site: Site
  readonly visit: Visit
  readonly provider: ProviderConfig
}

/** The way to each provider and back. */
export function providerRoutes(site: Site): Route[] {
  return site.providers.flatMap((provider): Route[] => {
    const on = (step: (journey: Journey) => Promise<Response>) => (visit: Visit) => step({ site, visit, provider })
    return [
      { method: 'GET', path: `/auth/${provider.name}`, answer: on(beginLogin) },
      { method: 'GET', path: callbackPath(provider.name), answer: on(finishLogin) },
      { method: 'POST', path: callbackPath(provider.name), answer: on(finishLogin) },
      { method: 'POST', path: `/account/identities/${provider.name}/link`, page: '/account', answer: on(beginLink) },
    ]
  })
}

async function beginLogin(journey: Journey): Promise<Response> {
  const { site, visit, provider } = journey
  const intent: LoginIntent = { purpose: 'login', next: returnTarget(visit.query('next'), site.origin) }
  const wishes = visit.query('again') === undefined ? {} : askAnew(provider)
  const verdict = await site.auth.passport.authenticate(visit.exchange, provider.name, { ...wishes }, intent)
  switch (verdict.type) {
    case 'redirect':
      return toProvider(verdict.location)
    case 'respond':
      // Another site sent them here; the way goes on by a click on our page alone.
      return page(200, confirmPage(plainFrame(site), { label: provider.label, href: visit.exchange.target }))
    default:
      return conclude(journey, verdict, intent)
  }
}

/** Linking is a POST of ours with a recent login: no other page, and nobody at a forgotten screen, adds a way in. */
async function beginLink(journey: Journey): Promise<Response> {
  const { site, visit, provider } = journey
  const who = await recentLogin(site, visit, '/account')
  if ('answer' in who) return who.answer
  const intent: LoginIntent = { purpose: 'link', subject: who.account.id, next: '/account' }
  const verdict = await site.auth.passport.authenticate(visit.exchange, provider.name, {}, intent)
  if (verdict.type === 'redirect') {
    if (!visit.wantsPage) return json(200, { location: verdict.location })
    // Not by a redirect: browsers count where a form is sent on to against `form-action` (CSP 3 §6.4.1.1).
    const view = { label: provider.label, location: verdict.location }
    return page(200, onwardsPage(plainFrame(site), view), noReferrer)
  }
  return verdict.type === 'respond' ? responseOf(verdict.reply) : conclude(journey, verdict, intent)
}

async function finishLogin(journey: Journey): Promise<Response> {
  const { site, visit, provider } = journey
  const attempt = await site.limits.admitCallback(visit.address)
  if (!attempt.admitted) return refuseTry(journey, attempt.retryAfter)
  let refused = false
  try {
    const verdict = await site.auth.passport.authenticate(visit.exchange, provider.name)
    // A provider that does not answer says nothing about the visitor.
    refused = verdict.type === 'rejection' && verdict.failures[0]?.reason !== 'unavailable'
    return await answerCallback(journey, verdict)
  } finally {
    if (!refused) await attempt.undecided()
  }
}

async function answerCallback(journey: Journey, verdict: Verdict<Account>): Promise<Response> {
  if (verdict.type === 'redirect') return toProvider(verdict.location)
  if (verdict.type === 'respond') return responseOf(verdict.reply)
  return conclude(journey, verdict, verdict.intent)
}

function conclude(
  journey: Journey,
  verdict: Of<'success'> | Of<'rejection'>,
  intent: LoginIntent | undefined,
): Promise<Response> {
  if (verdict.type === 'rejection') return refuseArrival(journey, verdict, intent)
  const opened = openedBy(journey.visit.exchange, verdict.user)
  return intent?.purpose === 'link' ? welcomeLink(journey, opened) : welcome(journey, verdict, opened)
}

function openedBy(exchange: Exchange, account: Account): Opened {
  const decision = decisionOf(exchange)
  return decision?.type === 'opened' ? decision : { type: 'opened', account, how: 'known' }
}

async function welcomeLink(journey: Journey, opened: Opened): Promise<Response> {
  recordChanges(journey, opened)
  leaveNotice(journey.visit.exchange, 'linked')
  return seeOther('/account', noReferrer)
}

async function welcome(journey: Journey, verdict: Of<'success'>, opened: Opened): Promise<Response> {
  const { site, visit, provider } = journey
  const { account, how } = opened
  // They have ended by the password's version already; nobody need see them in a list.
  if (how === 'reclaimed') await site.auth.sessions.revokeAll(account.id)
  await site.auth.login(visit.request, verdict)
  // An address that is not confirmed is perhaps somebody else's, who must not be guessed at from here without limit.
  const email = account.emailVerified ? parseEmailAddress(account.email) : undefined
  if (email !== undefined) site.devices.remember(visit.exchange, email.key)
  recordChanges(journey, opened)
  site.audit.record('authn_login_success', visit, {
    userId: account.id,
    amr: verdict.amr ?? [],
    provider: provider.name,
  })
  if (!visit.wantsPage) return json(200, { user: publicUser(account) })
  if (how !== 'reclaimed') return seeOther(verdict.intent?.next ?? '/account', noReferrer)
  leaveNotice(visit.exchange, 'reclaimed')
  return seeOther('/account', noReferrer)
}

function recordChanges({ site, visit, provider }: Journey, opened: Opened): void {
  const { how, emailProved = false } = opened
  const details = { userId: opened.account.id, provider: provider.name }
  if (how === 'created') site.audit.record('user_created', visit, details)
  if (how === 'reclaimed') site.audit.record('user_reclaimed', visit, { ...details, reason: 'mailbox_proved' })
  if (how !== 'known') site.audit.record('link_added', visit, details)
  if (emailProved) site.audit.record('user_email_verified', visit, details)
}

async function refuseArrival(
  { site, visit, provider }: Journey,
  verdict: Of<'rejection'>,
  intent: LoginIntent | undefined,
): Promise<Response> {
  const decision = decisionOf(visit.exchange)
  const problem = decision?.type === 'refused' ? decision.problem : providerProblem(verdict, provider.label)
  const event = intent?.purpose === 'link' ? 'link_fail' : 'authn_login_fail'
  site.audit.record(event, visit, { userId: intent?.subject, provider: provider.name, reason: problem.code })
  return refusalPage({ site, visit, provider }, problem, intent?.next)
}

function refuseTry(journey: Journey, retryAfter: number): Promise<Response> {
  journey.site.audit.record('excess_rate_limit_exceeded', journey.visit, { reason: 'callback' })
  return refusalPage(journey, tooManyTries(retryAfter), undefined)
}

async function refusalPage(
  { site, visit, provider }: Journey,
  problem: Problem,
  next: string | undefined,
): Promise<Response> {
  if (!visit.wantsPage) return json(problem.status, problemBody(problem), problemHeaders(problem))
  // What this request knows of its session is older than the provider's answer.
  const somebody = problem.code !== linkEnded.code && (await frameOf(site, visit)).account !== undefined
  const ways = somebody ? [toAccount] : waysOn(problem, provider, next)
  const view = { problem, requestId: visit.requestId, path: visit.path, ways }
  // Without forms, since the page's own address may hold a code and is told to nobody.
  return page(problem.status, errorPage(plainFrame(site), view), { ...problemHeaders(problem), ...noReferrer })
}

const toAccount: Way = { href: '/account', text: 'To your account' }

function waysOn({ code }: Problem, { name, label }: ProviderConfig, next: string | undefined): Way[] {
  const query = next === undefined || next === '/account' ? '' : `?next=${encodeURIComponent(next)}`
  const again = { href: `/auth/${name}${query}`, text: `Try again with ${label}` }
  if (code === emailInUse.code || code === identityTaken.code || code === linkEnded.code)
    return [{ href: '/login?next=%2Faccount', text: 'Log in' }]
  const other = { href: `/login${query}`, text: 'Log in another way' }
  return code.startsWith('ERR_O') ? [again, other] : [other]
}

/** Addresses that lead to a provider and back hold what is nobody else's business (RFC 9700 §4.2.4). */
const noReferrer: Readonly<Record<string, string>> = { 'Referrer-Policy': 'no-referrer' }

function toProvider(location: string): Response {
  return seeOther(location, noReferrer)
}

/** What the library answers by itself. */
function responseOf({ status, headers, body }: Reply): Response {
  const fields = Object.entries(headers).map(([name, value]): [string, string] => [name, [value].flat().join(', ')])
  return new Response(body ?? null, { status, headers: fields })
}
