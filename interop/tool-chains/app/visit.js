const { createServer, request } = require('http')

/** A browser without a window, before an application that listens while `visit` runs. */
async function visiting(app, visit) {
  const server = createServer(app).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const jar = new Map()
  const ask = (method, path, body) =>
    new Promise((resolve, reject) => {
      const headers = {
        cookie: [...jar].map(([name, value]) => `${name}=${value}`).join('; '),
        'sec-fetch-site': 'same-origin',
        'content-type': 'application/x-www-form-urlencoded',
        connection: 'close',
      }
      const req = request({ host: '127.0.0.1', port: server.address().port, method, path, headers }, (res) => {
        for (const field of res.headers['set-cookie'] || []) {
          const [, name, value] = /^([^=]+)=([^;]*)/.exec(field)
          jar.set(name, value)
        }
        let text = ''
        res.setEncoding('utf8')
        res.on('data', (chunk) => {
          text += chunk
        })
        res.on('end', () => resolve({ status: res.statusCode, text }))
      })
      req.on('error', reject)
      req.end(body)
    })
  try {
    return await visit(ask)
  } finally {
    await new Promise((resolve) => server.close(resolve))
  }
}

/** Logs in by the drop-ins and by Gatepass, and reads the sessions. It throws if something is not as it should be. */
async function journey(app) {
  const { deepStrictEqual: same } = require('assert')
  await visiting(app, async (ask) => {
    same((await ask('GET', '/own/me')).status, 401)
    same((await ask('POST', '/old/login')).status, 401)
    same((await ask('POST', '/old/login?name=ann')).status, 200)
    same(JSON.parse((await ask('GET', '/old/me')).text), { user: { id: 'ann' }, views: 1, cookies: ['connect.sid'] })
    same(JSON.parse((await ask('GET', '/old/me')).text).views, 2)
    same(JSON.parse((await ask('GET', '/kept')).text).views, 1)
    same(JSON.parse((await ask('GET', '/kept')).text).views, 2)
    same((await ask('POST', '/own/login', 'username=ben&password=wrong')).status, 401)
    same((await ask('POST', '/own/login', 'username=ben&password=right')).status, 303)
    same(JSON.parse((await ask('GET', '/own/me')).text), { id: 'ben' })
  })
}

module.exports = { journey }
