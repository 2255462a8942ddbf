import { html } from 'hono/html'
import { providerButtons } from '../providers/buttons.ts'
import type { Markup } from '../web/answer.ts'
import { field, problemBox } from '../web/form.ts'
import { formToken, layout, noticeBox, type PageFrame } from '../web/layout.ts'
import type { Problem } from '../web/problem.ts'

export interface LoginForm {
  /** Where to go afterwards; already known to be on this site. */
  readonly next: string
  readonly notice?: string | undefined
  readonly problem?: Problem
  readonly email?: string
  readonly remember?: boolean
}

export function loginPage(frame: PageFrame, form: LoginForm): Markup {
  const { next, notice, problem } = form
  const body = html`<div class="card">
<h1>Log in</h1>
<p class="lead">Welcome back to ${frame.siteName}.</p>
${noticeBox(notice)}${problemBox(problem)}
${passwordForm(frame, form)}
${providerButtons(frame, { next })}
</div>
${frame.registration ? html`<p class="aside">New here? <a href="/register">Create an account</a></p>` : ''}`
  return layout(frame, { title: 'Log in', failed: problem !== undefined, width: 'narrow', body })
}

export interface LoginAgainForm extends Pick<LoginForm, 'next' | 'email'> {
  /** Whether the account has one. */
  readonly password: boolean
}

/** For a person who is logged in and must prove again who they are. */
export function loginAgainPage(frame: PageFrame, form: LoginAgainForm): Markup {
  const body = html`<div class="card">
<h1>Log in again</h1>
<p class="lead">Your login is older than ten minutes, and what you want to do needs a newer one.</p>
${form.password ? passwordForm(frame, form) : ''}
${providerButtons(frame, { next: form.next, again: true, alone: !form.password })}
</div>
<p class="aside"><a href="/account">Back to your account</a></p>`
  return layout({ ...frame, account: undefined }, { title: 'Log in again', width: 'narrow', body })
}

function passwordForm(frame: PageFrame, { next, problem, email = '', remember = false }: LoginForm): Markup {
  // In the address as well, so that a reload after a wrong password still knows it.
  const query = next === '/account' ? '' : `?next=${encodeURIComponent(next)}`
  return html`<form method="post" action="/auth/login${query}">
${formToken(frame)}<input type="hidden" name="next" value="${next}">
${field({
  name: 'email',
  label: 'E-mail address',
  type: 'email',
  autocomplete: 'username',
  value: email,
  problem: problem?.fields?.email,
  focused: email === '',
})}
${field({
  name: 'password',
  label: 'Password',
  type: 'password',
  autocomplete: 'current-password',
  problem: problem?.fields?.password,
  focused: email !== '',
})}
<div class="tick">
<input id="remember" name="remember" type="checkbox" aria-describedby="remember-hint"${remember ? html` checked` : ''}>
<div><label for="remember">Keep me logged in</label><p class="hint" id="remember-hint">Not on a computer that others use.</p></div>
</div>
<button type="submit">Log in</button>
</form>`
}
