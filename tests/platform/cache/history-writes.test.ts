import { startWriteWorld, type WriteWorld } from '../../support/write-world';

describe('a history of two hosts, one of which has a slow link to MongoDB, with writes in between', () => {
  let world: WriteWorld;
  beforeAll(async () => {
    world = await startWriteWorld();
  });
  afterAll(() => world?.close());

  it('no write takes effect after its caller was told that it failed, and no acknowledged one is undone', async () => {
    const checked = await world.history({}, 5000);
    expect(checked).toMatchObject({ stale: 0, late: 0, lost: 0 });
    // It was a trial: writes failed, and others were acknowledged while they were under way.
    expect(checked.failed).toBeGreaterThan(0);
    expect(checked.acknowledged).toBeGreaterThan(0);
  });

  it('is noticed when writes are bounded by a timer that cancels nothing', async () => {
    let late = 0;
    for (let tries = 0; tries < 12 && late === 0; tries += 1)
      ({ late } = await world.history({ planted: 'no-deadline' }, 2500));
    expect(late).toBeGreaterThan(0);
  }, 120_000);
});
