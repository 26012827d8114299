// Swagger UI on /openapi.json, and a form that logs in. The token is only in the memory of this page.
const field = (id) => document.getElementById(id);
const dark = matchMedia('(prefers-color-scheme: dark)');
const applyTheme = () => document.documentElement.classList.toggle('dark-mode', dark.matches);
dark.addEventListener('change', applyTheme);
applyTheme();

/**
 * What /docs tells of errors, headers and examples is left out: Swagger UI resolves the whole
 * document at each opened operation, which takes many times as long with it.
 */
function reduced(document) {
  for (const operation of Object.values(document.paths).flatMap(Object.values)) {
    operation.parameters = operation.parameters.filter(
      ({ $ref = '' }) => !/\/(X-Request-Id|traceparent)$/.test($ref),
    );
    for (const [status, answer] of Object.entries(operation.responses))
      if (/^[45]/.test(status)) delete operation.responses[status];
      else delete answer.headers;
  }
  for (const kind of ['responses', 'examples', 'headers']) delete document.components[kind];
  return document;
}

const ui = window.SwaggerUIBundle({
  spec: reduced(await (await fetch('/openapi.json')).json()),
  dom_id: '#swagger',
  deepLinking: true,
  // All operations at once take seconds to draw.
  docExpansion: 'none',
  defaultModelsExpandDepth: 0,
  filter: true,
  persistAuthorization: false,
  // Otherwise a public validator is asked.
  validatorUrl: null,
});

let token;
/** The token of a sign-in that needs a second factor. */
let mfaToken;

async function post(path, body) {
  const answer = await fetch(path, {
    method: 'POST',
    headers: {
      ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
      ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }),
    },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  return answer.status === 204 ? {} : answer.json();
}

function show(text) {
  const isAsked = mfaToken !== undefined;
  field('code').parentElement.hidden = !isAsked;
  field('code').required = isAsked;
  for (const id of ['email', 'password']) {
    field(id).disabled = isAsked;
    field(id).parentElement.hidden = token !== undefined;
  }
  for (const button of document.querySelectorAll('#login [type=submit]'))
    button.hidden = token !== undefined;
  field('logout').hidden = token === undefined && !isAsked;
  field('state').textContent = text;
  if (isAsked) field('code').focus();
}

function forget(text) {
  token = undefined;
  mfaToken = undefined;
  ui.authActions.logout(['bearer']);
  show(text);
}

function signIn() {
  if (mfaToken === undefined)
    return post('/api/auth/login', {
      email: field('email').value,
      password: field('password').value,
    });
  const code = field('code').value.trim();
  const factor = /^\d{6}$/.test(code) ? 'totp' : 'recovery_code';
  return post('/api/auth/mfa/verify', { mfa_token: mfaToken, factor, code });
}

async function logIn() {
  const result = await signIn();
  field('code').value = '';
  if (result.mfa_required === true) {
    mfaToken = result.mfa_token;
    return show('A second factor is needed.');
  }
  if (result.access_token === undefined) return show(result.detail ?? result.title);
  field('password').value = '';
  mfaToken = undefined;
  token = result.access_token;
  ui.preauthorizeApiKey('bearer', token);
  const given = token;
  setTimeout(() => {
    if (token === given) forget('The token has expired: log in again.');
  }, result.expires_in * 1000);
  const minutes = Math.round(result.expires_in / 60);
  show(`Logged in as ${result.user.name}. Requests below send the token, for ${minutes} min.`);
}

const run = (action) => (event) => {
  event.preventDefault();
  action().catch(() => show('No answer: the service is not reachable.'));
};
field('login').addEventListener('submit', run(logIn));
field('logout').addEventListener(
  'click',
  run(async () => {
    if (token !== undefined) await post('/api/auth/logout');
    forget('Logged out.');
  }),
);
