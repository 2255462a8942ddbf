module.exports = () => (req, _res, next) => {
  req.mocked = true
  next()
}
