import { html } from 'hono/html'
import { type Frame, layout } from './layout.ts'
import type { Markup } from './markup.ts'

export interface OnwardsView {
  /** What people call the provider. */
  readonly label: string
  /** At the provider. */
  readonly location: string
}

/** Leads to the provider by itself, and by a click where browsers do not do that. */
export function onwardsPage(frame: Frame, { label, location }: OnwardsView): Markup {
  const body = html`<div class="card">
<h1>On to ${label}</h1>
<p class="lead">${label} asks who you are there, and sends you back to your account.</p>
<p class="actions"><a class="button" href="${location}">Go on to ${label}</a><a class="button second" href="/account">Stay here</a></p>
</div>`
  return layout(frame, { title: `On to ${label}`, width: 'narrow', onwards: location, body })
}
