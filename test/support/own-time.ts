/** From one look at the clock to the next. */
const LOOK_MS = 10;

let [passed, last] = [0, performance.now()];

function look(): number {
	const now = performance.now();
	passed += Math.min(now - last, 2 * LOOK_MS);
	last = now;
	return passed;
}

function lookAgain(): void {
	look();
	setTimeout(lookAgain, LOOK_MS).unref();
}
lookAgain();

/**
 * Starts to count the milliseconds in which this process looks at its timers, for bounds of what it waits for by timers of its own: while
 * a busy machine lets it stand still, hardly any pass. Nor do they while it is busy itself: it is no measure of work.
 */
export function ownTime(): () => number {
	const started = look();
	return () => look() - started;
}
