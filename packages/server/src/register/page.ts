import { html } from 'hono/html'
import { providerButtons } from '../providers/pages.ts'
import type { Markup } from '../web/answer.ts'
import { emailField, field, problemBox } from '../web/form.ts'
import { formToken, layout, type PageContext } from '../web/pages.ts'
import type { Problem } from '../web/problem.ts'

export interface RegisterForm {
  /** Characters of a password. */
  readonly minLength: number
  readonly problem?: Problem
  readonly email?: string
  readonly name?: string
}

const password = { name: 'password', label: 'Password', type: 'password', autocomplete: 'new-password' } as const
const advice = 'A few words that do not belong together are easy to remember and hard to guess.'

export function registerPage(
  context: PageContext,
  { minLength, problem, email = '', name = '' }: RegisterForm,
): Markup {
  const onEmail = email === '' || problem?.fields?.email !== undefined
  const body = html`<div class="card">
<h1>Create an account</h1>
<p class="lead">All you need is an e-mail address and a good password.</p>
${problemBox(problem)}
<form method="post" action="/auth/register">
${formToken(context)}
${emailField({ value: email, focused: onEmail }, problem)}
${field({ name: 'name', label: 'Name', type: 'text', autocomplete: 'name', value: name, optional: true }, problem)}
${field({ ...password, hint: `At least ${minLength} characters. ${advice}`, focused: !onEmail }, problem)}
<button type="submit">Create account</button>
</form>
${providerButtons(context, { next: '/account' })}
</div>
<p class="aside">Have an account? <a href="/login">Log in</a></p>`
  return layout(context, { title: 'Create an account', failed: problem !== undefined, width: 'narrow', body })
}
