import { html } from 'hono/html'
import { providerButtons } from '../providers/pages.ts'
import type { Markup } from '../web/answer.ts'
import { emailField, field, problemBox } from '../web/form.ts'
import { nextQuery } from '../web/login-required.ts'
import { formToken, layout, noticeBox, type PageContext } from '../web/pages.ts'
import type { Problem } from '../web/problem.ts'

export interface LoginForm {
  /** Where to go afterwards, on this site. */
  readonly next: string
  readonly notice?: string | undefined
  readonly problem?: Problem
  readonly email?: string
  readonly remember?: boolean
}

export function loginPage(context: PageContext, form: LoginForm): Markup {
  const { next, notice, problem } = form
  const body = html`<div class="card">
<h1>Log in</h1>
<p class="lead">Welcome back to ${context.siteName}.</p>
${noticeBox(notice)}${problemBox(problem)}
${passwordForm(context, form)}
${providerButtons(context, { next })}
</div>
${context.registration ? html`<p class="aside">New here? <a href="/register">Create an account</a></p>` : ''}`
  return layout(context, { title: 'Log in', failed: problem !== undefined, width: 'narrow', body })
}

/** For a person who is logged in and must prove again who they are. @param form `password`: whether the account has one */
export function loginAgainPage(context: PageContext, form: LoginForm & { password: boolean }): Markup {
  const { next, password, problem } = form
  const body = html`<div class="card">
<h1>Log in again</h1>
<p class="lead">Your login is older than ten minutes, and what you want to do needs a newer one.</p>
${problemBox(problem)}
${password ? passwordForm(context, form, { again: true }) : ''}
${providerButtons(context, { next, again: true, alone: !password })}
</div>
<p class="aside"><a href="/account">Back to your account</a></p>`
  const failed = problem !== undefined
  return layout({ ...context, account: undefined }, { title: 'Log in again', failed, width: 'narrow', body })
}

const password = { name: 'password', label: 'Password', type: 'password', autocomplete: 'current-password' } as const

function passwordForm(
  context: PageContext,
  { next, problem, email = '', remember = false }: LoginForm,
  { again = false }: { again?: boolean } = {},
): Markup {
  // Both are in the address as well, so that a reload after a wrong password keeps them.
  return html`<form method="post" action="/auth/login${nextQuery(next, { again })}">
${formToken(context)}<input type="hidden" name="next" value="${next}">${again ? html`<input type="hidden" name="again" value="1">` : ''}
${emailField({ value: email, focused: email === '' }, problem)}
${field({ ...password, focused: email !== '' }, problem)}
<div class="tick">
<input id="remember" name="remember" type="checkbox" aria-describedby="remember-hint"${remember ? html` checked` : ''}>
<div><label for="remember">Keep me logged in</label><p class="hint" id="remember-hint">Not on a computer that others use.</p></div>
</div>
<button type="submit">Log in</button>
</form>`
}
