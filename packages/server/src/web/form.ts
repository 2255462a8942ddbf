import { html } from 'hono/html'
import type { Markup } from './answer.ts'
import { warningIcon } from './icons.ts'
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
  readonly problem?: string | undefined
  readonly optional?: boolean
  /** Whether typing can begin here at once. */
  readonly focused?: boolean
}

/** A labelled input; what is wrong with it, and what it expects, is read out with it. */
export function field(of: Field): Markup {
  const { name, label, type, autocomplete, value = '', hint, problem, optional = false, focused = false } = of
  const described = [problem === undefined ? '' : `${name}-problem`, hint === undefined ? '' : `${name}-hint`].filter(
    Boolean,
  )
  return html`<div class="field">
<label for="${name}">${label}${optional ? html` <span class="optional">optional</span>` : ''}</label>
${hint === undefined ? '' : html`<p class="hint" id="${name}-hint">${hint}</p>`}
${problem === undefined ? '' : html`<p class="problem" id="${name}-problem">${problem}</p>`}
<input id="${name}" name="${name}" type="${type}" autocomplete="${autocomplete}"${value === '' ? '' : html` value="${value}"`}${described.length === 0 ? '' : html` aria-describedby="${described.join(' ')}"`}${problem === undefined ? '' : html` aria-invalid="true"`}${optional ? '' : html` required`}${type === 'email' ? html` autocapitalize="none" spellcheck="false"` : ''}${focused ? html` autofocus` : ''}>
</div>`
}

/** What went wrong with a form as a whole, with a way to each field concerned. */
export function problemBox(problem: Problem | undefined): Markup | string {
  if (problem === undefined) return ''
  const { message, hint, fields = {} } = problem
  const names = Object.keys(fields)
  const more = names.length === 0 ? hint && html`<p>${hint}</p>` : fieldList(fields)
  return html`<div class="box failed" role="alert">${warningIcon()}<div><p><strong>${message}</strong></p>${more ?? ''}</div></div>`
}

function fieldList(fields: Readonly<Record<string, string>>): Markup {
  const entries = Object.entries(fields).map(([name, text]) => html`<li><a href="#${name}">${text}</a></li>`)
  return html`<ul>${entries}</ul>`
}
/** The fields of a form or a JSON body. */
export type Fields = Readonly<Record<string, unknown>>

/** A field's text, if it is one; lists and objects are not. */
export function text(fields: Fields, name: string): string {
  const value = Object.hasOwn(fields, name) ? fields[name] : undefined
  return typeof value === 'string' ? value : ''
}

/** A ticked box of a form, or `true` in JSON. */
export function ticked(fields: Fields, name: string): boolean {
  const value = Object.hasOwn(fields, name) ? fields[name] : undefined
  return value === true || value === 'on' || value === 'true' || value === '1'
}
