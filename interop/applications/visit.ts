/** Runs an application in a process of its own, and visits it as a person does. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { createServer } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'

/** What a request was answered: `POST /login 302`, with the body of a JSON answer. */
export type Answers = readonly string[]

/** Starts `args` with Node in `folder`, asks what `visit` asks, and stops it. */
export async function visitWith(
  folder: string,
  args: readonly string[],
  visit: (ask: Ask) => Promise<void>,
): Promise<Answers> {
  const port = await freePort()
  const env = { ...process.env, PORT: String(port), NODE_OPTIONS: '', NODE_ENV: 'development' }
  const child = spawn(process.execPath, args, { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk))
  const answers: string[] = []
  try {
    await listening(port, child, () => output)
    await visit(browser(`http://127.0.0.1:${port}`, answers))
    return answers
  } finally {
    const ended = new Promise((resolve) => child.once('exit', resolve))
    if (child.exitCode === null && child.kill('SIGKILL')) await ended
  }
}

/** Sends one request with the cookies so far, and returns the body. */
export type Ask = (
  method: string,
  path: string,
  options?: { form?: Record<string, string>; token?: string },
) => Promise<string>

function browser(origin: string, answers: string[]): Ask {
  const cookies = new Map<string, string>()
  return async (method, path, { form, token } = {}) => {
    const response = await fetch(origin + path, {
      method,
      redirect: 'manual',
      headers: {
        ...(method !== 'GET' && { origin }),
        cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; '),
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
        ...(form !== undefined && { 'content-type': 'application/x-www-form-urlencoded' }),
      },
      ...(form !== undefined && { body: new URLSearchParams(form).toString() }),
      signal: AbortSignal.timeout(20_000),
    })
    for (const field of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(field) ?? []
      const expires = /expires=([^;]+)/i.exec(field)?.[1]
      if (value === '' || (expires !== undefined && Date.parse(expires) < Date.now())) cookies.delete(name)
      else cookies.set(name, value)
    }
    const body = await response.text()
    const isToken = body.startsWith('{"token"')
    const said = /json/.test(response.headers.get('content-type') ?? '') && response.ok && !isToken ? ` ${body}` : ''
    answers.push(`${method} ${path} ${response.status}${said}`)
    return body
  }
}

/** Logs in with a wrong and the right password, asks who it is, and logs out. */
export async function loginAndLogout(ask: Ask): Promise<void> {
  await ask('GET', '/me')
  await ask('POST', '/login', { form: { username: 'ada', password: 'wrong' } })
  await ask('GET', '/me')
  await ask('POST', '/login', { form: { username: 'ada', password: 'secret' } })
  await ask('GET', '/me')
  await ask('POST', '/logout')
  await ask('GET', '/me')
}

/** Runs a command to its end. */
export function run(
  folder: string,
  [command = '', ...args]: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<{ code: number; output: string }> {
  return new Promise((resolve) =>
    execFile(
      command,
      args,
      { cwd: folder, env: { ...process.env, NODE_OPTIONS: '', ...env }, maxBuffer: 64 * 1024 * 1024 },
      (error, stdout, stderr) =>
        resolve({ code: error === null ? 0 : Number(error.code ?? 1), output: stdout + stderr }),
    ),
  )
}

/** A port below those that the system gives to connections, so that none takes it meanwhile. */
async function freePort(): Promise<number> {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 12_000)
    const server = createServer()
    const isFree = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false))
      server.listen(port, '127.0.0.1', () => resolve(true))
    })
    await new Promise((resolve) => server.close(resolve))
    if (isFree) return port
  }
}

async function listening(port: number, child: ChildProcess, output: () => string): Promise<void> {
  for (let tries = 0; tries < 300; tries++) {
    if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}: ${output()}`)
    const answers = await fetch(`http://127.0.0.1:${port}/nothing`).then(
      () => true,
      () => false,
    )
    if (answers) return
    await wait(100)
  }
  throw new Error(`nothing listens on port ${port}: ${output()}`)
}
