/**
 * The browser script of the page that links in mails open. It sends a request only when a person
 * submits the form, so that mail scanners and previews use up no token.
 */
export const ACCOUNT_SCRIPT = `
'use strict';
(() => {
  const purpose = new URLSearchParams(location.search).get('purpose') || '';
  const token = () => new URLSearchParams(location.hash.slice(1)).get('token') || '';
  const form = document.querySelector('form[data-purpose="' + CSS.escape(purpose) + '"]');
  const outcome = document.getElementById('outcome');

  const say = (text, isFault) => {
    outcome.textContent = text;
    outcome.className = isFault ? 'fault' : 'done';
    outcome.hidden = false;
    outcome.focus();
  };
  const show = (element) => { element.hidden = false; };

  const code = new URLSearchParams(location.hash.slice(1)).get('code') || '';
  if (purpose === 'sign-in' && /^[0-9]{6}$/.test(code)) {
    document.getElementById('code').textContent = code;
    show(document.getElementById('sign-in'));
    return;
  }
  if (!form) { show(document.getElementById('nothing')); return; }
  document.title = form.querySelector('h1').textContent;
  show(form);
  if (form.dataset.token === 'yes' && !/^[A-Za-z0-9_-]{43}$/.test(token())) {
    form.querySelector('button').disabled = true;
    say('This link is not complete. Open it from the mail again.', true);
    return;
  }
  const reveal = form.querySelector('input[type=checkbox]');
  const secret = form.querySelector('input[type=password]');
  if (reveal) reveal.addEventListener('change', () => {
    secret.type = reveal.checked ? 'text' : 'password';
  });

  const minutes = (response) => Math.max(1, Math.ceil(Number(response.headers.get('retry-after') || 60) / 60));
  async function faultOf(response) {
    let problem = {};
    try { problem = await response.json(); } catch {}
    const field = (problem.errors || [])[0] || {};
    if (problem.code === 'invalid_mail_token') return 'This link has expired, was used before, or was replaced by a newer mail. ' + form.dataset.expired;
    if (problem.code === 'email_taken') return 'Another account has this e-mail address now.';
    if (field.code === 'wrong_password') return 'That is not the password of the account.';
    if (response.status === 422 && field.message) return form.dataset.field + ' ' + field.message + '.';
    if (response.status === 429) {
      const count = minutes(response);
      return 'There were too many attempts. Try again in ' + count + (count === 1 ? ' minute.' : ' minutes.');
    }
    return 'The service could not do this at the moment. Try again in a minute: the link stays good.';
  }

  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    const button = form.querySelector('button');
    if (button.disabled) return;
    button.disabled = true;
    outcome.hidden = true;
    const body = form.dataset.token === 'yes' ? { token: token() } : {};
    for (const input of form.querySelectorAll('input[name]')) body[input.name] = input.value;
    try {
      const response = await fetch(form.dataset.path, {
        method: 'POST',
        credentials: 'omit',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify(body),
      });
      if (!response.ok) return say(await faultOf(response), true);
      // Removes the used token from the history.
      history.replaceState(null, '', location.pathname + location.search);
      form.hidden = true;
      say(form.dataset.done, false);
    } catch {
      say('The service cannot be reached. Try again: the link stays good.', true);
    } finally {
      button.disabled = false;
    }
  });
})();
`.trim();
