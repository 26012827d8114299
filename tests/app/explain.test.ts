import { authQueryShapes } from '../../src/modules/auth/query-shapes';
import { createUserModel } from '../../src/modules/users/model';
import { userQueryShapes } from '../../src/modules/users/query-shapes';
import { planOf } from '../../src/platform/mongo/explain';
import { startTestService, type TestService } from '../support/app';

const USERS = 20_000;

let service: TestService;
beforeAll(async () => {
  service = await startTestService();
  const users = service.database.connection.collection('users');
  const at = Date.now();
  for (let from = 0; from < USERS; from += 2000) {
    await users.insertMany(
      Array.from({ length: 2000 }, (_, i) => {
        const n = from + i;
        const createdAt = new Date(at - n * 1000);
        return {
          name: `Name ${n % 997}`,
          nameKey: `name ${n % 997}`,
          email: `u${n}@example.org`,
          emailKey: `u${n}@example.org`,
          emailVerified: n % 3 > 0,
          passwordHash: 'x',
          role: n % 100 === 0 ? 'admin' : 'user',
          status: 'active',
          rev: 1,
          sessionVersion: 1,
          revokedSessions: [],
          createdAt,
          updatedAt: createdAt,
        };
      }),
    );
  }
  const some = (i: number) => String(i % 50).padStart(24, '0');
  const rows = Array.from({ length: 2000 }, (_, i) => ({
    userId: some(i),
    subject: some(i),
    purpose: 'reset-password',
    kind: 'reset-password',
    account: some(i),
    recipient: some(i),
    dueAt: new Date(at + i * 1000),
    createdAt: new Date(at),
    type: i % 2 ? 'login' : 'logout',
    until: new Date(at + i),
    lastUsedAt: new Date(at - i),
    at: new Date(at - i),
  }));
  for (const name of [
    'sessions',
    'known_devices',
    'one_time_tokens',
    'mail_queue',
    'audit_events',
  ]) {
    await service.database.connection.collection(name).insertMany(
      rows.map((row, i) => ({
        ...row,
        ...(name === 'audit_events' ? {} : { _id: `${name}-${i}` as never }),
      })),
    );
  }
});
afterAll(() => service?.close());

test(`every query shape is served by an index, in its order, over ${USERS} users`, async () => {
  const { connection } = service.database;
  const shapes = [
    ...userQueryShapes(createUserModel(connection), { timeoutMs: 5000 }),
    ...authQueryShapes(connection),
  ];
  expect(shapes.length).toBeGreaterThan(30);
  const bad = [];
  for (const shape of shapes) {
    const { text, fault } = planOf(await shape.explain());
    if (fault !== undefined) bad.push(`${shape.name}: ${text}`);
  }
  expect(bad).toEqual([]);
});

test('the check detects a collection scan and a sort in memory', async () => {
  const users = service.database.connection.collection('users');
  expect(planOf(await users.find({ passwordHash: 'y' }).explain('queryPlanner')).fault).toBe(
    'collection scan',
  );
  expect(
    planOf(await users.find({ role: 'admin' }).sort({ updatedAt: 1 }).explain('queryPlanner'))
      .fault,
  ).toBe('sort in memory');
});
