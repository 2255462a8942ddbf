import { html } from 'hono/html'
import type { Account } from '../accounts/accounts.ts'
import type { LinkedIdentity } from '../accounts/identities.ts'
import type { Markup } from '../web/answer.ts'
import { keyIcon, linkIcon } from '../web/icons.ts'
import { formToken, type PageFrame } from '../web/layout.ts'
import { ago } from '../web/time.ts'

export interface LoginMethodsView {
  readonly account: Account
  readonly identities: readonly LinkedIdentity[]
  /** Epoch milliseconds. */
  readonly now: number
}

/** How the account can be entered, and the buttons that change it. */
export function loginMethods(frame: PageFrame, { account, identities, now }: LoginMethodsView): Markup {
  const usable = identities.filter(({ provider }) => labelOf(frame, provider) !== undefined)
  const hasPassword = account.passwordHash !== undefined && !account.passwordDisabled
  const only = usable.length + (hasPassword ? 1 : 0) === 1
  const linkable = frame.providers.filter(({ name }) => identities.every(({ provider }) => provider !== name))
  return html`<section class="card list" aria-labelledby="ways">
<h2 id="ways">Ways to log in</h2>
<ul>
${passwordRow(account, only)}
${identities.map((identity) => identityRow(frame, identity, { now, only: only && usable.includes(identity) }))}
</ul>
${linkable.length === 0 ? '' : linkButtons(frame, linkable)}
</section>`
}

function passwordRow({ passwordHash, passwordDisabled }: Account, only: boolean): Markup {
  const state =
    passwordHash === undefined
      ? 'None. You log in with what is listed here.'
      : passwordDisabled
        ? 'Disabled after too many wrong tries.'
        : 'With your e-mail address.'
  return html`<li class="device">
<span class="tile">${keyIcon()}</span>
<div class="what"><h3>Password</h3><p>${state}</p></div>
${passwordHash !== undefined && only ? onlyMethod() : ''}
</li>`
}

function identityRow(
  frame: PageFrame,
  identity: LinkedIdentity,
  { now, only }: { now: number; only: boolean },
): Markup {
  const { handle, provider, email, createdAt, lastUsedAt } = identity
  const label = labelOf(frame, provider)
  return html`<li class="device">
<span class="tile">${linkIcon()}</span>
<div class="what">
<h3 id="i-${handle}">${label ?? provider}</h3>
${email === undefined ? '' : html`<p>${email}</p>`}
<p class="hint">Linked ${ago(createdAt, now)} <span class="dot">·</span> last used ${ago(lastUsedAt, now)}${label === undefined ? html` <span class="dot">·</span> not offered here any more` : ''}</p>
</div>
${only ? onlyMethod() : unlinkForm(frame, handle)}
</li>`
}

function unlinkForm(frame: PageFrame, handle: string): Markup {
  return html`<form method="post" action="/account/identities/${handle}/unlink">${formToken(frame)}<button class="second" type="submit" aria-describedby="i-${handle}">Unlink</button></form>`
}

function onlyMethod(): Markup {
  return html`<p class="hint only">Your only way in</p>`
}

function linkButtons(frame: PageFrame, providers: PageFrame['providers']): Markup {
  return html`<div class="linkable"><p class="hint">Link another way to log in. It then opens this account, too.</p>
<div class="actions">${providers.map(
    ({ name, label }) =>
      html`<form method="post" action="/account/identities/${name}/link">${formToken(frame)}<button class="second" type="submit">Link ${label}</button></form>`,
  )}</div></div>`
}

function labelOf(frame: PageFrame, provider: string): string | undefined {
  return frame.providers.find(({ name }) => name === provider)?.label
}
