/** Milliseconds (row 25 of the fault matrix). */
const PAUSE_MS = 10_000;

/**
 * Says what anybody who can publish could have said again and again: a line at most every ten seconds, which tells how many were left out
 * before it. The first bytes of a body, which row 25 wants there, are not: they may hold secrets, and nothing of a raw message is logged
 * (SEC-11).
 */
export function sparing(say: (text: string) => void, now = () => performance.now()): (text: string) => void {
	let [saidAt, untold] = [Number.NEGATIVE_INFINITY, 0];
	return (text) => {
		if (now() - saidAt < PAUSE_MS) {
			untold++;
			return;
		}
		say(untold === 0 ? text : `${text} (and ${untold} more like this since the last such line)`);
		[saidAt, untold] = [now(), 0];
	};
}
