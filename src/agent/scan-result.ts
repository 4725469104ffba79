import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { comparedOf } from "../snapshot/compared.ts";
import { MAX_BODY_BYTES } from "../snapshot/limits.ts";
import type { Snapshot, SnapshotDevice } from "../snapshot/snapshot.ts";
import { isThere } from "./bounded-file.ts";
import { hasDomains } from "./libvirt.ts";
import { isOverlayDirMissing } from "./overlay-file.ts";
import { DEFAULT_LIBVIRT_CONFIG_DIR, DEFAULT_LIBVIRT_DIR } from "./places.ts";
import { type HostPlaces, type ScanOptions, scanHost } from "./scan.ts";
import { SysfsError } from "./sysfs.ts";
import type { Told } from "./tools.ts";

/** Another one after every boot. */
const BOOT_ID = "/proc/sys/kernel/random/boot_id";

/** There is nothing to answer from; the message is for whoever asked. */
export class SnapshotUnavailable extends Error {
	override readonly name = "SnapshotUnavailable";
}

/** What the agent answers from: one scan, as it is sent. */
export interface ScanResult {
	/** JSON of the snapshot. */
	readonly body: Buffer;
	/** Strong: the same for the same body, and for no other. */
	readonly etag: string;
	/** Uuids of the instances that run, also of those without a device. */
	readonly running: ReadonlySet<string>;
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
	readonly running: readonly string[];
	/** What the operator should know of it, although it is good. */
	readonly warnings: readonly string[];
}

/** Scans the host and gives the result its number: the predecessor's if that found the same, the next one if not. */
export async function scanAfter(
	before: Predecessor,
	places: HostPlaces,
	known: Pick<ScanOptions, "told" | "watch"> = {},
): Promise<NumberedScan> {
	const snapshot = await scanHost(places, known);
	const { schema_version, host, ...found } = snapshot;
	const boot_id = readFileSync(BOOT_ID, "utf8").trim();
	const digest = createHash("sha256")
		.update(JSON.stringify([boot_id, snapshot]))
		.digest("hex")
		.slice(0, 32);
	const generation = digest === before.digest ? before.generation : before.generation + 1;
	const whole = { schema_version, host, boot_id, generation, ...found };
	const all = Buffer.from(JSON.stringify(whole));
	const isWhole = all.length <= MAX_BODY_BYTES;
	const body = isWhole ? all : Buffer.from(JSON.stringify({ ...whole, devices: found.devices.map(comparedOf) }));
	if (body.length > MAX_BODY_BYTES) throw new SysfsError(tooLarge(found.devices.length, body.length, places));
	const warnings = [...(isWhole ? [] : [LEFT_OUT]), ...hangingIn(known.told), ...warningsOf(places, snapshot)];
	return { body, digest, generation, running: found.instances ?? [], warnings };
}

/** On SR-IOV each VF of an NVIDIA board offers all types of the board, and hosts have thousands. */
const LEFT_OUT = `the snapshot has more than the ${MAX_BODY_BYTES} bytes that a service takes: paths, sources and facts are left out`;

/** One line for each program, of which one may hang for each PF. */
function hangingIn({ remnants = [] }: Told = {}): readonly string[] {
	const programs = new Set(remnants.map(({ program }) => program));
	return [...programs].map((program) => {
		const pids = remnants.filter((one) => one.program === program).map(({ pid }) => pid);
		return `${program} hangs in the kernel and takes no signal (process ${pids.join(", ")}): it is asked again when that has ended`;
	});
}

/** What is not as it should be, with what follows from that. */
export function warningsOf(
	{ libvirtDir = DEFAULT_LIBVIRT_DIR, libvirtConfigDir = DEFAULT_LIBVIRT_CONFIG_DIR, overlayDir }: HostPlaces,
	{ devices, instances = [] }: Pick<Snapshot, "devices" | "instances">,
): readonly string[] {
	const libvirt = `libvirt directory ${libvirtDir} is not there: no instance is known to run, and every device looks free`;
	const definitions = `libvirt directory ${libvirtConfigDir} is not there: the devices of instances that are shut off look free`;
	const isMissing = libvirtConfigDir !== DEFAULT_LIBVIRT_CONFIG_DIR && !isThere(libvirtConfigDir);
	// Nova defines each of its domains, for as long as it is on the host. Those of this machine say nothing of what runs on another one.
	const isPair = libvirtConfigDir !== DEFAULT_LIBVIRT_CONFIG_DIR || libvirtDir === DEFAULT_LIBVIRT_DIR;
	const isElsewhere = isPair && !isMissing && instances.length > 0 && !hasDomains(libvirtConfigDir);
	const undefinedDomains = `no domain is defined in ${libvirtConfigDir}, although some run: the devices of instances that are shut off look free`;
	const overlays = `overlay directory ${overlayDir} is not there, expected a directory of *.yaml: nothing is added to what the host says`;
	return [
		...(isThere(libvirtDir) ? [] : [libvirt]),
		...(isMissing ? [definitions] : []),
		...(isElsewhere ? [undefinedDomains] : []),
		...(overlayDir !== undefined && isOverlayDirMissing(overlayDir) ? [overlays] : []),
		...sharedIn(devices).map(
			({ id, instances }) =>
				`device ${id} is in the status of instances ${instances} in ${libvirtDir}, expected one: it is told to be in use by each`,
		),
	];
}

/** Devices that several instances keep: they come one behind the other. */
function sharedIn(devices: readonly SnapshotDevice[]) {
	return devices.flatMap(({ id, instance }, index) => {
		const before = devices[index - 1];
		return before?.id === id ? [{ id, instances: `${before.instance} and ${instance}` }] : [];
	});
}

function tooLarge(devices: number, bytes: number, { overlayDir }: HostPlaces): string {
	const size = `the snapshot of ${devices} devices has ${bytes} bytes, of which a service takes ${MAX_BODY_BYTES} at most`;
	return overlayDir === undefined ? size : `${size}: are there fewer attributes in the overlays of ${overlayDir}?`;
}

/** One scan in this process, for whoever can wait for a read as long as it takes. @throws {SnapshotUnavailable} */
export async function scanNow(places: HostPlaces): Promise<ScanResult> {
	try {
		return published(await scanAfter(NO_PREDECESSOR, places));
	} catch (cause) {
		throw new SnapshotUnavailable(cause instanceof Error ? cause.message : String(cause), { cause });
	}
}

export function published({ body, digest, generation, running }: NumberedScan): ScanResult {
	return { body, etag: `"${digest}.${generation}"`, running: new Set(running), collectedAt: performance.now() };
}
