module.exports = require('..')
