import { html } from 'hono/html'
import type { Markup } from './answer.ts'
import { warningIcon } from './assets.ts'
import type { Problem } from './problem.ts'

export interface Field {
  /** Also its id. */
  readonly name: string
  readonly label: string
  readonly type: 'email' | 'password' | 'text'
  /** What a password manager may fill in (HTML §4.10.18.7). */
  readonly autocomplete: string
  readonly value?: string
  readonly hint?: string
  readonly optional?: boolean
  /** Whether the cursor is here when the page opens. */
  readonly focused?: boolean
}

/** A labelled input. Screen readers read its hint, and what is wrong with it. */
export function field(of: Field, refusal: Problem | undefined): Markup {
  const { name, label, type, autocomplete, value = '', hint, optional = false, focused = false } = of
  const problem = refusal?.fields?.[name]
  const described = [problem && `${name}-problem`, hint && `${name}-hint`].filter(Boolean).join(' ')
  return html`<div class="field">
<label for="${name}">${label}${optional ? html` <span class="optional">optional</span>` : ''}</label>
${hint === undefined ? '' : html`<p class="hint" id="${name}-hint">${hint}</p>`}
${problem === undefined ? '' : html`<p class="problem" id="${name}-problem">${problem}</p>`}
<input id="${name}" name="${name}" type="${type}" autocomplete="${autocomplete}"${value === '' ? '' : html` value="${value}"`}${described === '' ? '' : html` aria-describedby="${described}"`}${problem === undefined ? '' : html` aria-invalid="true"`}${optional ? '' : html` required`}${type === 'email' ? html` autocapitalize="none" spellcheck="false"` : ''}${focused ? html` autofocus` : ''}>
</div>`
}

/** The address that names the account; password managers keep it as the user name. */
export function emailField(of: Pick<Field, 'value' | 'focused'>, refusal: Problem | undefined): Markup {
  return field({ name: 'email', label: 'E-mail address', type: 'email', autocomplete: 'username', ...of }, refusal)
}

/** What went wrong with a form, with a link to each field concerned. */
export function problemBox(problem: Problem | undefined): Markup | string {
  if (problem === undefined) return ''
  const { message, hint, fields = {} } = problem
  const items = Object.entries(fields).map(([name, text]) => html`<li><a href="#${name}">${text}</a></li>`)
  const more = items.length > 0 ? html`<ul>${items}</ul>` : hint && html`<p>${hint}</p>`
  return html`<div class="box failed" role="alert">${warningIcon}<div><p><strong>${message}</strong></p>${more ?? ''}</div></div>`
}

/** The fields of a form or a JSON body. */
export type Fields = Readonly<Record<string, unknown>>

/** A field's text; empty if it is missing, a list or an object. */
export function text(fields: Fields, name: string): string {
  const value = Object.hasOwn(fields, name) ? fields[name] : undefined
  return typeof value === 'string' ? value : ''
}

/** Whether a form's box is ticked, or JSON says `true`. */
export function ticked(fields: Fields, name: string): boolean {
  return fields[name] === true || ['on', 'true', '1'].includes(text(fields, name))
}
