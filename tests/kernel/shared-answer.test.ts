import { sharedAnswer } from '../../src/kernel/shared-answer';

function asked() {
  const answers: { resolve: (value: number) => void; reject: (error: Error) => void }[] = [];
  let nowMs = 0;
  const ask = sharedAnswer(
    () => new Promise<number>((resolve, reject) => answers.push({ resolve, reject })),
    500,
    () => nowMs,
  );
  return { ask, answers, at: (ms: number) => (nowMs = ms) };
}

test('a thousand concurrent callers cause one call, and later ones one per interval', async () => {
  const { ask, answers, at } = asked();
  const first = Array.from({ length: 1000 }, ask);
  // A call that takes longer than the interval is still the only one.
  at(600);
  const waiting = ask();
  expect(answers).toHaveLength(1);
  answers[0]?.resolve(1);
  expect(new Set(await Promise.all([...first, waiting]))).toEqual(new Set([1]));
  const second = ask();
  expect(answers).toHaveLength(2);
  answers[1]?.resolve(2);
  expect(await second).toBe(2);
  at(1099);
  expect([await ask(), answers.length]).toEqual([2, 2]);
  at(1100);
  void ask();
  expect(answers).toHaveLength(3);
});

test('a failure rejects the waiting callers, and the next caller causes a new call', async () => {
  const { ask, answers } = asked();
  const [one, other] = [ask(), ask()];
  answers[0]?.reject(new Error('away'));
  await expect(one).rejects.toThrow('away');
  await expect(other).rejects.toThrow('away');
  void ask();
  expect(answers).toHaveLength(2);
});
