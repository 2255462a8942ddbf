import { html } from 'hono/html'
import { providerButtons } from '../providers/buttons.ts'
import type { Markup } from '../web/answer.ts'
import { field, problemBox } from '../web/form.ts'
import { formToken, layout, type PageFrame } from '../web/layout.ts'
import type { Problem } from '../web/problem.ts'

export interface RegisterForm {
  /** Characters of a password. */
  readonly minLength: number
  readonly problem?: Problem
  readonly email?: string
  readonly name?: string
}

export function registerPage(frame: PageFrame, { minLength, problem, email = '', name = '' }: RegisterForm): Markup {
  const body = html`<div class="card">
<h1>Create an account</h1>
<p class="lead">An address and a good password are all it takes.</p>
${problemBox(problem)}
<form method="post" action="/auth/register">
${formToken(frame)}
${field({
  name: 'email',
  label: 'E-mail address',
  type: 'email',
  autocomplete: 'username',
  value: email,
  problem: problem?.fields?.email,
  focused: email === '' || problem?.fields?.email !== undefined,
})}
${field({
  name: 'name',
  label: 'Name',
  type: 'text',
  autocomplete: 'name',
  value: name,
  problem: problem?.fields?.name,
  optional: true,
})}
${field({
  name: 'password',
  label: 'Password',
  type: 'password',
  autocomplete: 'new-password',
  hint: `At least ${minLength} characters. A few words that do not belong together are easy to keep and hard to guess.`,
  problem: problem?.fields?.password,
  focused: email !== '' && problem?.fields?.email === undefined,
})}
<button type="submit">Create account</button>
</form>
${providerButtons(frame, { next: '/account' })}
</div>
<p class="aside">Have an account? <a href="/login">Log in</a></p>`
  return layout(frame, { title: 'Create an account', failed: problem !== undefined, width: 'narrow', body })
}
