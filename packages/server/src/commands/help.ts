export const help = `gatepass: a login server on one SQLite file

  gatepass dev       start on this machine; makes its own secrets
  gatepass serve     start in production; demands an origin and keys
  gatepass key       print a new key
  gatepass unlock    let a password work again after 100 wrong ones

Flags of dev and serve
  --port <number>    default 3000; 0 takes any that is free
  --host <address>   default 127.0.0.1
  --origin <origin>  as browsers see the server: https://login.example.com
  --data <folder>    database and secrets; default .gatepass
  --config <file>    default gatepass.config.json, if it is there

Flags of unlock
  --data <folder>    as above
  <address>          the account's e-mail address

  gatepass --help, gatepass --version
`
