import type { Comparer } from "./comparer.ts";
import { componentsOf } from "./components.ts";
import type { Asker } from "./decide.ts";
import { allows } from "./decision.ts";
import type { Device } from "./device.ts";
import type { Fleet, FleetClass, FleetHost } from "./fleet.ts";
import { bugfixOf, type Pool } from "./pool.ts";
import type { Verdict } from "./reason.ts";
import { isPossible, landsOn, type Option, settle, worst } from "./settle.ts";

/** Where a host stands in the order of a ranking. */
export interface Standing {
	readonly host: string;
	readonly verdict: Verdict;
	readonly allowed: boolean;
	/** The lowest bugfix version among the candidates that would be taken; null when one has no version, or for a reject. */
	readonly bugfix: number | null;
	/** How many of the devices or others like them the host could take. */
	readonly free_capacity: number;
}

/** What the devices came to that want something in common. */
interface Part {
	readonly verdict: Verdict;
	readonly allowed: boolean;
	/** The lowest; -1 when a candidate has none. */
	readonly bugfix: number;
}

/** What became of devices where this and what leads here was on offer: a tree, because texts as keys would cost five times as much. */
interface Offered {
	readonly further: Map<number, Offered>;
	part?: Part;
}

/** Devices that want something in common. */
interface Component {
	readonly members: readonly Device[];
	readonly nothing: Offered;
	/** What the host that is looked at has for them. */
	offered: Offered;
}

/** What a class of candidates means for the devices. */
interface Usable {
	/** How well those devices fit that can land there at all. */
	readonly options: ReadonlyMap<Device, ClassOption>;
	readonly component: Component;
	/** How many of them there are, and a number that no other class adds to the room that is left up to that. */
	readonly demand: number;
	readonly base: number;
}
type ClassOption = Omit<Option<Pool>, "candidate">;

/**
 * Settles hosts by what of them counts: the classes that can take a device, and their room, no more than could be asked of it. What
 * several hosts have alike is settled once.
 */
export function createSettler(
	asker: Asker,
	fleet: Fleet,
	target_host: string,
	comparer: Comparer,
): (host: FleetHost) => Standing {
	const { devices, policy } = asker;
	const options = fleet.classes.map((found) => optionsInClass(asker, found, target_host, comparer));
	const components = componentsOf(devices, (device) => options.filter((option) => option.has(device))).map(
		(members): Component => {
			const nothing = { further: new Map() };
			return { members, nothing, offered: nothing };
		},
	);
	/** By the number of the class; nothing where it can take no device. */
	const usable = options.map((option, number): Usable | undefined => {
		const component = components.find(({ members }) => members.some((device) => option.has(device)));
		return component && { options: option, component, demand: option.size, base: number * (devices.length + 1) };
	});

	function settlePart(members: readonly Device[], { pools, numbers }: FleetHost): Part {
		const optionsOf = (device: Device) =>
			pools.flatMap((candidate, index) => {
				const option = usable[Number(numbers[index])]?.options.get(device);
				return option ? [{ candidate, ...option }] : [];
			});
		const { verdict, assigned } = settle(members, optionsOf);
		const taken = [...assigned].flatMap(([device, pool]) =>
			optionsOf(device).filter(({ candidate }) => candidate === pool),
		);
		const reasons = taken.flatMap(({ fit }) => fit.reasons);
		return {
			verdict,
			allowed: allows(policy, verdict, reasons),
			bugfix: Math.min(...taken.map(({ bugfix }) => bugfix)),
		};
	}

	return (host) => {
		for (const component of components) component.offered = component.nothing;
		let free_capacity = 0;
		for (const [index, number] of host.numbers.entries()) {
			const capacity = Number(host.capacities[index]);
			const found = usable[number];
			if (found === undefined || capacity === 0) continue;
			free_capacity += capacity;
			found.component.offered = oneMore(found.component.offered, found.base + Math.min(capacity, found.demand));
		}
		const parts = components.map(({ members, offered }) => {
			offered.part ??= settlePart(members, host);
			return offered.part;
		});
		const verdict = worst(parts);
		const bugfix = Math.min(...parts.map((part) => part.bugfix));
		const isKnown = verdict !== "reject" && bugfix >= 0 && Number.isFinite(bugfix);
		const allowed = parts.every((part) => part.allowed);
		return { host: host.host, verdict, allowed, bugfix: isKnown ? bugfix : null, free_capacity };
	};
}

function oneMore({ further }: Offered, what: number): Offered {
	const known = further.get(what);
	if (known) return known;
	const added = { further: new Map() };
	further.set(what, added);
	return added;
}

/** Which of the devices a class of candidates can take, and how well. */
function optionsInClass(
	{ source_host, devices }: Asker,
	{ key, first: candidate }: FleetClass,
	target_host: string,
	comparer: Comparer,
): ReadonlyMap<Device, ClassOption> {
	const bugfix = bugfixOf(candidate);
	return new Map(
		devices
			.filter(({ kind }) => landsOn(kind).includes(candidate.kind))
			.map((device) => {
				const fit = comparer.fit({ source_host, device, candidate, target_host }, key);
				return [device, { fit, bugfix }] as const;
			})
			.filter(([, { fit }]) => isPossible(fit)),
	);
}
