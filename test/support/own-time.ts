/** From one look at the clock to the next. */
const LOOK_MS = 10;

/**
 * Starts to count the milliseconds in which this process looks at its timers, for bounds of what it waits for by timers of its own: while
 * a busy machine lets it stand still, hardly any pass. Nor do they while it is busy itself: it is no measure of work.
 */
export function ownTime(): () => number {
	let [passed, last] = [0, performance.now()];
	const look = () => {
		const now = performance.now();
		passed += Math.min(now - last, 2 * LOOK_MS);
		last = now;
	};
	const again = () => {
		look();
		setTimeout(again, LOOK_MS).unref();
	};
	again();
	return () => {
		look();
		return passed;
	};
}
