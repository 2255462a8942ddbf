import { html } from 'hono/html'
import type { Problem } from '../problem.ts'
import { field, problemBox } from './field.ts'
import { type Frame, formToken, layout, noticeBox } from './layout.ts'
import type { Markup } from './markup.ts'

export interface LoginForm {
  /** Where to go afterwards; already known to be on this site. */
  readonly next: string
  readonly notice?: string | undefined
  readonly problem?: Problem
  readonly email?: string
  readonly remember?: boolean
}

export function loginPage(frame: Frame, { next, notice, problem, email = '', remember = false }: LoginForm): Markup {
  const body = html`<div class="card">
<h1>Log in</h1>
<p class="lead">Welcome back to ${frame.siteName}.</p>
${noticeBox(notice)}${problemBox(problem)}
<form method="post" action="/auth/login">
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
</form>
</div>
${frame.registration ? html`<p class="aside">New here? <a href="/register">Create an account</a></p>` : ''}`
  return layout(frame, { title: 'Log in', failed: problem !== undefined, width: 'narrow', body })
}
