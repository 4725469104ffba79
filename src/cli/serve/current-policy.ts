import { statSync } from "node:fs";
import type { Policy } from "../../compat/policy.ts";
import { policyDigest } from "../../journal/entry.ts";
import type { Logger } from "../../log/logger.ts";
import { loadPolicy } from "../../policy/policy.ts";
import type { State } from "../daemon/state-report.ts";

/** The policy that a service decides by, until another one takes its place. */
export class CurrentPolicy {
	readonly #log: Logger;
	#load: () => Policy;

	/** Throws ConfigError. */
	constructor(file: string | undefined, log: Logger) {
		this.#log = log;
		this.#load = this.#read(file);
	}

	readonly policy = (): Policy => this.#load();

	/** Reads a policy, and returns what takes it into use. Throws ConfigError; nothing has changed then. */
	prepare(file: string | undefined): () => void {
		const next = this.#read(file);
		return () => {
			const [before, after] = [this.#load, next].map((load) => policyDigest(load()));
			this.#load = next;
			if (before !== after) this.#log.warning(`policy changed from ${before} to ${after}: ${originOf(file)}`);
		};
	}

	state(): State {
		const policy = this.policy();
		return { digest: policyDigest(policy), overrides: policy.overrides.length };
	}

	#read(file: string | undefined): () => Policy {
		return loadPolicy(file, (text) => this.#log.warning(text));
	}
}

/** What an auditor asks first: who may write it, and since when it is as it is. */
function originOf(file: string | undefined): string {
	if (file === undefined) return "the built-in policy";
	const status = statSync(file, { throwIfNoEntry: false });
	return status
		? `${file}, owner uid ${status.uid}, modified ${status.mtime.toISOString()}`
		: `${file}, gone meanwhile`;
}
