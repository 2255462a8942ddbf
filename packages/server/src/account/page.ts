import { html } from 'hono/html'
import type { Account } from '../accounts/accounts.ts'
import type { LinkedIdentity } from '../accounts/identities.ts'
import type { Markup } from '../web/answer.ts'
import { layout, noticeBox, type PageFrame } from '../web/layout.ts'
import { ago, exactly } from '../web/time.ts'
import { loginMethods } from './login-methods.ts'

export interface AccountView {
  readonly account: Account
  readonly identities: readonly LinkedIdentity[]
  /** How many are logged in. */
  readonly devices: number
  /** Which strategy began this login. */
  readonly loggedInBy: string | undefined
  /** Epoch milliseconds. */
  readonly loggedInAt: number | undefined
  readonly expiresAt: number | undefined
  readonly now: number
  readonly notice?: string | undefined
}

export function accountPage(frame: PageFrame, view: AccountView): Markup {
  const { account, identities, devices, loggedInAt, expiresAt, now, notice } = view
  const called = account.name || account.email || 'Nameless'
  const body = html`<div class="title">
<span class="monogram" aria-hidden="true">${Array.from(called)[0]?.toUpperCase() ?? ''}</span>
<div><h1>Your account</h1><p class="lead">${called}</p></div>
</div>
${noticeBox(notice)}
<section class="card" aria-labelledby="details">
<h2 id="details">Details</h2>
<dl>
${account.name === '' ? '' : entry('Name', html`${account.name}`)}
${account.email === undefined ? '' : entry('E-mail address', html`${account.email}${account.emailVerified ? html` <span class="badge">Confirmed</span>` : ''}`)}
${entry('Account since', exactly(account.createdAt))}
</dl>
</section>
${loginMethods(frame, { account, identities, now })}
<section class="card" aria-labelledby="login">
<h2 id="login">This login</h2>
<dl>
${loggedInAt === undefined ? '' : entry('Logged in', html`${ago(loggedInAt, now)}, with ${howLoggedIn(frame, view.loggedInBy)}`)}
${expiresAt === undefined ? '' : entry('Ends by itself', html`${ago(expiresAt, now)}, unless you come back before`)}
</dl>
</section>
<section class="card row" aria-labelledby="devices">
<div><h2 id="devices">Devices</h2>
<p>${devices === 1 ? 'You are logged in on this device only.' : html`You are logged in on <strong>${devices}</strong> devices.`}</p></div>
<a class="button second" href="/account/sessions">Show devices</a>
</section>`
  return layout(frame, { title: 'Your account', width: 'wide', current: 'account', body })
}

function howLoggedIn(frame: PageFrame, strategy: string | undefined): string {
  return frame.providers.find(({ name }) => name === strategy)?.label ?? 'your password'
}

function entry(name: string, value: Markup): Markup {
  return html`<div><dt>${name}</dt><dd>${value}</dd></div>`
}
