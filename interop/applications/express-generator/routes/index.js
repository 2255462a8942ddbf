var express = require('express')
var passport = require('passport')

var router = express.Router()

router.get('/me', (req, res) => {
  if (!req.isAuthenticated()) return res.sendStatus(401)
  res.json({ name: req.user.name })
})
router.post(
  '/login',
  passport.authenticate('local', { successRedirect: '/me', failureRedirect: '/login', failureFlash: true }),
)
router.get('/login', (req, res) => {
  res.json(req.flash('error'))
})
router.post('/logout', (req, res, next) => {
  req.logout((error) => {
    if (error) return next(error)
    res.redirect('/')
  })
})
router.get('/', (req, res) => {
  res.send('home')
})

module.exports = router
