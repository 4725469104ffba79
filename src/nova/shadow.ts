import { setTimeout as sleep } from "node:timers/promises";
import type { Decision } from "../compat/decision.ts";
import { summary } from "../compat/summary.ts";
import type { Logger } from "../log/logger.ts";
import { InvalidMessage } from "../messaging/errors.ts";
import type { Delivery } from "../messaging/transport.ts";
import type { CheckPlacement } from "../placement.ts";
import type { Check, CheckOptions, MadeCheck, Outcome, PrecheckRequest, Witness } from "../precheck.ts";
import { Agreement } from "./agreement.ts";
import type { RequestContext } from "./context.ts";
import { InvalidRequest } from "./objects.ts";
import { type Observed, observe } from "./observed.ts";

export interface ShadowOptions {
	/** What the log calls the bus. */
	readonly cell: string;
	readonly check: Check;
	readonly checkPlacement: CheckPlacement;
	/** Told of each check when it is known what became of it. */
	readonly witness?: Witness | undefined;
	readonly log: Logger;
	/** Whether what passes on the bus is seen at the moment. */
	readonly isListening: () => boolean;
	/** Seconds that one decision may take. */
	readonly maxCheckTime: number;
	/** Seconds after which a migration that has not begun counts as refused. */
	readonly patience?: number;
	/** Seconds after which a device is looked for again that Nova has chosen and the agent does not know. */
	readonly lookAgain?: number;
}

/** Longer than any pre-check takes that succeeds. */
const PATIENCE = 300;
/** Migrations of which the outcome or the line in the log is still to come. */
const MAX_OPEN = 1_000;
/** An mdev that Nova has just made is seen with the agent's next scan. */
const LOOK_AGAIN = 5;
const LOOKS = 5;

/** A destination that Nova asked about, until it is known what became of it. */
interface Open {
	readonly request: PrecheckRequest;
	readonly context: RequestContext;
	readonly made: Promise<MadeCheck | undefined>;
	readonly timer: NodeJS.Timeout;
}

/**
 * Decides what Nova decides, beside it: watches the pre-checks on the bus of one cell, and tells for each destination what
 * we would have said and what Nova did. It answers nobody.
 */
export class Shadow {
	readonly agreement = new Agreement();
	readonly #options: ShadowOptions;
	/** By instance and request. Nova asks one destination of a migration after the other. */
	readonly #open = new Map<string, Open>();
	readonly #reports = new Set<Promise<void>>();
	readonly #stopping = new AbortController();

	constructor(options: ShadowOptions) {
		this.#options = options;
	}

	/** Takes one message from the bus; acknowledged when its decision is made, so that only so many are made at once. */
	async take(delivery: Delivery): Promise<void> {
		const observed = this.#read(delivery);
		if (observed?.kind === "check") await this.#check(observed);
		else if (observed?.kind === "start") this.#started(observed);
		delivery.ack();
	}

