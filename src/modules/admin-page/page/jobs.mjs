import { ProblemError } from '@clustered-auth/client';
import { readEvents } from './events.mjs';
import { baseUrl } from './session.mjs';

const RETRY_MS = 1000;
const RETRIES_MAX = 10;

const typeOf = (name) => (/\.csv(\.gz)?$/i.test(name) ? 'text/csv' : 'application/x-ndjson');

/** Sends the file as it is: XMLHttpRequest alone tells how much was sent. */
export async function uploadFile({ session, file, query, sent, signal }) {
  const token = await session.client.auth.accessToken();
  const request = new XMLHttpRequest();
  request.open('POST', `${baseUrl}/api/users/import?${new URLSearchParams(query)}`);
  request.setRequestHeader('authorization', `Bearer ${token}`);
  request.setRequestHeader('content-type', typeOf(file.name));
  if (/\.gz$/i.test(file.name)) request.setRequestHeader('content-encoding', 'gzip');
  request.upload.onprogress = ({ loaded, total }) => sent(total > 0 ? loaded / total : 0);
  signal.addEventListener('abort', () => request.abort());
  await new Promise((resolve, reject) => {
    request.onload = resolve;
    request.onerror = () => reject(new Error('the upload had no answer'));
    request.onabort = request.onerror;
    request.send(file);
  });
  const answer = JSON.parse(request.responseText || '{}');
  if (request.status < 300) return answer;
  throw new ProblemError(request.status, answer, new Headers());
}

/** Resolves with the job when it has ended; connects again where a connection breaks off. */
export async function followJob({ session, id, signal, heard }) {
  const { client } = session;
  let last;
  for (let failures = 0; ; ) {
    let ended;
    try {
      const headers = {
        authorization: `Bearer ${await client.auth.accessToken()}`,
        ...(last === undefined ? {} : { 'last-event-id': last }),
      };
      await readEvents({
        url: `${baseUrl}/api/jobs/${id}/events`,
        ...{ headers, signal },
        heard({ id: eventId, event, data }) {
          failures = 0;
          last = eventId;
          const job = JSON.parse(data);
          if (event === 'end') ended = job;
          else heard(job);
        },
      });
    } catch (error) {
      failures += 1;
      if (signal.aborted || failures > RETRIES_MAX) throw error;
    }
    if (ended !== undefined) return ended;
    signal.throwIfAborted();
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
}
