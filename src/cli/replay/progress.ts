/** From one drawing to the next. */
const INTERVAL_MS = 100;
const WIDTH = 32;
const CLEAR_LINE = "\r\u001b[K";

/** Tells how far the work is: `done` of `total` parts, and what there is to say of them. */
export type Progress = (done: number, note: string) => void;

/** A bar on a terminal, which goes when all is done; a stream that is none gets nothing. */
export function progressBar(total: number, stream: NodeJS.WriteStream): Progress {
	if (!stream.isTTY) return () => undefined;
	let drawnAt = Number.NEGATIVE_INFINITY;
	return (done, note) => {
		if (done >= total) {
			stream.write(CLEAR_LINE);
		} else if (performance.now() - drawnAt >= INTERVAL_MS) {
			drawnAt = performance.now();
			const line = `${barOf(done / total)}  ${String(done).padStart(String(total).length)}/${total}  ${note}`;
			// A line that is broken cannot be drawn again.
			stream.write(CLEAR_LINE + line.slice(0, (stream.columns || 80) - 1));
		}
	};
}

function barOf(share: number): string {
	const full = Math.floor(share * WIDTH);
	return `[${"#".repeat(full)}${".".repeat(WIDTH - full)}]`;
}
