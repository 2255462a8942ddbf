import type { Account } from '../accounts/accounts.ts'
import { json, noContent, page, seeOther } from '../answer.ts'
import { frameOf } from '../frame.ts'
import { devicesPage } from '../pages/devices.ts'
import { leaveNotice, takeNotice } from '../pages/notices.ts'
import { loginRequired, sessionNotFound } from '../problem.ts'
import { refuse } from '../refusal.ts'
import type { Parameters, Route } from '../router.ts'
import type { Site } from '../site.ts'
import type { Visit } from '../visit.ts'
import { forgetPages, loggedOut } from './logout.ts'
import { toLogin } from './return-target.ts'
import { isoTime } from './session.ts'

/** The page that lists them. */
const DEVICES = '/account/sessions'

export function sessionsRoutes(site: Site): Route[] {
  return [
    { method: 'GET', path: '/auth/sessions', answer: (visit) => listForProgram(site, visit) },
    { method: 'DELETE', path: '/auth/sessions', answer: (visit) => endOthersForProgram(site, visit) },
    { method: 'DELETE', path: '/auth/sessions/:handle', answer: (visit, of) => endForProgram(site, visit, of) },
    { method: 'GET', path: DEVICES, answer: (visit) => showDevices(site, visit) },
    {
      method: 'POST',
      path: `${DEVICES}/end-others`,
      page: DEVICES,
      answer: (visit) => endOthersForPerson(site, visit),
    },
    {
      method: 'POST',
      path: `${DEVICES}/:handle/end`,
      page: DEVICES,
      answer: (visit, of) => endForPerson(site, visit, of),
    },
  ]
}

/** One row of the device list. */
export interface DeviceView {
  readonly handle: string
  /** The one that asks. */
  readonly current: boolean
  readonly device: string
  readonly address: string | undefined
  /** Epoch milliseconds. */
  readonly loggedInAt: number
  readonly seenAt: number
  readonly expiresAt: number
  readonly remembered: boolean
}

async function listForProgram(site: Site, visit: Visit): Promise<Response> {
  const account = await site.auth.user(visit.request)
  if (account === undefined) return refuse(site, visit, loginRequired)
  const sessions = (await devicesOf(site, visit, account)).map(
    ({ loggedInAt, seenAt, expiresAt, address, ...device }) => ({
      ...device,
      address: address ?? null,
      loggedInAt: isoTime(loggedInAt),
      seenAt: isoTime(seenAt),
      expiresAt: isoTime(expiresAt),
    }),
  )
  return json(200, { sessions })
}

async function showDevices(site: Site, visit: Visit): Promise<Response> {
  const frame = await frameOf(site, visit)
  if (frame.account === undefined) return toLogin(visit)
  const devices = await devicesOf(site, visit, frame.account)
  return page(200, devicesPage(frame, { devices, now: site.clock(), notice: takeNotice(visit.exchange) }))
}

/** The device that asks first, then the one seen last. */
async function devicesOf(site: Site, visit: Visit, account: Account): Promise<DeviceView[]> {
  const { handle: current } = await site.auth.session(visit.request)
  const sessions = await site.auth.sessions.list(account.id)
  return sessions
    .map((session) => ({
      handle: session.handle,
      current: session.handle === current,
      device: session.client.device,
      address: session.client.address,
      loggedInAt: session.login?.at ?? session.createdAt,
      seenAt: session.seenAt,
      expiresAt: session.expiresAt,
      remembered: session.login?.remembered === true,
    }))
    .sort((a, b) => Number(b.current) - Number(a.current) || b.seenAt - a.seenAt)
}

async function endForProgram(site: Site, visit: Visit, { handle = '' }: Parameters): Promise<Response> {
  const account = await site.auth.user(visit.request)
  if (account === undefined) return refuse(site, visit, loginRequired)
  const ended = await end(site, visit, account, handle)
  if (ended === undefined) return refuse(site, visit, sessionNotFound)
  return noContent(ended === 'own' ? forgetPages : {})
}

async function endForPerson(site: Site, visit: Visit, { handle = '' }: Parameters): Promise<Response> {
  const account = await site.auth.user(visit.request)
  if (account === undefined) return toLogin(visit, DEVICES)
  const ended = await end(site, visit, account, handle)
  if (ended === 'own') return loggedOut(visit)
  // A device that has ended already is what the person wanted.
  leaveNotice(visit.exchange, 'device-ended')
  return seeOther(DEVICES)
}

async function endOthersForProgram(site: Site, visit: Visit): Promise<Response> {
  const account = await site.auth.user(visit.request)
  if (account === undefined) return refuse(site, visit, loginRequired)
  return json(200, { ended: await endOthers(site, visit, account) })
}

async function endOthersForPerson(site: Site, visit: Visit): Promise<Response> {
  const account = await site.auth.user(visit.request)
  if (account === undefined) return toLogin(visit, DEVICES)
  await endOthers(site, visit, account)
  leaveNotice(visit.exchange, 'others-ended')
  return seeOther(DEVICES)
}

/** Ends one session of the account. Somebody else's handle is answered like one that nobody has. */
async function end(site: Site, visit: Visit, account: Account, handle: string): Promise<'own' | 'other' | undefined> {
  const { handle: current } = await site.auth.session(visit.request)
  if (handle === current) {
    await site.auth.logout(visit.request)
    return 'own'
  }
  if (await site.auth.sessions.revokeHandle(account.id, handle)) return 'other'
  site.audit.record('malicious_direct_reference', visit, { userId: account.id, reason: 'session_handle' })
  return undefined
}

async function endOthers(site: Site, visit: Visit, account: Account): Promise<number> {
  const { id } = await site.auth.session(visit.request)
  return site.auth.sessions.revokeAll(account.id, id === undefined ? {} : { except: id })
}
