/**
 * Server-sent events with an Authorization header, which EventSource cannot send. Reads one
 * connection to its end; `heard` gets each event.
 */
export async function readEvents({ url, headers, signal, heard }) {
  const answer = await fetch(url, { headers: { ...headers, accept: 'text/event-stream' }, signal });
  if (!answer.ok) throw new Error(`the events ended with status ${answer.status}`);
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split('\n\n');
    rest = blocks.pop();
    for (const block of blocks) {
      const event = eventOf(block);
      if (event.data !== undefined) heard(event);
    }
  }
}

function eventOf(block) {
  const lines = block.split('\n').map((line) => /^(\w+): ?(.*)$/.exec(line));
  return Object.fromEntries(
    lines.filter((line) => line !== null).map(([, name, text]) => [name, text]),
  );
}
