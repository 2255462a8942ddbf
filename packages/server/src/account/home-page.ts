import { html } from 'hono/html'
import type { Markup } from '../web/answer.ts'
import { layout, type PageFrame } from '../web/layout.ts'

export function homePage(frame: PageFrame): Markup {
  const body = html`<div class="card">
<h1>Welcome to ${frame.siteName}</h1>
<p class="lead">Log in to see your account, and every device that is logged in to it.</p>
<p class="actions"><a class="button" href="/login">Log in</a>${
    frame.registration ? html`<a class="button second" href="/register">Create an account</a>` : ''
  }</p>
</div>`
  return layout(frame, { title: 'Welcome', width: 'narrow', body })
}
