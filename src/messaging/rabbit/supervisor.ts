import type { Log } from "../log.ts";

/** Why something could not be set up, or was lost. */
export interface Fault {
	/** For an operator: what happened and, if known, what to look at. */
	readonly text: string;
	/** It stays like that until somebody changes something. */
	readonly refused: boolean;
}

export interface Supervised<Place> {
	readonly places: readonly Place[];
	/** oslo's `kombu_failover_strategy`; "shuffle" changes the order in every round. */
	readonly strategy: "round-robin" | "shuffle";
	readonly nameOf: (place: Place) => string;
	/** Sets everything up. The signal aborts when it is lost, and its reason says why. */
	readonly open: (place: Place) => Promise<AbortSignal>;
	readonly explain: (error: unknown) => Fault;
	/** Told when each place has refused in turn, with what the last one said; whoever is not willing to wait for a change stops it. */
	readonly onRefused?: (text: string) => void;
	readonly log: Log;
	readonly stop: AbortSignal;
}

/** Milliseconds; the last one is shorter than the five seconds within which we are back when a broker is. */
const PACE = { shortest: 100, first: 500, longest: 4_000 };
/**
 * Of what stays as it is until somebody changes it: seldom enough for the broker's log, and so soon that we are back within ten seconds
 * of the change (promise P7), which the 30 s of row 16 are not.
 */
const PACE_REFUSED = { shortest: 5_000, first: 8_000, longest: 8_000 };
/** Never more than five attempts in a second, however many places there are. */
const BETWEEN_ATTEMPTS_MS = 200;
/** What was lost sooner counts as a failed attempt: a broker may accept us and then fall over what we declare. */
const LASTING_MS = 10_000;

/**
 * The one loop: next place, set up, wait until it is lost, back off with jitter. All places are tried before backing
 * off. Ends when `stop` aborts; what is open then is for the caller to close.
 */
export async function supervise<Place>(supervised: Supervised<Place>): Promise<void> {
	const { strategy, nameOf, explain, onRefused, log, stop } = supervised;
	const places = shuffled(supervised.places);
	let faults: Fault[] = [];
	for (let turn = 0, failures = 0; !stop.aborted; turn++) {
		const place = places[turn % places.length];
		if (place === undefined) return;
		const began = performance.now();
		const { error, lasted } = await hold(place, supervised);
		if (stop.aborted) return;

		const fault = explain(error);
		faults.push(fault);
		if (faults.length === places.length && isRefused(faults)) onRefused?.(`${nameOf(place)}: ${fault.text}`);
		if (stop.aborted) return;

		let delay = BETWEEN_ATTEMPTS_MS - (performance.now() - began);
		if (lasted !== undefined || faults.length === places.length) {
			if (lasted !== undefined && lasted >= LASTING_MS) failures = 0;
			delay = Math.max(delay, backOff(failures++, faults));
			faults = [];
			if (strategy === "shuffle") places.splice(0, places.length, ...shuffled(places));
		}
		const line = `${nameOf(place)}: ${fault.text}; next attempt in ${(Math.max(delay, 0) / 1000).toFixed(1)} s`;
		if (fault.refused) log.error(line);
		else log.warning(line);
		await until([stop], delay);
	}
}

/** One place, from the attempt to the loss; `lasted` tells how long it was up, if it was. */
async function hold<Place>(
	place: Place,
	{ open, stop }: Supervised<Place>,
): Promise<{ readonly error: unknown; readonly lasted?: number }> {
	try {
		const lost = await open(place);
		const since = performance.now();
		await until([lost, stop]);
		return { error: lost.reason, lasted: performance.now() - since };
	} catch (error) {
		return { error };
	}
}

function backOff(failures: number, faults: readonly Fault[]): number {
	const { shortest, first, longest } = isRefused(faults) ? PACE_REFUSED : PACE;
	return shortest + Math.random() * (Math.min(longest, first * 2 ** failures) - shortest);
}

function isRefused(faults: readonly Fault[]): boolean {
	return faults.every(({ refused }) => refused);
}

/** Until one of the signals aborts, or the time is over. */
export function until(signals: readonly AbortSignal[], milliseconds?: number): Promise<void> {
	return new Promise((resolve) => {
		const end = () => {
			clearTimeout(timer);
			for (const signal of signals) signal.removeEventListener("abort", end);
			resolve();
		};
		const timer = milliseconds === undefined ? undefined : setTimeout(end, milliseconds);
		for (const signal of signals) signal.addEventListener("abort", end);
		if (signals.some(({ aborted }) => aborted)) end();
	});
}

/** A herd of services shall not queue up at the first host of their common list. */
function shuffled<Item>(items: readonly Item[]): Item[] {
	return items
		.map((item) => ({ item, rank: Math.random() }))
		.toSorted((a, b) => a.rank - b.rank)
		.map(({ item }) => item);
}
