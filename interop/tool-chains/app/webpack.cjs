const webpack = require('webpack')
const output = { path: `${__dirname}/../out`, filename: 'webpack.cjs' }
webpack({ mode: 'production', target: 'node', entry: `${__dirname}/main.js`, output }, (error, stats) => {
  if (!error && !stats.hasErrors()) return
  console.error(error || stats.toString())
  process.exitCode = 1
})
