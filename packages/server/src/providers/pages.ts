import { html } from 'hono/html'
import type { Markup } from '../web/answer.ts'
import { nextQuery } from '../web/login-required.ts'
import { layout, type PageContext } from '../web/pages.ts'

/**
 * The other ways to log in, below a form. They are links, because `form-action` forbids forms that lead to another site.
 *
 * @param options `next`: where to go afterwards, on this site. `again`: whether people must prove again who they are.
 *   `alone`: whether there is no form above.
 */
export function providerButtons(
  context: PageContext,
  { next, again = false, alone = false }: { next: string; again?: boolean; alone?: boolean },
): Markup | string {
  if (context.providers.length === 0) return ''
  const query = nextQuery(next, { again })
  return html`${alone ? '' : html`<p class="or"><span>or</span></p>`}
<ul class="providers">${context.providers.map(
    ({ name, label }) =>
      html`<li><a class="button second" href="/auth/${name}${query}">Continue with ${label}</a></li>`,
  )}</ul>`
}

/**
 * For a person whom another site sent here to log in: its page must not log its visitor in by itself.
 *
 * @param href begins the login, a path here
 */
export function confirmPage(context: PageContext, { label, href }: { label: string; href: string }): Markup {
  const body = html`<div class="card">
<h1>Log in with ${label}?</h1>
<p class="lead">Another site sent you here. Continue only if you wanted to log in to ${context.siteName}.</p>
<p class="actions"><a class="button" href="${href}">Log in with ${label}</a><a class="button second" href="/">To the start page</a></p>
</div>`
  return layout(context, { title: `Log in with ${label}`, width: 'narrow', body })
}

/**
 * Sends the browser to the provider by itself, or with a click where the browser does not follow.
 *
 * @param location at the provider
 */
export function toProviderPage(context: PageContext, { label, location }: { label: string; location: string }): Markup {
  const body = html`<div class="card">
<h1>Continue at ${label}</h1>
<p class="lead">${label} asks who you are there, and sends you back to your account.</p>
<p class="actions"><a class="button" href="${location}">Continue at ${label}</a><a class="button second" href="/account">Stay here</a></p>
</div>`
  return layout(context, { title: `Continue at ${label}`, width: 'narrow', forwardTo: location, body })
}
