import { html } from 'hono/html'
import type { Account } from '../accounts/accounts.ts'
import type { LinkedIdentity } from '../accounts/identities.ts'
import type { Markup } from '../web/answer.ts'
import { keyIcon, linkIcon } from '../web/assets.ts'
import { formToken, layout, noticeBox, type PageContext } from '../web/pages.ts'
import { ago, exactly } from '../web/time.ts'

/** For visitors who are not logged in. */
export function homePage(context: PageContext): Markup {
  const body = html`<div class="card">
<h1>Welcome to ${context.siteName}</h1>
<p class="lead">Log in to see your account, and every device that is logged in to it.</p>
<p class="actions"><a class="button" href="/login">Log in</a>${
    context.registration ? html`<a class="button second" href="/register">Create an account</a>` : ''
  }</p>
</div>`
  return layout(context, { title: 'Welcome', width: 'narrow', body })
}

export interface AccountView {
  readonly account: Account
  readonly identities: readonly LinkedIdentity[]
  /** How many are logged in. */
  readonly devices: number
  /** The strategy of this login. */
  readonly loggedInBy: string | undefined
  /** Epoch milliseconds. */
  readonly loggedInAt: number | undefined
  readonly expiresAt: number | undefined
  readonly now: number
  readonly notice?: string | undefined
}

export function accountPage(context: PageContext, view: AccountView): Markup {
  const { account, devices, loggedInBy, loggedInAt, expiresAt, now, notice } = view
  const called = account.name || account.email || 'Nameless'
  const by = loggedInBy === 'local' ? 'your password' : (labelOf(context, loggedInBy) ?? loggedInBy)
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
${loginMethods(context, view)}
<section class="card" aria-labelledby="login">
<h2 id="login">This login</h2>
<dl>
${loggedInAt === undefined ? '' : entry('Logged in', html`${ago(loggedInAt, now)}${by === undefined ? '' : `, with ${by}`}`)}
${expiresAt === undefined ? '' : entry('Ends by itself', html`${ago(expiresAt, now)}, unless you come back before`)}
</dl>
</section>
<section class="card row" aria-labelledby="devices">
<div><h2 id="devices">Devices</h2>
<p>${devices === 1 ? 'You are logged in on this device only.' : html`You are logged in on <strong>${devices}</strong> devices.`}</p></div>
<a class="button second" href="/account/sessions">Show devices</a>
</section>`
  return layout(context, { title: 'Your account', width: 'wide', current: 'account', body })
}

function entry(name: string, value: Markup): Markup {
  return html`<div><dt>${name}</dt><dd>${value}</dd></div>`
}

function labelOf(context: PageContext, provider: string | undefined): string | undefined {
  return context.providers.find(({ name }) => name === provider)?.label
}

/** The ways to log in, with the buttons that change them. */
function loginMethods(context: PageContext, { account, identities, now }: AccountView): Markup {
  const { passwordHash, passwordDisabled } = account
  const usable = identities.filter(({ provider }) => labelOf(context, provider) !== undefined)
  const hasPassword = passwordHash !== undefined && !passwordDisabled
  const only = usable.length + (hasPassword ? 1 : 0) === 1
  const linkable = context.providers.filter(({ name }) => identities.every(({ provider }) => provider !== name))
  const onlyMethod = html`<p class="hint only">Your only way to log in</p>`
  const passwordText =
    passwordHash === undefined
      ? 'You have no password. You log in with one of the ways below.'
      : passwordDisabled
        ? 'Disabled after too many wrong tries.'
        : 'With your e-mail address.'
  return html`<section class="card list" aria-labelledby="ways">
<h2 id="ways">Ways to log in</h2>
<ul>
<li class="device">
<span class="tile">${keyIcon}</span>
<div class="what"><h3>Password</h3><p>${passwordText}</p></div>
${hasPassword && only ? onlyMethod : ''}
</li>
${identities.map(
  (identity) => html`<li class="device">
<span class="tile">${linkIcon}</span>
${identityText(context, identity, now)}
${only && usable.includes(identity) ? onlyMethod : unlinkForm(context, identity)}
</li>`,
)}
</ul>
${linkable.length === 0 ? '' : linkForms(context, linkable)}
</section>`
}

function identityText(context: PageContext, identity: LinkedIdentity, now: number): Markup {
  const { handle, provider, email, createdAt, lastUsedAt } = identity
  const label = labelOf(context, provider)
  const dot = html` <span class="dot">·</span> `
  return html`<div class="what">
<h3 id="i-${handle}">${label ?? provider}</h3>
${email === undefined ? '' : html`<p>${email}</p>`}
<p class="hint">Linked ${ago(createdAt, now)}${dot}last used ${ago(lastUsedAt, now)}${label === undefined ? html`${dot}no longer offered here` : ''}</p>
</div>`
}

function unlinkForm(context: PageContext, { handle }: LinkedIdentity): Markup {
  return html`<form method="post" action="/account/identities/${handle}/unlink">${formToken(context)}<button class="second" type="submit" aria-describedby="i-${handle}">Unlink</button></form>`
}

function linkForms(context: PageContext, providers: PageContext['providers']): Markup {
  return html`<div class="linkable"><p class="hint">Link another way to log in to this account.</p>
<div class="actions">${providers.map(
    ({ name, label }) =>
      html`<form method="post" action="/account/identities/${name}/link">${formToken(context)}<button class="second" type="submit">Link ${label}</button></form>`,
  )}</div></div>`
}
