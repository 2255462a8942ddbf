import { html } from 'hono/html'
import type { Account } from '../accounts/accounts.ts'
import type { Markup } from './answer.ts'
import { mark as markIcon, stylesheet } from './assets.ts'
import { doneIcon, mark } from './icons.ts'

/** What is around every page, and who looks at it. */
export interface PageFrame {
  readonly siteName: string
  /** Whether strangers may make accounts. */
  readonly registration: boolean
  /** Where people may log in besides here, in the order of the buttons. */
  readonly providers: readonly { readonly name: string; readonly label: string }[]
  readonly account: Account | undefined
  /** `undefined` on pages that cannot have a form. */
  readonly formToken: string | undefined
}

export interface PageContent {
  readonly title: string
  /** Whether the page says that something went wrong; its title then begins so, since it is read first. */
  readonly failed?: boolean
  /** Narrow pages ask for one thing; wide ones show what there is. */
  readonly width: 'narrow' | 'wide'
  /** Which entry of the navigation this is. */
  readonly current?: 'account' | 'devices'
  /** Where the browser goes by itself. */
  readonly forwardTo?: string
  readonly body: Markup
}

export function layout(frame: PageFrame, content: PageContent): Markup {
  const { title, failed = false, width, current, forwardTo, body } = content
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<title>${failed ? 'Error: ' : ''}${title} – ${frame.siteName}</title>
${forwardTo === undefined ? '' : html`<meta http-equiv="refresh" content="0;url=${forwardTo}">`}<link rel="icon" href="${markIcon.path}" type="image/svg+xml">
<link rel="stylesheet" href="${stylesheet.path}">
</head>
<body class="${width}">
<a class="skip" href="#main">Skip to content</a>
<header class="top">
<div class="inner">
<a class="brand" href="/">${mark()}<span>${frame.siteName}</span></a>
${frame.account === undefined ? '' : navigation(frame, current)}
</div>
</header>
<main id="main" tabindex="-1">
${body}
</main>
<footer class="bottom"><p>No tracking, no scripts. Only the cookies that logging in needs.</p></footer>
</body>
</html>`
}

function navigation(frame: PageFrame, current: PageContent['current']): Markup {
  return html`<nav aria-label="Account">
<a href="/account"${currentPage(current === 'account')}>Account</a>
<a href="/account/sessions"${currentPage(current === 'devices')}>Devices</a>
</nav>
<form class="logout" method="post" action="/auth/logout">${formToken(frame)}<button class="quiet" type="submit">Log out</button></form>`
}

function currentPage(is: boolean): Markup | string {
  return is ? html` aria-current="page"` : ''
}

/** Goes into every form. */
export function formToken({ formToken }: PageFrame): Markup | string {
  return formToken === undefined ? '' : html`<input type="hidden" name="csrf" value="${formToken}">`
}

/** Says that what was asked for is done. */
export function noticeBox(notice: string | undefined): Markup | string {
  return notice === undefined ? '' : html`<div class="box done" role="status">${doneIcon()}<p>${notice}</p></div>`
}
