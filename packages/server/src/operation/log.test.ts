import { expect, test } from 'vitest'
import { openLog } from './log.ts'

function written(mode: 'dev' | 'production', act: (log: ReturnType<typeof openLog>) => void): string[] {
  const lines: string[] = []
  act(openLog({ mode, logLevel: 'info' }, (line) => lines.push(line)))
  return lines
}

const EVIL = 'a\r\n{"event":"x"}\u001b[31m\u0085\u2028\u2029\u009b1m"}'

test.each(['dev', 'production'] as const)('in %s an event is one line, whatever is in it', (mode) => {
  const lines = written(mode, (log) => {
    log.info({ event: 'x', reason: EVIL }, EVIL)
    log.error({ err: new Error(EVIL) })
  })
  expect(lines).toHaveLength(2)
  for (const line of lines) expect(line).toMatch(/^[^\x00-\x1f\x7f-\x9f\u2028\u2029]+\n$/)
})

test('in production a line is JSON with the time in UTC', () => {
  const [line = ''] = written('production', (log) => log.info({ event: 'user_created', userId: 'x' }))
  expect(JSON.parse(line)).toEqual({
    level: 'info',
    ts: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
    node: expect.any(String),
    event: 'user_created',
    userId: 'x',
  })
})

test('in dev a line is words', () => {
  const [line] = written('dev', (log) =>
    log.warn({ event: 'authn_login_fail', result: 'failure', amr: ['pwd'], reason: 'two words' }),
  )
  expect(line).toMatch(/^\d\d:\d\d:\d\d warn {2}authn_login_fail result=failure amr=\["pwd"\] reason="two words"\n$/)
})

test('an error is logged with its cause', () => {
  const [line = ''] = written('production', (log) =>
    log.error({ err: new Error('outer', { cause: new Error('inner') }) }),
  )
  expect(JSON.parse(line).err.stack).toMatch(/outer[\s\S]*inner/)
})
