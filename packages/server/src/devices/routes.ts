import type { Account } from '../accounts/accounts.ts'
import { logOut } from '../login/routes.ts'
import type { Services } from '../services.ts'
import { json, noContent, page, seeOther } from '../web/answer.ts'
import type { Parameters, Route } from '../web/handler.ts'
import { loginGuards } from '../web/login-required.ts'
import { leaveNotice, takeNotice } from '../web/notices.ts'
import { sessionNotFound } from '../web/problem.ts'
import type { ServerRequest } from '../web/request.ts'
import { isoTime } from '../web/time.ts'
import { type DeviceView, devicesPage } from './page.ts'

/** The page that lists the devices. Programs use /auth/sessions. */
const DEVICES = '/account/sessions'

type DeviceServices = Pick<Services, 'auth' | 'pages' | 'stores' | 'audit' | 'clock'>

export function deviceRoutes({ auth, pages, stores, audit, clock }: DeviceServices): Route[] {
  const { forPerson, forProgram } = loginGuards({ auth, pages })
  return [
    { method: 'GET', path: DEVICES, answer: forPerson(showDevices) },
    { method: 'POST', path: `${DEVICES}/end-others`, page: DEVICES, answer: forPerson(endOthersByForm, DEVICES) },
    { method: 'POST', path: `${DEVICES}/:handle/end`, page: DEVICES, answer: forPerson(endByForm, DEVICES) },
    { method: 'GET', path: '/auth/sessions', answer: forProgram(listDevices) },
    { method: 'DELETE', path: '/auth/sessions', answer: forProgram(endOthersByProgram) },
    { method: 'DELETE', path: '/auth/sessions/:handle', answer: forProgram(endByProgram) },
  ]

  async function showDevices(request: ServerRequest, account: Account): Promise<Response> {
    const context = await pages.context(request)
    const devices = await devicesOf(request, account)
    return page(200, devicesPage(context, { devices, now: clock(), notice: takeNotice(request.exchange) }))
  }

  async function listDevices(request: ServerRequest, account: Account): Promise<Response> {
    const devices = await devicesOf(request, account)
    const sessions = devices.map((device) => ({
      ...device,
      address: device.address ?? null,
      loggedInAt: isoTime(device.loggedInAt),
      seenAt: isoTime(device.seenAt),
      expiresAt: isoTime(device.expiresAt),
    }))
    return json(200, { sessions })
  }

  /** This device first, then the others, the last seen first. */
  async function devicesOf(request: ServerRequest, account: Account): Promise<DeviceView[]> {
    const { handle: current } = await auth.sessions.open(request.exchange)
    const sessions = await auth.sessions.list(account.id)
    return sessions
      .map(({ handle, client, login, createdAt, seenAt, expiresAt }) => ({
        handle,
        current: handle === current,
        device: client.device,
        remembered: login?.remembered === true,
        address: client.address,
        loggedInAt: login?.at ?? createdAt,
        seenAt,
        expiresAt,
      }))
      .sort((a, b) => Number(b.current) - Number(a.current) || b.seenAt - a.seenAt)
  }

  async function endByForm(request: ServerRequest, account: Account, { handle = '' }: Parameters): Promise<Response> {
    if (await isCurrent(request, handle)) return logOut(auth, request, '/login')
    // A device that is logged out already is not an error: that is what the person wanted.
    await endOther(request, account, handle)
    leaveNotice(request.exchange, 'device-ended')
    return seeOther(DEVICES)
  }

  async function endByProgram(
    request: ServerRequest,
    account: Account,
    { handle = '' }: Parameters,
  ): Promise<Response> {
    if (await isCurrent(request, handle)) return logOut(auth, request)
    return (await endOther(request, account, handle)) ? noContent() : pages.refuse(request, sessionNotFound)
  }

  async function isCurrent(request: ServerRequest, handle: string): Promise<boolean> {
    return (await auth.sessions.open(request.exchange)).handle === handle
  }

  /** Ends another session of the account. The handle of a foreign session is treated like one that does not exist. */
  async function endOther(request: ServerRequest, account: Account, handle: string): Promise<boolean> {
    const userId = account.id
    const named = (await auth.sessions.list(userId)).find((session) => session.handle === handle)
    const ended = await auth.sessions.revokeHandle(userId, handle)
    if (ended) audit.record('session_ended', request, { userId, sessionId: named?.id, count: 1 })
    else if (await stores.accounts.hasSession(handle))
      audit.record('malicious_direct_reference', request, { userId, reason: 'session_handle' })
    return ended
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
    const count = await auth.sessions.revokeAll(account.id, id === undefined ? {} : { except: id })
    if (count > 0) audit.record('session_ended', request, { userId: account.id, count })
    return count
  }
}
