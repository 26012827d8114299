/**
 * Common passwords of 8 or more characters, in lower case: the heads of published rankings of
 * leaked passwords, keyboard walks and names of administrator accounts. Short on purpose: NIST SP
 * 800-63B-4 §3.1.1.2 asks for likely passwords, and the login guard limits further guesses.
 */
const LIST = `
00000000 000000000 0000000000 01234567 012345678 0123456789 11111111 111111111 1111111111 11223344 1122334455 12121212
123123123 12312312 123321123 1234512345 12344321 12345678 123456789 1234567890 12345678910 123456789a 123456789q 12345678a
12345qwert 1234abcd 1234qwer 123456qwerty 123456abc 123654789 147258369 159357456 159753456 1a2b3c4d 1q2w3e4r 1q2w3e4r5t
1q2w3e4r5t6y 1qaz2wsx 1qaz2wsx3edc 1qazxsw2 1qwerty1 20202020 22222222 222222222 23456789 25252525 2wsx3edc 31415926 33333333
44444444 55555555 555555555 66666666 666666666 69696969 741852963 77777777 777777777 78945612 789456123 87654321
88888888 888888888 963852741 987654321 9876543210 99999999 999999999 a1234567 a12345678 a123456789 a1b2c3d4 a1s2d3f4
aa123456 aaa11111 aaaaaaaa aaaaaaaaa abc12345 abc123456 abcd1234 abcdefgh abcdefghi access14 adminadmin administrator admin123
admin1234 admin12345 admin@123 alexander alexandra andrew12 arsenal1 asd12345 asdasdasd asdf1234 asdfasdf asdfghjk asdfghjkl
asdfghjkl1 barcelona baseball baseball1 basketball bbbbbbbb benjamin blink182 brooklyn butterfly caroline change123 changeit
changeme changeme1 changeme123 charlie1 chelsea1 chocolate christian christina christopher cocacola computer computer1 corvette
danielle december dearbook default1 destiny1 diamond1 dragon12 elephant elizabeth facebook fernando fktrcfylh football football1
football123 fortnite forever1 freedom1 friends1 fuckyou1 fuckyou123 fuckyou2 gateway1 gfhjkmgfhjkm ghbdtnghbdtn golfgolf goodluck
hallo123 harrypotter hello123 hello1234 hellohello helloworld iloveyou iloveyou1 iloveyou12 iloveyou123 iloveyou2 infinity internet
isabella jennifer jessica1 jonathan jordan23 justin12 killer12 kristina lakers24 letmein1 letmein12 letmein123 letmeinnow
liverpool liverpool1 lollipop lovelove lovely12 loveyou1 manchester margaret marlboro marseille master12 matthew1 maverick
melissa1 mercedes metallica michael1 michelle midnight minecraft monkey12 monkey123 mustang1 mypassword naruto123 newpassword
nicholas nicole12 nintendo november november1 p4ssw0rd p@$$w0rd p@ssw0rd p@ssw0rd1 p@ssw0rd123 p@ssword p@ssword1 pa$$w0rd pa55w0rd
pass1234 pass12345 pass@123 pass@1234 passpass passw0rd passw0rd1 password password! password00 password01 password1 password1!
password10 password11 password12 password123 password123! password1234 password12345 password2 password3 password7 password9
password@1 password@123 passwords passwort passwort1 patricia pokemon1 pokemon123 princess princess1 purple12 q1w2e3r4 q1w2e3r4t5
q1w2e3r4t5y6 qazwsx12 qazwsx123 qazwsxedc qazxswedc qq123456 qqqqqqqq qweasdzxc qweqweqwe qwer1234 qwerasdf qwert123 qwert12345
qwerty01 qwerty11 qwerty12 qwerty123 qwerty1234 qwerty12345 qwerty123456 qwerty321 qwertyqwerty qwertyui qwertyuio
qwertyuiop qwertyuiop1 qwertz123 rainbow1 rammstein rangers1 realmadrid remember rockstar ronaldo7 samantha samsung1 samsung123
sandra12 scorpion secret12 secret123 security september shadow12 shadow123 slipknot snickers snowball snowboard soccer12 softball
spiderman spongebob srinivas starwars starwars1 steelers stephanie strawberry student1 summer12 summer2023 summer2024 summer2025
sunshine sunshine1 superman superman1 superstar swordfish sysadmin target123 temp1234 temppass test1234 test12345 testtest
testing1 testing123 theodore tinkerbell trustno1 trustnoone tttttttt unknown1 user1234 valentina vanessa1 veronica victoria
vfhbyfvfhbyf vkontakte wall.e11 warcraft welcome1 welcome12 welcome123 welcome1234 welcome@123 westside whatever whatever1 william1
winner12 winter2023 winter2024 winter2025 wordpass xxxxxxxx yamaha12 yankees1 yourmom1 yuantuo2012 zaq12wsx zaq1zaq1 zaqxswcde
zxcvbnm1 zxcvbnm123 zxcvbnma zxcvzxcv zxczxczx zzzzzzzz
`;

export const COMMON_PASSWORDS: ReadonlySet<string> = new Set(LIST.trim().split(/\s+/));
