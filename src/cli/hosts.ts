import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { hostname } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { DEFAULT_LIBVIRT_CONFIG_DIR, DEFAULT_LIBVIRT_DIR, DEFAULT_OVERLAY_DIR } from "../agent/places.ts";
import { scanHost } from "../agent/scan.ts";
import { foreignDevices } from "../departure.ts";
import { Snapshot, type SnapshotDevice } from "../snapshot/snapshot.ts";
import { z } from "../zod.ts";
import { UsageError } from "./exit-codes.ts";

/** One host: a snapshot file, a sysfs root, or a host tree that has `sys/` and perhaps `libvirt/`. */
export async function readHost(path: string): Promise<Snapshot> {
	if (!statSync(path).isDirectory()) return readSnapshot(path);
	const root = isHostTree(path) ? join(path, "sys") : path;
	// The domains of this machine use no device of a copy: beside it is where they were copied to.
	const isHere = resolve(root) === "/sys";
	const beside = dirname(resolve(root));
	const libvirtDir = isHere ? DEFAULT_LIBVIRT_DIR : join(beside, "libvirt");
	const overlayDir = isHere ? DEFAULT_OVERLAY_DIR : join(beside, "overlay.d");
	const definitions = isHere ? { libvirtConfigDir: DEFAULT_LIBVIRT_CONFIG_DIR } : {};
	return scanHost({ host: hostOf(root), sysfsRoot: root, libvirtDir, ...definitions, overlayDir });
}

/** Many hosts: each path is one, or a directory of them. Two with one name would be taken for each other. */
export async function readHosts(paths: readonly string[]): Promise<readonly Snapshot[]> {
	const snapshots = await Promise.all(paths.flatMap(hostPaths).map(readHost));
	const seen = new Set<string>();
	for (const { host } of snapshots) {
		if (seen.has(host)) throw new UsageError(`two of the snapshots are of host ${JSON.stringify(host)}`);
		seen.add(host);
	}
	return snapshots;
}

function hostPaths(path: string): readonly string[] {
	if (!statSync(path).isDirectory() || isSysfsRoot(path) || isHostTree(path)) return [path];
	const hosts = readdirSync(path, { withFileTypes: true })
		.filter((entry) => entry.name.endsWith(".json") || isHostTree(join(path, entry.name)))
		.map((entry) => join(path, entry.name))
		.sort();
	if (hosts.length > 0) return hosts;
	throw new UsageError(`${path} has no hosts, expected snapshot files *.json or host trees <host>/sys`);
}

function isSysfsRoot(path: string): boolean {
	return existsSync(join(path, "bus"));
}

function isHostTree(path: string): boolean {
	return isSysfsRoot(join(path, "sys"));
}

function readSnapshot(path: string): Snapshot {
	const text = readFileSync(path, "utf8");
	let json: unknown;
	try {
		json = JSON.parse(text);
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

/** The devices asked for; else what instances use; else, on a host without instances, everything an instance could use. */
export function chosenDevices(source: Snapshot, ids: readonly string[] | undefined): readonly SnapshotDevice[] {
	const chosen = devicesChosen(source, ids);
	const [foreign] = foreignDevices(source.host, chosen);
	if (foreign) throw new UsageError(foreign.message);
	return chosen;
}

function devicesChosen(source: Snapshot, ids: readonly string[] | undefined): readonly SnapshotDevice[] {
	if (ids === undefined || ids.length === 0) {
		const { devices, instances } = source;
		const runs = (instance: string) => instances === undefined || instances.includes(instance);
		const used = devices.filter(({ instance, port }) => instance !== undefined && runs(instance) && !port);
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
		throw noDevice(source, id);
	});
}

export function noDevice({ host, devices }: Snapshot, id: string): UsageError {
	const known = devices.map((device) => device.id).join(", ") || "(none)";
	return new UsageError(`${host} has no device ${JSON.stringify(id)}, expected one of ${known}`);
}
