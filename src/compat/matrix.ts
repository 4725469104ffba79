import { type Comparer, comparerFor } from "./comparer.ts";
import { optionsAmong } from "./decide.ts";
import { attributeOf, type Candidate, type Device, isKnownKind } from "./device.ts";
import { byHost } from "./fleet.ts";
import { nearestOf } from "./nearest.ts";
import type { Policy } from "./policy.ts";
import { type Pool, poolsOf } from "./pool.ts";
import { outcome, type ReasonCode, type Verdict } from "./reason.ts";
import { VERDICT_ORDER } from "./settle.ts";

/** A host with all that it has, in use or not: what can be taken in principle. */
export interface HostDevices {
	readonly host: string;
	readonly devices: readonly Candidate[];
}

/** What becomes of the devices of one class that leave one host for another one. */
export interface MatrixCell {
	readonly source_host: string;
	readonly target_host: string;
	/** Of the device that fits worst. */
	readonly verdict: Verdict;
	readonly warnings: number;
	/** The first reason, when there is one. */
	readonly code?: ReasonCode;
	readonly message?: string;
}

export interface MatrixClass {
	/** `mdev <mdev_type>` or `pci <vendor>:<device> <driver>`. */
	readonly device_type: string;
	/** One row per host that has such devices, in it one cell per other host; both by name. */
	readonly rows: readonly { readonly source_host: string; readonly cells: readonly MatrixCell[] }[];
}

export interface Matrix {
	readonly hosts: readonly string[];
	readonly classes: readonly MatrixClass[];
}

interface Node {
	readonly host: string;
	readonly pools: readonly Pool[];
	/** What may have to leave, by device type. */
	readonly sources: ReadonlyMap<string, readonly Device[]>;
}

/** Which hosts take which devices from which other hosts, each pair of hosts by itself and whatever is in use now. */
export function matrix(hosts: readonly HostDevices[], policy: Policy): Matrix {
	const comparer = comparerFor(policy);
	const nodes = [...hosts]
		.sort(byHost)
		.map(({ host, devices }) => ({ host, pools: poolsOf(devices) }))
		.map((node) => ({ ...node, sources: sourcesOf(node.pools) }));
	const types = [...new Set(nodes.flatMap(({ sources }) => [...sources.keys()]))].sort();
	return {
		hosts: nodes.map(({ host }) => host),
		classes: types.map((device_type) => ({
			device_type,
			rows: nodes.flatMap((source) => {
				const devices = source.sources.get(device_type);
				if (devices === undefined) return [];
				const targets = nodes.filter((target) => target !== source);
				const cells = targets.map((target) => cellOf(source, devices, target, comparer));
				return [{ source_host: source.host, cells }];
			}),
		})),
	};
}

/** An mdev and the type it is made from are one type; of PCI functions only those count that can be assigned. */
export function deviceTypeOf(device: Device): string | undefined {
	const [type, api, vendor, id, driver] = ["mdev_type", "device_api", "vendor", "device", "driver"].map((name) =>
		attributeOf(device, name),
	);
	if (!isKnownKind(device.kind)) return undefined;
	if (device.kind !== "pci") return type === undefined ? undefined : `mdev ${type}`;
	return api === undefined ? undefined : `pci ${vendor ?? "?"}:${id ?? "?"} ${driver ?? "without driver"}`;
}

/** One device of each class, by type. A type node stands for the mdevs that could be made from it, where there is none. */
function sourcesOf(pools: readonly Pool[]): ReadonlyMap<string, readonly Device[]> {
	const byType = new Map<string, Device[]>();
	for (const { first } of pools) {
		const type = deviceTypeOf(first);
		if (type !== undefined) byType.set(type, [...(byType.get(type) ?? []), first]);
	}
	return new Map(
		[...byType].map(([type, alike]) => {
			const made = alike.filter(({ kind }) => kind !== "mdev_type");
			return [type, made.length > 0 ? made : alike];
		}),
	);
}

function cellOf(source: Node, devices: readonly Device[], target: Node, comparer: Comparer): MatrixCell {
	const hosts = { source_host: source.host, target_host: target.host };
	const met = devices.map((device) => meet(device, hosts, target, comparer));
	return { ...hosts, ...met.reduce((worst, next) => (isWorse(next, worst) ? next : worst)) };
}

function isWorse(a: Met, b: Met): boolean {
	return (VERDICT_ORDER.indexOf(a.verdict) - VERDICT_ORDER.indexOf(b.verdict) || a.warnings - b.warnings) > 0;
}

type Hosts = Pick<MatrixCell, "source_host" | "target_host">;
type Met = Omit<MatrixCell, keyof Hosts>;

/** What becomes of one device: the reasons of the best that the target has. */
function meet(device: Device, hosts: Hosts, { pools }: Node, comparer: Comparer): Met {
	const best = nearestOf(
		optionsAmong(pools, device, (one, candidate, { key }) => comparer.fit({ ...hosts, device: one, candidate }, key)),
	);
	if (best === undefined) {
		const message = `${hosts.target_host} has no device of this kind`;
		return { verdict: "reject", warnings: 0, code: "candidate.none", message };
	}
	const reasons = comparer.reasons({ ...hosts, device, candidate: best.candidate }, best.pool.key);
	const warnings = reasons.filter(({ severity }) => severity === "warning").length;
	const [first] = reasons;
	return { verdict: outcome(reasons), warnings, ...(first && { code: first.code, message: first.message }) };
}