	/** Messages may have been missed: what has become of open migrations cannot be told any more. */
	missed(): void {
		for (const key of this.#open.keys()) this.#end(key, "unseen");
	}

	/** Reports what is open. */
	async stop(): Promise<void> {
		this.#stopping.abort();
		this.missed();
		await Promise.all(this.#reports);
	}

	#read(delivery: Delivery): Observed | undefined {
		const { cell, log } = this.#options;
		try {
			return observe(delivery);
		} catch (error) {
			// Whatever it is, it is not for us.
			if (error instanceof InvalidMessage) log.debug(`shadow ${cell}: ${error.message}`);
			else if (error instanceof InvalidRequest) log.warning(`shadow ${cell}: ${delivery.routingKey}: ${error.message}`);
			else log.error(`shadow ${cell}: ${delivery.routingKey}: ${String(error)}`);
			return undefined;
		}
	}

	async #check({ request, context }: Extract<Observed, { kind: "check" }>): Promise<void> {
		const key = keyOf(request, context);
		// Nova never asks the same destination twice: that is the same message once more.
		if (this.#open.get(key)?.request.dest_host === request.dest_host) return;
		this.#end(key, "refused");
		const { check, isListening, patience = PATIENCE } = this.#options;
		const made = this.#attempt((options) => check(request, options), context);
		const timeIsUp = () => this.#end(key, isListening() ? "refused" : "unseen");
		const timer = setTimeout(timeIsUp, patience * 1000).unref();
		this.#open.set(key, { request, context, made, timer });
		if (this.#open.size > MAX_OPEN) this.#end(this.#open.keys().next().value, "unseen");
		await made;
	}

	#started({ instance_uuid, dest_host, mapping, context }: Extract<Observed, { kind: "start" }>): void {
		const key = keyOf({ instance_uuid }, context);
		// Of another destination we have missed the check.
		const outcome = this.#open.get(key)?.request.dest_host === dest_host ? "accepted" : "unseen";
		this.#end(key, outcome, mapping);
	}

	#end(key: string | undefined, outcome: Outcome, mapping: Readonly<Record<string, string>> = {}): void {
		const open = key === undefined ? undefined : this.#open.get(key);
		if (key === undefined || open === undefined) return;
		this.#open.delete(key);
		clearTimeout(open.timer);
		const report = this.#report(open, outcome, mapping).finally(() => this.#reports.delete(report));
		this.#reports.add(report);
	}

	/** The one line about a destination. */
	async #report(open: Open, outcome: Outcome, mapping: Readonly<Record<string, string>>): Promise<void> {
		const { request, context } = open;
		const { instance_uuid, source_host, dest_host } = request;
		const made = await open.made;
		if (made === undefined) return;
		const { decision } = made;
		this.agreement.add(decision, outcome);
		const exact = outcome === "accepted" ? await this.#exact(open, mapping) : undefined;
		if (exact) this.agreement.add(exact, outcome, true);
		const words = [
			`would ${decision.allowed ? "accept" : "reject"}, ${OUTCOMES[outcome]}`,
			summary(decision),
			...(exact ? [`with the devices that Nova chose: ${summary(exact)}`] : []),
		];
		const { cell, log, witness } = this.#options;
		witness?.({ ...made, shadow: { cell, nova: outcome, ...(exact && { exact }) } });
		log.info(`shadow ${cell}: live migration ${source_host} -> ${dest_host}: ${words.join("; ")}`, {
			...context,
			instance: instance_uuid,
		});
	}

	/** What Nova chose may be younger than what the agent of the destination knows. */
	async #exact(
		{ request: { source_host, dest_host }, context }: Open,
		mapping: Readonly<Record<string, string>>,
	): Promise<Decision | undefined> {
		if (Object.keys(mapping).length === 0 || this.#reports.size > MAX_OPEN) return undefined;
		const { checkPlacement, lookAgain = LOOK_AGAIN } = this.#options;
		for (let look = 1; ; look++) {
			const placement = { source_host, dest_host, mapping };
			const decision = await this.#attempt((options) => checkPlacement(placement, options), context);
			const isThere = !decision?.reasons.some(({ code }) => code === "device.not_found");
			if (isThere || look === LOOKS || this.#stopping.signal.aborted) return decision;
			await sleep(lookAgain * 1000, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
		}
	}

	/** A decision that fails for a reason of its own is our fault, and nothing to count. */
	async #attempt<Made>(
		decide: (options: CheckOptions) => Promise<Made>,
		{ request_id, global_request_id, traceparent }: RequestContext,
	): Promise<Made | undefined> {
		const { cell, log, maxCheckTime } = this.#options;
		try {
			const signal = AbortSignal.timeout(maxCheckTime * 1000);
			return await decide({ signal, request_id, global_request_id, traceparent });
		} catch (error) {
			log.exception(`shadow ${cell}: check failed`, error);
			return undefined;
		}
	}
}

const OUTCOMES: Readonly<Record<Outcome, string>> = {
	accepted: "Nova accepted",
	refused: "Nova refused",
	unseen: "what Nova did was not seen",
};

function keyOf({ instance_uuid }: Pick<PrecheckRequest, "instance_uuid">, { request_id = "" }: RequestContext): string {
	return `${instance_uuid} ${request_id}`;
}
