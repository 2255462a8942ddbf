import { html } from 'hono/html'
import type { Markup } from '../web/answer.ts'
import type { PageFrame } from '../web/layout.ts'

export interface ProviderButtons {
  /** Where to go afterwards; already known to be on this site. */
  readonly next: string
  /** Whether people must prove again who they are. */
  readonly again?: boolean
  /** Whether they stand without a form above them. */
  readonly alone?: boolean
}

/** The other ways to log in, below a form. They are links: `form-action` keeps a form from leading to another site. */
export function providerButtons(
  frame: PageFrame,
  { next, again = false, alone = false }: ProviderButtons,
): Markup | string {
  if (frame.providers.length === 0) return ''
  const query = new URLSearchParams({ ...(next !== '/account' && { next }), ...(again && { again: '1' }) }).toString()
  const href = (name: string) => `/auth/${name}${query === '' ? '' : `?${query}`}`
  return html`${alone ? '' : html`<p class="or"><span>or</span></p>`}
<ul class="providers">${frame.providers.map(
    ({ name, label }) => html`<li><a class="button second" href="${href(name)}">Continue with ${label}</a></li>`,
  )}</ul>`
}
