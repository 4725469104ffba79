/** A promise that somebody else settles. */
export function deferred<Value>() {
	let [resolve, reject]: [(value: Value) => void, (why: Error) => void] = [() => undefined, () => undefined];
	const promise = new Promise<Value>((...settle) => {
		[resolve, reject] = settle;
	});
	// Who waits for it hears of it.
	promise.catch(() => undefined);
	return { promise, resolve, reject };
}
