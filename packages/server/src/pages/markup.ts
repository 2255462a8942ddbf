import type { html } from 'hono/html'

/** HTML in which everything from outside has been escaped. */
export type Markup = ReturnType<typeof html>
