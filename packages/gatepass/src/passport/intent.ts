/**
 * What a login was begun for. A flow keeps it, so that it is there again when the browser comes back from elsewhere: the
 * strategy in between neither sees to it nor can change it.
 */
export interface LoginIntent {
  /** `link`: who is logged in wants to log in this way, too. */
  readonly purpose: 'login' | 'link'
  /** Who was logged in when linking began; whoever is when it ends must be the same. */
  readonly subject?: string
  /** Where to go afterwards: a path here, or what the application lists. */
  readonly next?: string
  /** Where to go when it is refused, a path here. */
  readonly failure?: string
  readonly remember?: boolean
}

/** What a login is for unless somebody says otherwise. */
export const LOGIN: LoginIntent = { purpose: 'login' }
