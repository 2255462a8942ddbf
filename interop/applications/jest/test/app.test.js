const request = require('supertest')
const app = require('../src/app')

test('logs in and out', async () => {
  const agent = request.agent(app)
  await agent.get('/me').expect(401)
  await agent.post('/login').type('form').send({ username: 'ada', password: 'secret' }).expect(302)
  await agent.get('/me').expect(200, { id: 'ada', mocked: true })
  await agent.post('/logout').expect(302)
  await agent.get('/me').expect(401)
})
