import { RpcFailure } from "./errors.ts";

/** How many requests came to what, each counted once; for a page of metrics, as all in this file. */
export interface RequestCounts {
	/** The method answered, if only with a failure that it means. */
	ok: number;
	/** No request of oslo.messaging's, or one with arguments that its method does not take. */
	invalid: number;
	oversize: number;
	unsupported_version: number;
	unknown_method: number;
	duplicate: number;
	/** Answered for because its time was over. */
	expired: number;
	/** By a mistake of ours. */
	failed: number;
}

export function noRequests(): RequestCounts {
	return {
		ok: 0,
		invalid: 0,
		oversize: 0,
		unsupported_version: 0,
		unknown_method: 0,
		duplicate: 0,
		expired: 0,
		failed: 0,
	};
}

/** How many replies came to what, each counted once. */
export interface ReplyCounts {
	/** In the caller's queue, as the broker says. */
	confirmed: number;
	/** The caller's queue does not exist. */
	returned: number;
	/** Not confirmed in the time of the call. */
	timeout: number;
	/** Not sent: to no reply queue, to one that is missing still, one too many that wait for such or for the broker. */
	dropped: number;
}

export function noReplies(): ReplyCounts {
	return { confirmed: 0, returned: 0, timeout: 0, dropped: 0 };
}

const OUTCOMES: Readonly<Record<string, keyof RequestCounts>> = {
	UnsupportedVersion: "unsupported_version",
	NoSuchMethod: "unknown_method",
	TypeError: "invalid",
	ValueError: "invalid",
};

/** What a request came to that was answered with a failure. */
export function outcomeOfFailure(error: unknown): keyof RequestCounts {
	return error instanceof RpcFailure ? (OUTCOMES[error.excClass] ?? "ok") : "failed";
}
