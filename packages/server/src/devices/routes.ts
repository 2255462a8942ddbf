import type { Account } from '../accounts/accounts.ts'
import type { Auth } from '../auth.ts'
import { forgetPages, loggedOut } from '../login/logout.ts'
import type { Audit } from '../operation/audit.ts'
import { json, noContent, page, seeOther } from '../web/answer.ts'
import { toLogin } from '../web/login-required.ts'
import { leaveNotice, takeNotice } from '../web/notices.ts'
import type { Pages } from '../web/pages.ts'
import { loginRequired, sessionNotFound } from '../web/problem.ts'
import type { ServerRequest } from '../web/request.ts'
import type { Parameters, Route } from '../web/router.ts'
import { isoTime } from '../web/time.ts'
import { type DeviceView, devicesPage } from './page.ts'

export interface DevicesDeps {
  readonly auth: Auth
  readonly pages: Pages
  readonly audit: Audit
  /** Epoch milliseconds. */
  readonly clock: () => number
}

/** The page that lists the devices; programs use /auth/sessions. */
const DEVICES = '/account/sessions'

export function deviceRoutes({ auth, pages, audit, clock }: DevicesDeps): Route[] {
  return [
    { method: 'GET', path: DEVICES, answer: forPerson(showDevices) },
    { method: 'POST', path: `${DEVICES}/end-others`, page: DEVICES, answer: forPerson(endOthersByForm, DEVICES) },
    { method: 'POST', path: `${DEVICES}/:handle/end`, page: DEVICES, answer: forPerson(endByForm, DEVICES) },
    { method: 'GET', path: '/auth/sessions', answer: forProgram(listDevices) },
    { method: 'DELETE', path: '/auth/sessions', answer: forProgram(endOthersByProgram) },
    { method: 'DELETE', path: '/auth/sessions/:handle', answer: forProgram(endByProgram) },
  ]

  type Answer = (request: ServerRequest, account: Account, parameters: Parameters) => Promise<Response>

  /** @param back where to come back to after the login; default: the page asked for */
  function forPerson(answer: Answer, back?: string): Route['answer'] {
    return async (request, parameters) => {
      const account = await auth.passport.user(request.exchange)
      return account === undefined ? toLogin(request, back) : answer(request, account, parameters)
    }
  }

  function forProgram(answer: Answer): Route['answer'] {
    return async (request, parameters) => {
      const account = await auth.passport.user(request.exchange)
      return account === undefined ? pages.refuse(request, loginRequired) : answer(request, account, parameters)
    }
  }

  async function showDevices(request: ServerRequest, account: Account): Promise<Response> {
    const frame = await pages.frame(request)
    const devices = await devicesOf(request, account)
    return page(200, devicesPage(frame, { devices, now: clock(), notice: takeNotice(request.exchange) }))
  }

  async function listDevices(request: ServerRequest, account: Account): Promise<Response> {
    const devices = await devicesOf(request, account)
    const sessions = devices.map(({ loggedInAt, seenAt, expiresAt, address, ...device }) => ({
      ...device,
      address: address ?? null,
      loggedInAt: isoTime(loggedInAt),
      seenAt: isoTime(seenAt),
      expiresAt: isoTime(expiresAt),
    }))
    return json(200, { sessions })
  }

  /** The device that asks first, then the one seen last. */
  async function devicesOf(request: ServerRequest, account: Account): Promise<DeviceView[]> {
    const { handle: current } = await auth.sessions.open(request.exchange)
    const sessions = await auth.sessions.list(account.id)
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

  async function endByForm(request: ServerRequest, account: Account, { handle = '' }: Parameters): Promise<Response> {
    if ((await end(request, account, handle)) === 'own') return loggedOut(request)
    // A device that has ended already is what the person wanted.
    leaveNotice(request.exchange, 'device-ended')
    return seeOther(DEVICES)
  }

  async function endByProgram(
    request: ServerRequest,
    account: Account,
    { handle = '' }: Parameters,
  ): Promise<Response> {
    const ended = await end(request, account, handle)
    if (ended === undefined) return pages.refuse(request, sessionNotFound)
    return noContent(ended === 'own' ? forgetPages : {})
  }

  /** Ends one session of the account. Another account's handle is answered like one that does not exist. */
  async function end(request: ServerRequest, account: Account, handle: string): Promise<'own' | 'other' | undefined> {
    const { handle: current } = await auth.sessions.open(request.exchange)
    if (handle === current) {
      await auth.passport.logout(request.exchange)
      return 'own'
    }
    if (await auth.sessions.revokeHandle(account.id, handle)) return 'other'
    audit.record('malicious_direct_reference', request, { userId: account.id, reason: 'session_handle' })
    return undefined
  }

  async function endOthersByForm(request: ServerRequest, account: Account): Promise<Response> {
    await endOthers(request, account)
    leaveNotice(request.exchange, 'others-ended')
    return seeOther(DEVICES)
  }

  async function endOthersByProgram(request: ServerRequest, account: Account): Promise<Response> {
    return json(200, { ended: await endOthers(request, account) })
  }

  async function endOthers(request: ServerRequest, account: Account): Promise<number> {
    const { id } = await auth.sessions.open(request.exchange)
    return auth.sessions.revokeAll(account.id, id === undefined ? {} : { except: id })
  }
}
