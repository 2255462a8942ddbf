// Loads the CommonJS form alone.
require('./visit.js')
  .journey(require('./app.js'))
  .catch((error) => {
    console.error(error)
    process.exitCode = 1
  })
