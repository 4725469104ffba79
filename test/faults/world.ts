import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { takeSnapshot } from "../../src/agent/scan.ts";
import { scanNow } from "../../src/agent/scan-result.ts";
import { type AgentServer, startAgentServer } from "../../src/agent/server.ts";
import { DEFAULT_POLICY } from "../../src/compat/policy.ts";
import { createPrecheck } from "../../src/precheck.ts";
import type { Snapshot } from "../../src/snapshot/snapshot.ts";
import { SnapshotError } from "../../src/snapshot/source.ts";
import { recordingLog } from "../support/log.ts";
import { populateDomain, populateMdev, populateMdevType, populatePci } from "../support/sysfs.ts";
import type { Question } from "./caller.ts";
import type { Expected } from "./history.ts";
import { FaultProxy } from "./proxy.ts";

/** Instances of cmp-01, and where they may go. */
const SEED = "0e1d9b52-52f6-4a6c-8a1f-4d5f00000001"; // cmp-02 only
const OLD = "0e1d9b52-52f6-4a6c-8a1f-4d5f00000002"; // nowhere
const PAIR = "0e1d9b52-52f6-4a6c-8a1f-4d5f00000003"; // cmp-02 only: cmp-03 has room for one of the two
const QUESTIONS = [SEED, OLD, PAIR].flatMap((instance) =>
	["cmp-02", "cmp-03"].map((dest) => [instance, dest] as const),
);

/** In every field of the request context that Nova keeps a secret in. */
export const CANARY = "canary-7f3a9c";
const CONTEXT = {
	_context_auth_token: `${CANARY}-token`,
	_context_service_catalog: [{ endpoints: [{ internalURL: `http://${CANARY}-catalog/` }] }],
	_context_trace_info: { hmac_key: `${CANARY}-hmac` },
	_context_remote_address: `${CANARY}-address`,
	_context_user_name: `${CANARY}-user`,
	_context_request_id: "req-8f1f3a52-52f6-4a6c-8a1f-4d5f00000001",
};

/** Compute nodes as directories, a real agent for each, and a network to each agent that may fail. */
export interface World {
	/** URL of each agent by host, for the configuration. */
	readonly agents: Readonly<Record<string, string>>;
	readonly proxies: readonly FaultProxy[];
	/** A check with its right answer; different ones in turn. */
	question(number: number): Question;
	/** The same as Nova asks it; the service must stand in for the destinations. */
	novaQuestion(number: number): Question;
	close(): Promise<void>;
}

export const DESTINATIONS = ["cmp-02", "cmp-03"];

export async function startWorld(): Promise<World> {
	const base = mkdtempSync(join(tmpdir(), "novacompat-faults-"));
	populateSource(join(base, "cmp-01"));
	populateDestination(join(base, "cmp-02"), { free: "2", accepted: "2.0.2-2.0.4,2.1.0-" });
	populateDestination(join(base, "cmp-03"), { free: "1", accepted: "9.0.0-" });
	const servers: AgentServer[] = [];
	const proxies: FaultProxy[] = [];
	const agents: Record<string, string> = {};
	const snapshots = new Map<string, Snapshot>();
	for (const host of ["cmp-01", "cmp-02", "cmp-03"]) {
		const scan = { host, sysfsRoot: join(base, host, "sys"), libvirtDir: join(base, host, "libvirt") };
		snapshots.set(host, takeSnapshot(scan));
		const listen = { address: "127.0.0.1", port: 0 };
		const server = await startAgentServer({ listen, latest: () => scanNow(scan), log: recordingLog().log });
		const proxy = await FaultProxy.start(Number(new URL(server.url).port));
		servers.push(server);
		proxies.push(proxy);
		agents[host] = `http://127.0.0.1:${proxy.port}`;
	}
	const expected = await model(snapshots);
	const pick = (number: number) => QUESTIONS[number % QUESTIONS.length] ?? ([SEED, "cmp-02"] as const);
	return {
		agents,
		proxies,
		question(number) {
			const [instance, dest] = pick(number);
			const request = { instance_uuid: instance, source_host: "cmp-01", dest_host: dest };
			const fields = { method: "check_live_migration", version: "1.0", args: { request }, ...CONTEXT };
			return { fields, key: "migration_compat", expected: expected.get(`${instance} ${dest}`) };
		},
		novaQuestion(number) {
			const [instance, dest] = pick(number);
			const fields = {
				method: "check_can_live_migrate_destination",
				version: "6.0",
				args: novaArgs(instance),
				...CONTEXT,
			};
			return { fields, key: `compute.${dest}`, expected: expected.get(`${instance} ${dest}`) };
		},
		async close() {
			for (const proxy of proxies) proxy.close();
			await Promise.all(servers.map((server) => server.close()));
			rmSync(base, { recursive: true, force: true, maxRetries: 3 });
		},
	};
}

