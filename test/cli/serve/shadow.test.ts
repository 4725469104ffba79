import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import amqp, { type Channel } from "amqplib";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { scanNow } from "../../../src/agent/scan-result.ts";
import { type AgentServer, startAgentServer } from "../../../src/agent/server.ts";
import { newId, sealEnvelope } from "../../../src/messaging/message.ts";
import { readRecording } from "../../../src/recording/recording.ts";
import { MAIN, novacompat } from "../../support/cli.ts";
import { recordingLog } from "../../support/log.ts";
import { PASSWORD, startRabbitMq, type TestBroker } from "../../support/rabbitmq.ts";
import { addTapUser } from "../../support/tap-user.ts";

const SAMPLES = `${import.meta.dirname}/../../../config/samples`;
const FOLDERS = [`${SAMPLES}/recordings`, `${import.meta.dirname}/../../recordings`];
/** Prefix of everything in a message that nobody has a use for. */
const CANARY = "canary-4c1d-";
/** What stays of a message, by the name of the field. */
const KEPT =
	/^(method|version|uuid|host|dest|name|alias_name|pci_slot|vnic_type|id|_unique_id|_context_((global_)?request|user|project)_id|nova_object\..*|hw:.*|resources.*|trait.*)$/;
const KEPT_MAPS = /^(extra_specs|target_mdevs|pci_dev_map_src_dst)$/;

const directory = mkdtempSync(join(tmpdir(), "novacompat-"));
const log = recordingLog().log;
let broker: TestBroker;
let agents: readonly AgentServer[];
let nova: Channel;
let child: ChildProcess;
const lines: string[] = [];

/** A service that does nothing but listen in, as its minimal user, on the bus of a cell where Nova is at work. */
beforeAll(async () => {
	broker = await startRabbitMq();
	agents = await Promise.all(
		["test_compute0", "test_compute1"].map((host) => {
			const scan = {
				host,
				sysfsRoot: `${SAMPLES}/hosts/${host}/sys`,
				libvirtDir: `${SAMPLES}/hosts/${host}/libvirt`,
			};
			return startAgentServer({ listen: { address: "127.0.0.1", port: 0 }, latest: () => scanNow(scan), log });
		}),
	);
	nova = await joinAsNova();
	const config = {
		shadow: { cell1: { transport_url: await addTapUser(broker) } },
		agents: { test_compute0: agents[0]?.url, test_compute1: agents[1]?.url },
		journal: { directory: "journal" },
		recording: { file: "recording.jsonl" },
		http: { listen: "127.0.0.1:0" },
		debug: true,
	};
	const file = join(directory, "novacompat.yaml");
	writeFileSync(file, JSON.stringify(config));
	child = spawn(
		process.execPath,
		["--heapsnapshot-signal=SIGUSR2", `--diagnostic-dir=${directory}`, MAIN, "serve", "--config-file", file],
		{ stdio: ["ignore", "ignore", "pipe"] },
	);
	if (child.stderr) createInterface(child.stderr).on("line", (line) => lines.push(line));
	await line(/ready: /);
}, 60_000);
afterAll(async () => {
	child?.kill("SIGKILL");
	await Promise.all(agents?.map((agent) => agent.close()) ?? []);
	await broker?.stop();
	rmSync(directory, { recursive: true });
});

/** A channel of Nova's, who declares her exchange. */
async function joinAsNova(): Promise<Channel> {
	const connection = await amqp.connect(broker.url.replace("rabbit:", "amqp:"));
	connection.on("error", () => undefined);
	const channel = await connection.createChannel();
	await channel.assertExchange("nova", "topic", { durable: false });
	return channel;
}

/** The first line that says so, once it is there. */
async function line(says: RegExp): Promise<string> {
	return vi.waitFor(() => lines.find((text) => says.test(text)) ?? expect.fail(`no line says ${says}`), 30_000);
}

/** All that is alive in the memory of the service, as V8 writes it down. */
function heap(): string {
	const file = readdirSync(directory).find((name) => name.endsWith(".heapsnapshot")) ?? expect.fail("no snapshot yet");
	const text = readFileSync(join(directory, file), "utf8");
	return text.trimEnd().endsWith("]}") ? text : expect.fail("not written yet");
}

type Fields = Record<string, unknown>;

