/** The tests of one peer, and the drop-in that replaces the peer. */
export interface Suite {
  /** The file of the checkout that the tests load as the peer. */
  readonly entry: string
  readonly dropIn: string
  readonly runner: 'mocha' | 'vitest'
  /** The program of mocha, and its arguments. Default: that of today's mocha, and `test/`. */
  readonly mocha?: { readonly bin: string; readonly args: readonly string[] }
  /** The files with tests, for vitest. Default: vitest's own. */
  readonly include?: readonly string[]
  /** Other files of the checkout that the tests load, and what replaces them. */
  readonly internals?: Readonly<Record<string, string>>
  /** Tests that fail, by the beginning of their full title, with the reason. */
  readonly known?: Readonly<Record<string, string>>
}

export const suites: Readonly<Record<string, Suite>> = {
  'connect-pg-simple': {
    entry: 'index.js',
    dropIn: './connect-pg-simple.cjs',
    runner: 'mocha',
    mocha: { bin: 'mocha/bin/mocha.js', args: ['--exit', 'test/*.spec.js', 'test/integration/*.spec.js'] },
    internals: { 'node_modules/express-session/index.js': 'gatepass/compat/express-session' },
  },
  'connect-redis': {
    entry: 'index.ts',
    dropIn: 'gatepass/compat/connect-redis',
    runner: 'vitest',
    include: ['index_test.ts'],
  },
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
