import { html } from 'hono/html'
import { type Frame, layout } from './layout.ts'
import type { Markup } from './markup.ts'

export interface ConfirmView {
  /** What people call the provider. */
  readonly label: string
  /** Begins the login, a path here. */
  readonly href: string
}

/** For somebody whom another site sent here to log in: nobody is logged in because a foreign page loaded an address. */
export function confirmPage(frame: Frame, { label, href }: ConfirmView): Markup {
  const body = html`<div class="card">
<h1>Log in with ${label}?</h1>
<p class="lead">Another site sent you here. Go on only if you were about to log in to ${frame.siteName}.</p>
<p class="actions"><a class="button" href="${href}">Log in with ${label}</a><a class="button second" href="/">To the start page</a></p>
</div>`
  return layout(frame, { title: `Log in with ${label}`, width: 'narrow', body })
}