/** The same with a canary in every text that is not among those that are kept, texts in texts too. */
function withCanaries(value: unknown, name = ""): unknown {
	if (KEPT_MAPS.test(name)) return value;
	if (typeof value === "string") {
		if (name === "network_info") return JSON.stringify(withCanaries(JSON.parse(value)));
		return KEPT.test(name) ? value : `${CANARY}${name}-${value}`;
	}
	if (Array.isArray(value)) return value.map((item) => withCanaries(item, name));
	if (typeof value !== "object" || value === null) return value;
	return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, withCanaries(item, key)]));
}

/** Sends a recorded message as Nova did, with canaries in it; `changes` are further fields of `migrate_data`. */
function send(name: string, changes: Fields = {}): void {
	const folder = FOLDERS.find((path) => readdirSync(path).includes(name));
	const { exchange, routing_key, message } = readRecording(readFileSync(`${folder}/${name}`, "utf8"));
	const fields = withCanaries({ ...message, _unique_id: newId() }) as Fields;
	const args = fields["args"] as Record<string, { "nova_object.data": Fields }>;
	const secrets = {
		vtpm_secret_value: `${CANARY}vtpm`,
		bdms: [{ connection_info_json: `{"auth_password": "${CANARY}chap"}` }],
	};
	if (args["migrate_data"]) Object.assign(args["migrate_data"]["nova_object.data"], secrets, changes);
	const body = sealEnvelope({ ...fields, _context_service_catalog: [{ url: `${CANARY}catalog` }] });
	nova.publish(exchange, routing_key, body, { contentType: "application/json" });
}

