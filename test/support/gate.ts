/** A promise that somebody else keeps. */
export function gate() {
	let open: (result?: unknown) => void = () => undefined;
	const opened = new Promise<unknown>((resolve) => {
		open = resolve;
	});
	return { open, opened };
}
