/** Common words in passwords. Short words are left out, because they occur in every text. */
const WORDS = `
  abcd access account admin administrator adidas alexander alexis amanda america andrea andrew angel angela angels
  animal anthony apple arsenal asdf ashley asshole austin awesome babygirl backup badboy bailey banana barcelona baseball
  basketball batman bear beautiful benjamin berlin bigdaddy biteme blessed blink blue bond boomer booboo boston brandon
  brandy brooklyn buster butterfly cameron campus canada carlos caroline carolina casper celtic changeme changeit charles
  charlie charlotte cheese chelsea chester chicago chicken chocolate chris christ christian christina christopher coffee
  computer cookie cool corvette cowboy cowboys crystal dallas daniel danielle david default demo destiny diamond diablo dolphin
  donald dragon eagle eagles eminem england enter everton family ferrari fish flower fluffy football forever france
  freedom friend friends fuck fucker fuckme fuckyou gabriel gandalf garfield gateway genius george germany ginger girl goaway
  god golden golfer google guest guitar hallo hammer hannah happy harley heather heaven hello helpme hockey hottie house
  hunter iceman iloveu iloveyou internet isabella jackie jackson jaguar james jasmine jasper jennifer jessica jesus john
  jonathan jordan joseph joshua junior justin killer king kitty knight ladies lakers lauren legend letmein linkedin liverpool
  london london2012 lovely loveme lover love loveyou lucky madison maggie magic manager manchester maria marina marine marlboro
  martin master matrix matthew maverick melissa mercedes merlin metallica michael michelle mickey midnight mike minecraft
  money monkey monster morgan mother mountain muffin murphy music mustang myspace naruto natasha nathan newyork nicholas
  nicole nintendo nirvana nothing number oliver operator orange pakistan panther parker pass passion passwd passwort
  password patrick peace peanut pepper peter phoenix player please pokemon princess private purple pussy qazwsx qwer qwert
  qwerty rabbit rachel raiders rainbow ranger rangers realmadrid rebecca richard robert rockyou ronaldo root rosebud
  samantha samsung samuel sandra scooby scooter secret server sexy shadow shannon sierra silver simple skywalker slayer smokey
  snoopy snowball soccer sophie spider spiderman spring starwars steelers stephanie steven summer sunday sunshine superman
  superstar support sweet sweety system taylor teacher temp tennis test testing thomas thunder tigger tiger tinkerbell tokyo
  trustno turtle twitter unknown user vanessa victor victoria viking vincent warrior welcome whatever william willow winner
  winter wizard xavier yamaha yankees yellow zxcv
`
  .trim()
  .split(/\s+/)

/** Passwords that every user knows, most of all the examples of how to choose a password. */
const PHRASES: readonly string[] = [
  'correct horse battery staple',
  'the quick brown fox',
  'jumps over the lazy dog',
  'to be or not to be',
  'lorem ipsum dolor',
]

/** What passwords that many people chose are made of, folded; phrases with and without their spaces. */
export const COMMON_WORDS: readonly string[] = [
  ...WORDS,
  ...PHRASES,
  ...PHRASES.map((phrase) => phrase.replaceAll(' ', '')),
]