describe("serve with nothing but a section of shadow", () => {
	test("says of which cell the broker is that it is connected to", () => {
		const said = lines.filter((text) => text.includes("connected to rabbit"));
		expect(said).toEqual([
			expect.stringMatching(/ INFO novacompat\.serve \[-\] shadow cell1: connected to rabbit 127\.0\.0\.1:\d+$/),
		]);
	});

	test("tells, for migrations that Nova made, what it would have said and what Nova did", {
		timeout: 30_000,
	}, async () => {
		send("2025.1.pci-alias-vfio-variant.check_can_live_migrate_destination.request.json");
		send("2025.1.pci-alias-vfio-variant.live_migration.request.json", {
			pci_dev_map_src_dst: { "0000:3b:10.0": "0000:3b:10.0" },
		});
		expect(await line(/instance: 0002587c.*Nova accepted/)).toMatch(
			/ INFO novacompat.serve \[None req-911e0134-\S+ 8ab0d6a3b4e14f6db77f3f5f2c1d9b10 6f70656e737461636b20342065766572 [- ]+\] \[instance: \S+\] shadow cell1: live migration test_compute0 -> test_compute1: would accept, Nova accepted; accept \[\w+\]; 0000:3b:10.0 -> 0000:3b:10.0; with the devices that Nova chose: accept \[\w+\]; 0000:3b:10.0 -> 0000:3b:10.0$/,
		);
		// Its follow-ups go to compute-alt.<host>.
		send("2026.1.pci-alias-vfio-variant.check_can_live_migrate_destination.request.json");
		send("2026.1.pci-alias-vfio-variant.live_migration.request.json", {
			pci_dev_map_src_dst: { "0000:3b:10.2": "0000:3b:10.0" },
		});
		expect(await line(/instance: 1d778c01.*Nova accepted/)).toMatch(
			/would reject, Nova accepted; reject .*version.minor_downgrade.*with the devices that Nova chose: reject .*version.not_in_range/,
		);
		send("zed.sriov-ports+numa.check_can_live_migrate_destination.request.json");
	});

	/** verdict, allowed, exact; of the two migrations above, which Nova accepted */
	test.each([
		["accept", true, false],
		["accept", true, true],
		["reject", false, false],
		["reject", false, true],
	])("counts them: %s, allowed %s, about the devices that Nova chose %s", async (verdict, allowed, exact) => {
		const [, url] = /health and metrics on (\S+)$/.exec(await line(/health and metrics on/)) ?? [];
		const labels = `cell="cell1",verdict="${verdict}",allowed="${allowed}",outcome="accepted",exact="${exact}"`;
		const metrics = async () => (await fetch(`${url}/metrics`)).text();
		await expect.poll(metrics).toContain(`novacompat_shadow_decisions_total{${labels}} 1\n`);
	});

	test("holds nothing of a message that it has no use for: not in its log, not in its memory", {
		timeout: 60_000,
	}, async () => {
		for (const folder of FOLDERS) for (const name of readdirSync(folder)) send(name);
		await line(/instance: 4229ea0a.*Nova accepted/);
		child.kill("SIGUSR2");
		const memory = await vi.waitFor(heap, { timeout: 30_000, interval: 500 });
		expect(memory).toContain("881d61c4-7a86-4ba3-89d6-29e59d0c9ea8");
		expect(memory.match(/canary-4c1d-[^"]{0,80}/g) ?? []).toEqual([]);
		expect(lines.join("\n")).not.toContain(CANARY);
	});

	test("answers nobody, and leaves Nova's queues alone", async () => {
		const queues = await broker.ctl("list_queues", "--no-table-headers", "name", "exclusive");
		expect(queues.trim()).toMatch(/^novacompat\.tap\.cell1\.[0-9a-f]{32}\ttrue$/);
	});

	test("outlives the broker; what became of a migration meanwhile it does not know", { timeout: 120_000 }, async () => {
		const check = "2026.1.pci-alias+sriov-port+numa.check_can_live_migrate_destination.request.json";
		send(check);
		const isTaken = async () => expect(await broker.ctl("list_queues", "messages")).not.toMatch(/[1-9]/);
		await vi.waitFor(isTaken, 30_000);
		lines.length = 0;
		await broker.kill();
		await broker.start();
		nova = await joinAsNova();
		await line(/instance: e9df6467.*would accept, what Nova did was not seen/);
		send("2025.1.pci-alias-vfio-variant.check_can_live_migrate_destination.request.json");
		send("2025.1.pci-alias-vfio-variant.live_migration.request.json", { pci_dev_map_src_dst: {} });
		await line(/instance: 0002587c.*would accept, Nova accepted/);
	});

	test("says at the end how often it agreed with Nova, and what was left open", async () => {
		child.kill("SIGTERM");
		expect(await once(child, "exit")).toEqual([0, null]);
		expect(await line(/shadow cell1: \d+ checks: /)).toMatch(
			/ INFO novacompat.serve \[-\] shadow cell1: \d+ checks: agreed with Nova on \d+; would have rejected \d+ that Nova accepted/,
		);
		const text = lines.join("\n");
		expect(text).toMatch(/instance: 0002587c.*Nova accepted; accept/);
		expect(text).not.toContain(PASSWORD);
		expect(text).not.toContain(CANARY);
	});

	test("has recorded, of what passed, checks and starts of migrations and nothing else of them", () => {
		const text = readFileSync(join(directory, "recording.jsonl"), "utf8");
		// What is an id anywhere else is one here, too.
		const canaries = text.match(/canary-4c1d-[a-z_]+(?=-)/g) ?? [];
		const names = new Set(canaries.map((one) => one.slice(CANARY.length)));
		expect([...names].sort()).toEqual(["_msg_id", "_reply_q", "dest_compute", "source_compute"]);
		const messages = text
			.trimEnd()
			.split("\n")
			.map((one) => readRecording(one));
		const methods = messages.map(({ message }) => String(message["method"]));
		expect([...new Set(methods)].sort()).toEqual(["check_can_live_migrate_destination", "live_migration"]);
		expect(messages.find(({ message }) => message["method"] === "live_migration")?.message["args"]).toMatchObject({
			dest: "test_compute1",
			migrate_data: { "nova_object.data": { pci_dev_map_src_dst: { "0000:3b:10.0": "0000:3b:10.0" } } },
		});
	});

	test("what it has recorded gets the same answers, with what its journal says that it would have answered", () => {
		const [recording, all] = ["recording.jsonl", "all.jsonl"].map((name) => join(directory, name));
		const journal = ["--journal", join(directory, "journal")];
		expect(novacompat("record", String(recording), ...journal, "--output", String(all)).stderr).toBe("");
		const list = novacompat("journal", "list", "--directory", join(directory, "journal"), "--format", "json");
		const { length } = JSON.parse(list.stdout);
		expect(length).toBeGreaterThan(5);
		// What was sent a second time is no check of its own.
		const { status, stdout } = novacompat("replay", String(all));
		expect(status).toBe(0);
		expect(stdout).toMatch(
			new RegExp(`^\\d+ replayed: ${length} as recorded, 0 different, \\d without a recorded reply$`, "m"),
		);
		const altered = join(directory, "altered.jsonl");
		const text = readFileSync(String(all), "utf8");
		writeFileSync(
			altered,
			text.replace('"host":"test_compute0","uuid":"0002587c', '"host":"elsewhere","uuid":"0002587c'),
		);
		expect(novacompat("replay", altered).stdout).toContain(`: ${length - 1} as recorded, 0 different, `);
	});
});
