/** One peer's own tests, and what of ours takes the place of the peer. */
export interface Suite {
  /** The file that its tests load as the peer, in the checkout. */
  readonly entry: string
  readonly dropIn: string
  readonly runner: 'mocha' | 'vitest'
  /** Where mocha is, and what it is given; default as it is today, and `test/`. */
  readonly mocha?: { readonly bin: string; readonly args: readonly string[] }
  /** Further files that its tests load from the checkout, and what takes their place. */
  readonly internals?: Readonly<Record<string, string>>
  /** Tests that do not pass, by how their full title begins, and why not. */
  readonly known?: Readonly<Record<string, string>>
}

export const suites: Readonly<Record<string, Suite>> = {
  'cookie-0.7': {
    entry: 'index.js',
    dropIn: 'gatepass/compat/cookie',
    runner: 'mocha',
    known: {
      'cookie.serialize(name, value) should throw for invalid name': 'since 1.0 a name may hold more characters',
    },
  },
  'cookie-1': {
    entry: 'src/index.ts',
    dropIn: 'gatepass/compat/cookie',
    runner: 'vitest',
    known: {
      'cookie.parseCookie > should have backward compatible export': '`parse` takes quotes off, as 0.7 does',
      'cookie.stringifySetCookie > with "maxAge" option > should throw when max-age is not an integer':
        'with name and value it rounds, as 0.7 does',
    },
  },
  'cookie-2': { entry: 'src/index.ts', dropIn: 'gatepass/compat/cookie', runner: 'vitest' },
  'cookie-parser': { entry: 'index.js', dropIn: 'gatepass/compat/cookie-parser', runner: 'mocha' },
  'cookie-session': { entry: 'index.js', dropIn: 'gatepass/compat/cookie-session', runner: 'mocha' },
  'express-session': {
    entry: 'index.js',
    dropIn: 'gatepass/compat/express-session',
    runner: 'mocha',
    mocha: {
      bin: 'mocha/bin/mocha.js',
      args: ['--require', 'test/support/env', '--check-leaks', '--no-exit', 'test/'],
    },
    internals: { 'session/cookie.js': './express-session/cookie.ts' },
    known: {
      'session() saveUninitialized option should pass session save error':
        'it wants 200 for a session that could not be saved; ours is 500',
      'session() unset option should pass session destroy error':
        'it wants 200 for a session that could not be ended; ours is 500',
      'session() req.session .cookie .* should forward errors setting cookie':
        'it wants 200 without the cookie that could not be written; ours is 500, and nothing is stored',
    },
  },
  passport: {
    entry: 'lib/index.js',
    dropIn: 'gatepass/compat/passport',
    runner: 'mocha',
    mocha: { bin: 'mocha/bin/_mocha', args: ['--require', './test/bootstrap/node', '--recursive', 'test'] },
    internals: {
      'lib/authenticator.js': './passport/authenticator.ts',
      'lib/middleware/authenticate.js': './passport/authenticate.ts',
      'lib/middleware/initialize.js': './passport/initialize.ts',
      'lib/http/request.js': './passport/request.ts',
      'lib/strategies/session.js': './passport/session.ts',
    },
    known: Object.fromEntries(
      ['with a login session', 'with a login session that has been invalidated'].flatMap((request) =>
        ['spy correctly', 'pause request', 'resume request'].map((what) => [
          `SessionStrategy handling a request ${request}, pausing for deserialization should ${what}`,
          'it replaces the package `pause`; a request is paused by its own pause()',
        ]),
      ),
    ),
  },
}
