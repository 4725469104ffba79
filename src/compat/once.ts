/**
 * The same function, which computes its value once for each object: what is given to the engine never changes, and a snapshot
 * or a policy is asked about again and again.
 */
export function once<Key extends object, Value>(compute: (key: Key) => Value): (key: Key) => Value {
	const known = new WeakMap<Key, { readonly value: Value }>();
	return (key) => {
		const found = known.get(key);
		if (found) return found.value;
		const value = compute(key);
		known.set(key, { value });
		return value;
	};
}
