const http = require('http')
const express = require('express')
const session = require('express-session')
const cookieParser = require('cookie-parser')
const passport = require('passport')
const LocalStrategy = require('passport-local').Strategy
const passportSocketIo = require('passport.socketio')
const { Server } = require('socket.io')
const { io: connect } = require('socket.io-client')

const ada = { id: '1', name: 'ada' }
const store = new session.MemoryStore()
passport.use(new LocalStrategy((name, password, done) => done(null, password === 'secret' ? ada : false)))
passport.serializeUser((user, done) => done(null, user.id))
passport.deserializeUser((id, done) => done(null, id === ada.id ? ada : false))

const app = express()
app.use(express.urlencoded({ extended: false }))
app.use(session({ key: 'chat.sid', secret: 'chat', store, resave: false, saveUninitialized: false }))
app.use(passport.initialize())
app.use(passport.session())
app.post('/login', passport.authenticate('local', { successRedirect: '/me' }))
app.post('/logout', (req, res) => req.session.destroy(() => res.redirect('/')))
// The page asks over a socket who this is, with the visitor's cookies.
app.get('/me', (req, res) => {
  const extraHeaders = { cookie: req.headers.cookie || '' }
  const socket = connect(`http://127.0.0.1:${process.env.PORT}`, {
    extraHeaders,
    reconnection: false,
    transports: ['polling'],
  })
  socket.on('name', (name) => res.json({ name }) && socket.close())
  socket.on('connect_error', (error) => res.status(401).send(error.message))
})

const server = http.createServer(app)
const io = new Server(server)
io.use(passportSocketIo.authorize({ key: 'chat.sid', secret: 'chat', store, cookieParser }))
io.on('connection', (socket) => socket.emit('name', socket.request.user.name))
server.listen(process.env.PORT, '127.0.0.1')
