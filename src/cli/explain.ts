import { readFileSync, statSync } from "node:fs";
import { hostname } from "node:os";
import { basename, dirname, resolve } from "node:path";
import { z } from "zod";
import { takeSnapshot } from "../agent/scan.ts";
import { decide } from "../compat/decide.ts";
import { DEFAULT_POLICY } from "../compat/policy.ts";
import { readPolicy } from "../policy/policy.ts";
import { freeDevices } from "../precheck.ts";
import { Snapshot, type SnapshotDevice } from "../snapshot/snapshot.ts";
import { exitCodeOf, UsageError } from "./exit-codes.ts";
import { renderExplanation, terminalColour } from "./render.ts";

export interface ExplainOptions {
	/** A snapshot file or a sysfs root each. */
	readonly source: string;
	readonly target: string;
	readonly device?: readonly string[];
	readonly policy?: string;
	readonly format: string;
}

/** Decides offline and shows every pair; the exit code is the verdict. */
export function explain(options: ExplainOptions): number {
	const source = readHost(options.source);
	const target = readHost(options.target);
	const decision = decide({
		source_host: source.host,
		target_host: target.host,
		devices: chosenDevices(source, options.device),
		candidates: freeDevices(target),
		policy: options.policy === undefined ? DEFAULT_POLICY : readPolicy(options.policy),
	});
	process.stdout.write(
		options.format === "json"
			? `${JSON.stringify(decision, null, 2)}\n`
			: renderExplanation(decision, `${source.host} -> ${target.host}`, terminalColour(process.stdout)),
	);
	return exitCodeOf(decision);
}

/** The devices asked for; else what instances use; else, on a host without instances, everything an instance could use. */
function chosenDevices(source: Snapshot, ids: readonly string[] | undefined): readonly SnapshotDevice[] {
	if (ids === undefined || ids.length === 0) {
		const used = source.devices.filter(({ instance, port }) => instance !== undefined && !port);
		if (used.length > 0) return used;
		const assignable = source.devices.filter(
			({ kind, attributes }) => kind === "mdev" || (kind === "pci" && attributes["device_api"]),
		);
		if (assignable.length > 0) return assignable;
		throw new UsageError(`${source.host} has no device that an instance could use: name one with --device`);
	}
	return [...new Set(ids)].map((id) => {
		const device = source.devices.find((candidate) => candidate.id === id);
		if (device) return device;
		const known = source.devices.map((candidate) => candidate.id);
		throw new UsageError(
			`${source.host} has no device ${JSON.stringify(id)}, expected one of ${known.join(", ") || "(none)"}`,
		);
	});
}

function readHost(path: string): Snapshot {
	if (statSync(path).isDirectory()) return takeSnapshot({ host: hostOf(path), sysfsRoot: path });
	let json: unknown;
	try {
		json = JSON.parse(readFileSync(path, "utf8"));
	} catch (cause) {
		throw new UsageError(`${path} is not JSON, expected a snapshot or a sysfs root`, { cause });
	}
	const result = Snapshot.safeParse(json);
	if (result.success) return result.data;
	throw new UsageError(`${path} is no snapshot:\n${z.prettifyError(result.error)}`);
}

/** `/sys` is this machine; `.../cmp-01/sys` and `.../cmp-01` are both called cmp-01. */
function hostOf(path: string): string {
	const root = resolve(path);
	if (root === "/sys") return hostname();
	return basename(root) === "sys" ? basename(dirname(root)) : basename(root);
}
