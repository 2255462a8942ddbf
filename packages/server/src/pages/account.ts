import { html } from 'hono/html'
import type { Account } from '../accounts/accounts.ts'
import { type Frame, layout } from './layout.ts'
import type { Markup } from './markup.ts'
import { ago, exactly } from './time.ts'

export interface AccountView {
  readonly account: Account
  /** How many are logged in. */
  readonly devices: number
  /** Epoch milliseconds. */
  readonly loggedInAt: number | undefined
  readonly expiresAt: number | undefined
  readonly now: number
}

export function accountPage(frame: Frame, { account, devices, loggedInAt, expiresAt, now }: AccountView): Markup {
  const called = account.name === '' ? account.email : account.name
  const body = html`<div class="title">
<span class="monogram" aria-hidden="true">${Array.from(called)[0]?.toUpperCase() ?? ''}</span>
<div><h1>Your account</h1><p class="lead">${called}</p></div>
</div>
<section class="card" aria-labelledby="details">
<h2 id="details">Details</h2>
<dl>
${account.name === '' ? '' : entry('Name', html`${account.name}`)}
${entry('E-mail address', html`${account.email}`)}
${entry('Account since', exactly(account.createdAt))}
</dl>
</section>
<section class="card" aria-labelledby="login">
<h2 id="login">This login</h2>
<dl>
${loggedInAt === undefined ? '' : entry('Logged in', html`${ago(loggedInAt, now)}, with your password`)}
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

function entry(name: string, value: Markup): Markup {
  return html`<div><dt>${name}</dt><dd>${value}</dd></div>`
}
