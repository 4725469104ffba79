import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

setFlagsFromString("--expose-gc");
const collect: () => void = runInNewContext("gc");

/** How many of these are still in memory, when all that nobody holds has been collected. */
export function held(references: readonly WeakRef<object>[]): number {
	collect();
	return references.filter((reference) => reference.deref()).length;
}
