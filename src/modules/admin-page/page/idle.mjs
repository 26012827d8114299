/** Without input for this time the page signs out: another person may be at the machine. */
const IDLE_MINUTES = 15;
/** Shorter than the time before its end in which the client renews a token. */
const LOOK_MS = 20_000;
const INPUT = ['pointerdown', 'pointermove', 'keydown', 'wheel'];

/**
 * Calls `look` now and then while there is input, and once `left` after so long without any. A
 * machine that slept is looked at when it wakes, as its clock has gone on.
 */
export function watchIdle({ look, left }) {
  let lastMs = Date.now();
  const touched = () => {
    if (!check()) lastMs = Date.now();
  };
  const timer = setInterval(() => {
    if (!check()) look();
  }, LOOK_MS);
  for (const type of INPUT) document.addEventListener(type, touched, { passive: true });

  function stop() {
    clearInterval(timer);
    for (const type of INPUT) document.removeEventListener(type, touched);
  }
  function check() {
    const isLeft = Date.now() - lastMs >= IDLE_MINUTES * 60_000;
    if (isLeft) {
      stop();
      left(IDLE_MINUTES);
    }
    return isLeft;
  }
  return stop;
}
