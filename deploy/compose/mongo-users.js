// The API's own user: it reads and writes the database `auth` (indexes included), and nothing else.
// Root is for people. MongoDB's image runs this when it makes an empty volume. On one that exists,
// or to change the password:   docker compose --env-file deploy/compose/secrets.env exec mongo sh
// -c 'mongosh --quiet -u root -p "$MONGO_INITDB_ROOT_PASSWORD"
// /docker-entrypoint-initdb.d/10-users.js'
const auth = db.getSiblingDB('auth');
const user = { pwd: process.env.MONGO_APP_PASSWORD, roles: [{ role: 'readWrite', db: 'auth' }] };
if (auth.getUser('api') === null) auth.createUser({ user: 'api', ...user });
else auth.updateUser('api', user);
