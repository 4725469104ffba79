import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Snapshot, SnapshotDevice } from "../snapshot/snapshot.ts";
import { type ScanOptions, takeSnapshot } from "./scan.ts";

/** Another one after every boot. */
const BOOT_ID = "/proc/sys/kernel/random/boot_id";

/** There is nothing to answer from; the message says why. */
export class SnapshotUnavailable extends Error {
	override readonly name = "SnapshotUnavailable";
}

/** Devices by uuid of the instance that runs with them; none for an instance without devices. */
type InstanceDevices = Readonly<Record<string, readonly SnapshotDevice[]>>;

/** What the agent answers from: one scan, as it is sent. */
export interface ScanResult {
	/** JSON of the snapshot. */
	readonly body: Buffer;
	/** Strong: the same for the same body, and for no other. */
	readonly etag: string;
	readonly instances: InstanceDevices;
	/** `performance.now()` when the scan had ended. */
	readonly collectedAt: number;
}

/** What a scan goes on from: how often what it finds has changed, and what the last one found. */
export interface Predecessor {
	readonly generation: number;
	readonly digest: string;
}

export const NO_PREDECESSOR: Predecessor = { generation: 0, digest: "" };

/** A scan with what only a running agent knows. */
export interface NumberedScan extends Predecessor {
	readonly body: Buffer;
	readonly instances: InstanceDevices;
}

/** Scans the host and gives the result its number: the predecessor's if that found the same, the next one if not. */
export async function scanAfter(before: Predecessor, options: ScanOptions): Promise<NumberedScan> {
	const snapshot = takeSnapshot(options);
	const { schema_version, host, ...found } = snapshot;
	const boot_id = readFileSync(BOOT_ID, "utf8").trim();
	const digest = createHash("sha256")
		.update(JSON.stringify([boot_id, found]))
		.digest("hex")
		.slice(0, 32);
	const generation = digest === before.digest ? before.generation : before.generation + 1;
	const body = Buffer.from(JSON.stringify({ schema_version, host, boot_id, generation, ...found }));
	return { body, digest, generation, instances: instancesOf(snapshot) };
}

/** One scan in this process, for whoever can wait for a read as long as it takes. @throws {SnapshotUnavailable} */
export async function scanNow(options: ScanOptions): Promise<ScanResult> {
	try {
		return published(await scanAfter(NO_PREDECESSOR, options));
	} catch (cause) {
		throw new SnapshotUnavailable(cause instanceof Error ? cause.message : String(cause), { cause });
	}
}

export function published({ body, digest, generation, instances }: NumberedScan): ScanResult {
	return { body, etag: `"${digest}.${generation}"`, instances, collectedAt: performance.now() };
}

function instancesOf({ instances = [], devices }: Snapshot): InstanceDevices {
	const found = new Map(instances.map((uuid) => [uuid, [] as SnapshotDevice[]]));
	for (const device of devices) {
		if (device.instance !== undefined) found.get(device.instance)?.push(device);
	}
	return Object.fromEntries(found);
}
