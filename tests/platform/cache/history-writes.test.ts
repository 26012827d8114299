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

  it('a write whose first attempt ends after its deadline begins no second one', async () => {
    const checked = await world.slowWrite({});
    expect(checked).toMatchObject({ failed: 1, stale: 0, late: 0, lost: 0 });
  });

  it('is noticed when writes are bounded by a timer that cancels nothing', async () => {
    const checked = await world.slowWrite({ planted: 'no-deadline' });
    expect(checked).toMatchObject({ failed: 1, late: 1 });
  });
});
