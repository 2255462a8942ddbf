import { html } from 'hono/html'
import type { Markup } from '../web/answer.ts'
import { layout, type PageFrame } from '../web/layout.ts'

export interface ConfirmView {
  /** What people call the provider. */
  readonly label: string
  /** Begins the login, a path here. */
  readonly href: string
}

/** For a person whom another site sent here to log in: a foreign page that loads an address must not log its visitor in. */
export function confirmPage(frame: PageFrame, { label, href }: ConfirmView): Markup {
  const body = html`<div class="card">
<h1>Log in with ${label}?</h1>
<p class="lead">Another site sent you here. Go on only if you were about to log in to ${frame.siteName}.</p>
<p class="actions"><a class="button" href="${href}">Log in with ${label}</a><a class="button second" href="/">To the start page</a></p>
</div>`
  return layout(frame, { title: `Log in with ${label}`, width: 'narrow', body })
}

export interface ToProviderView {
  /** What people call the provider. */
  readonly label: string
  /** At the provider. */
  readonly location: string
}

/** Sends the browser to the provider by itself, or by a click where the browser does not follow. */
export function toProviderPage(frame: PageFrame, { label, location }: ToProviderView): Markup {
  const body = html`<div class="card">
<h1>On to ${label}</h1>
<p class="lead">${label} asks who you are there, and sends you back to your account.</p>
<p class="actions"><a class="button" href="${location}">Go on to ${label}</a><a class="button second" href="/account">Stay here</a></p>
</div>`
  return layout(frame, { title: `On to ${label}`, width: 'narrow', forwardTo: location, body })
}
