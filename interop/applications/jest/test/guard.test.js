jest.mock('passport', () => ({ authenticate: jest.fn(() => 'middleware') }))

test('asks passport', () => {
  const passport = require('passport')
  expect(require('../src/guard')('jwt')).toBe('middleware')
  expect(passport.authenticate).toHaveBeenCalledWith('jwt', { session: false })
})
