import type { Deadline } from "./deadline.ts";
import type { Call } from "./endpoint.ts";
import type { ServerTarget } from "./target.ts";

/**
 * What a method is told of its call. A class, because an object with a getter of its own has a hidden class of its own: each call
 * would cost one.
 */
export class ServedCall<Context> implements Call<Context> {
	readonly context: Context;
	readonly target: ServerTarget;
	readonly #deadline: Deadline;

	constructor(context: Context, target: ServerTarget, deadline: Deadline) {
		this.context = context;
		this.target = target;
		this.#deadline = deadline;
	}

	/** Made for the method that asks for it. */
	get signal(): AbortSignal {
		return this.#deadline.timeUp;
	}
}
