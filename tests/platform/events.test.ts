import { createEventBus } from '../../src/platform/events';
import { createLogger } from '../../src/platform/telemetry/logger';

interface Events {
  readonly Renamed: { readonly to: string };
  readonly Removed: { readonly id: number };
}

test('an event reaches every subscriber of its name, before emit returns and in order', () => {
  const bus = createEventBus<Events>(createLogger({ level: 'silent' }));
  const seen: unknown[] = [];
  bus.subscribe({ Renamed: ({ to }) => seen.push(['first', to]) });
  bus.subscribe({ Renamed: ({ to }) => seen.push(['second', to]), Removed: () => seen.push(0) });
  bus.emit('Renamed', { to: 'Ada' });
  expect(seen).toEqual([
    ['first', 'Ada'],
    ['second', 'Ada'],
  ]);
  bus.emit('Removed', { id: 1 });
  expect(seen).toHaveLength(3);
});

test('a subscriber that throws is logged, and breaks neither the emitter nor the others', () => {
  const lines: { msg: string; event: string; err: { message: string } }[] = [];
  const log = createLogger(
    { level: 'error' },
    { write: (line: string) => void lines.push(JSON.parse(line)) },
  );
  const bus = createEventBus<Events>(log);
  const seen: string[] = [];
  bus.subscribe({
    Renamed: () => {
      throw new Error('of the subscriber');
    },
  });
  bus.subscribe({ Renamed: ({ to }) => seen.push(to) });
  bus.emit('Renamed', { to: 'Ada' });
  expect(seen).toEqual(['Ada']);
  expect(lines).toEqual([
    expect.objectContaining({ msg: 'event subscriber failed', event: 'Renamed' }),
  ]);
});