/** The engine on the same snapshots, without anything in between. */
async function model(snapshots: ReadonlyMap<string, Snapshot>): Promise<ReadonlyMap<string, Expected>> {
	const fetch = async (host: string) => {
		const snapshot = snapshots.get(host);
		if (snapshot) return snapshot;
		throw new SnapshotError("agent.unconfigured", host);
	};
	const precheck = createPrecheck({ fetch }, () => DEFAULT_POLICY);
	const { signal } = new AbortController();
	const decisions = QUESTIONS.map(async ([instance_uuid, dest_host]) => {
		const announced = { count: 0, names: "", complete: false };
		const request = { instance_uuid, source_host: "cmp-01", dest_host, ports: [], announced };
		const { verdict, allowed } = await precheck(request, { signal });
		return [`${instance_uuid} ${dest_host}`, { verdict, allowed }] as const;
	});
	return new Map(await Promise.all(decisions));
}

function novaArgs(instance: string) {
	const primitive = (name: string, version: string, data: object) => ({
		"nova_object.name": name,
		"nova_object.namespace": "nova",
		"nova_object.version": version,
		"nova_object.data": data,
		"nova_object.changes": [],
	});
	const secrets = {
		user_data: `${CANARY}-user-data`,
		key_data: `${CANARY}-key`,
		metadata: { password: `${CANARY}-meta` },
	};
	return {
		instance: primitive("Instance", "2.8", { uuid: instance, host: "cmp-01", node: "cmp-01", ...secrets }),
		block_migration: null,
		disk_over_commit: null,
		migration: primitive("Migration", "1.7", { uuid: OLD, source_compute: "cmp-01", dest_compute: null }),
		limits: null,
	};
}

const VF = { vendor: "8086", device: "1889", driver: "vfio-pci" };
const GPU = { vendor: "10de", device: "2235", driver: "nvidia" };
const GPU_ADDRESS = "0000:81:00.0";

function populateSource(base: string): void {
	const [sys, libvirt] = directories(base);
	populatePci(sys, { ...VF, address: "0000:3b:00.2", files: { interface_version: "2.0.3" } });
	populatePci(sys, { ...VF, address: "0000:3b:00.3", files: { interface_version: "2.0.1" } });
	const gpu = populatePci(sys, { ...GPU, address: GPU_ADDRESS });
	const files = { software_version: "2.0.1" };
	const type = populateMdevType(sys, gpu, { type: "nvidia-558", available_instances: "0", files });
	const mdevs = ["4f9a6c1e-1111-4a5c-9d35-0c5d2c5a0001", "4f9a6c1e-1111-4a5c-9d35-0c5d2c5a0002"];
	for (const uuid of mdevs) populateMdev(sys, type, { uuid });
	populateDomain(libvirt, { name: "instance-1", uuid: SEED, pci: ["0000:3b:00.2"] });
	populateDomain(libvirt, { name: "instance-2", uuid: OLD, pci: ["0000:3b:00.3"] });
	populateDomain(libvirt, { name: "instance-3", uuid: PAIR, mdevs });
}

function populateDestination(
	base: string,
	{ free, accepted }: { readonly free: string; readonly accepted: string },
): void {
	const [sys] = directories(base);
	const files = { interface_version: "2.1.3", interface_version_compatible: accepted };
	populatePci(sys, { ...VF, address: "0000:5e:00.2", files });
	const gpu = populatePci(sys, { ...GPU, address: GPU_ADDRESS });
	const version = { software_version: "2.1.0" };
	populateMdevType(sys, gpu, { type: "nvidia-558", available_instances: free, files: version });
}

function directories(base: string): readonly [sys: string, libvirt: string] {
	const [sys, libvirt] = [join(base, "sys"), join(base, "libvirt")];
	for (const path of [join(sys, "bus"), join(sys, "devices"), libvirt]) mkdirSync(path, { recursive: true });
	return [sys, libvirt];
}
