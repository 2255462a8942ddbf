const { journey } = require('./visit.js')

describe('the application', () => {
  it('logs in and reads its sessions', () => journey(require('./app.js')))
})
