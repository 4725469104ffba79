import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import amqp, { type Channel } from "amqplib";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { newId, sealEnvelope } from "../../src/messaging/message.ts";
import { readRecording } from "../../src/recording/recording.ts";
import { MAIN, novacompatWith, REPOSITORY } from "../support/cli.ts";
import { startRabbitMq, type TestBroker } from "../support/rabbitmq.ts";
import { temporaryDirectory } from "../support/temporary.ts";
import { CANARY, stuffed } from "./stuffed.ts";

type Fields = Readonly<Record<string, unknown>>;

const SAMPLES = `${REPOSITORY}config/samples`;
const FOLDERS = [`${SAMPLES}/recordings`, `${REPOSITORY}test/recordings`];
const HOSTS = ["test_compute0", "test_compute1"] as const;
const AGENT_MAIN = join(MAIN, "../agent-main.js");
const STAND_INS = [...HOSTS, "cmp-down"];
/** What oslo.messaging says of a body, and what it never does. */
const PROPERTIES = {
	contentType: "application/json",
	headers: {
		[`${CANARY}header`]: `${CANARY}header-value`,
		authorization: `${CANARY}header-token`,
		traceparent: `${CANARY}traceparent`,
	},
	correlationId: `${CANARY}correlation`,
	messageId: `${CANARY}message-id`,
	type: `${CANARY}type`,
	appId: `${CANARY}app`,
};
const REPLY_QUEUE = `reply_${newId()}`;
const ACCEPTED = "0002587c-b09d-468a-9995-53d16eeb8a15";
const REJECTED = "1d778c01-9557-4d25-9de2-46fa7dd38ba8";

const RECORDED = FOLDERS.flatMap((folder) =>
	readdirSync(folder).map((file) => readRecording(readFileSync(`${folder}/${file}`, "utf8"))),
);

type Recorded = (typeof RECORDED)[number];

/** What nobody can read, or nobody should send: by routing key. */
const REQUEST = { instance_uuid: ACCEPTED, source_host: "test_compute0", dest_host: "test_compute1" };
const SECRET = { password: `${CANARY}nested` };
const PRIMITIVE = { "nova_object.name": `${CANARY}object`, "nova_object.version": "1.0", "nova_object.data": SECRET };
const ODD: readonly (readonly [routingKey: string, fields: Fields])[] = [
	["migration_compat", { method: "check_live_migration", args: { request: REQUEST } }],
	["migration_compat", { method: "check_live_migration", args: { request: { ...REQUEST, ...SECRET } } }],
	["migration_compat", { method: "check_live_migration", args: { request: { ...REQUEST, dest_host: SECRET } } }],
	["migration_compat", { method: "check_live_migration", args: { request: `${CANARY}no-object` } }],
	["migration_compat", { method: "check_live_migration", args: { request: REQUEST, surplus: `${CANARY}surplus` } }],
	[
		"migration_compat",
		{ method: "rank_destinations", version: "1.1", args: { request: { ...REQUEST, dest_hosts: HOSTS } } },
	],
	["migration_compat", { method: "no_such_method", args: SECRET }],
	[
		"compute.test_compute1",
		{ method: "check_can_live_migrate_destination", version: "6.0", args: { instance: PRIMITIVE } },
	],
	[
		"compute.test_compute1",
		{ method: "check_can_live_migrate_destination", version: "6.0", args: { instance: SECRET } },
	],
	["compute.test_compute1", { method: "check_can_live_migrate_destination", version: "99.0", args: SECRET }],
];
const UNREADABLE: readonly string[] = [
	`{"${CANARY}unreadable": `,
	`{"oslo.version": "9.0", "oslo.message": "${CANARY}inner"}`,
	`{"oslo.version": "2.0", "oslo.message": "${CANARY}inner"}`,
	JSON.stringify({ "oslo.version": "2.0", "oslo.message": JSON.stringify({ method: SECRET, args: SECRET }) }),
];

/** Everything that came out, by what it is. */
const outputs = new Map<string, string>();
const add = (name: string, text: string) => outputs.set(name, `${outputs.get(name) ?? ""}${text}\n`);

const directory = temporaryDirectory(afterAll);
let broker: TestBroker;
const children: ChildProcess[] = [];
let nova: Channel;

/** A broker whose password is a canary too, agents, and the service with everything on that writes anything. */
beforeAll(async () => {
	broker = await startRabbitMq();
	await broker.ctl("add_user", "novacompat", `${CANARY}broker`);
	await broker.ctl("set_permissions", "novacompat", ".*", ".*", ".*");
	const connection = await amqp.connect(broker.url.replace("rabbit:", "amqp:"));
	connection.on("error", () => undefined);
	nova = await connection.createChannel();
	await nova.assertExchange("nova", "topic", { durable: false });
	await collect("notifications", "notifications", "versioned_notifications.#");
	await collect("replies", REPLY_QUEUE);
	const agents = [await startAgent("test_compute0", "lines"), await startAgent("test_compute1", "json")] as const;
	const urls = Object.fromEntries(agents.map(({ host, url }) => [host, url]));
	for (const life of Object.keys(LIVES) as (keyof typeof LIVES)[]) await serve(life, urls);
	for (const agent of agents) await bother(agent);
	await connection.close();
	work();
}, 300_000);
afterAll(async () => {
	for (const child of children) child.kill("SIGKILL");
	await broker?.stop();
});

/** What is sent to a queue is an output; without a routing key it is that of the replies. */
async function collect(name: string, queue: string, routingKey?: string): Promise<void> {
	await nova.assertQueue(queue, { autoDelete: true });
	if (routingKey) await nova.bindQueue(queue, "nova", routingKey);
	await nova.consume(queue, (message) => message && add(name, message.content.toString()), { noAck: true });
}

/** A bug, on SIGWINCH. */
const BUG = `data:text/javascript,process.once("SIGWINCH",()=>{throw new Error("a bug")})`;

/** A program of ours, and all that it prints. */
function start(...words: readonly string[]) {
	const child = spawn(process.execPath, ["--import", BUG, ...words], { stdio: ["ignore", "pipe", "pipe"] });
	children.push(child);
	let log = "";
	for (const stream of [child.stdout, child.stderr]) createInterface(stream).on("line", (line) => (log += `${line}\n`));
	return { child, log: () => log };
}

type Agent = Awaited<ReturnType<typeof startAgent>>;

/** `novacompat-agent` on a sample host. */
async function startAgent(host: (typeof HOSTS)[number], form: "lines" | "json") {
	const sample = `${SAMPLES}/hosts/${host}`;
	const where = ["--host", host, "--listen", "127.0.0.1:0", "--overlay-dir", join(directory, "no-overlays")];
	const scan = ["--sysfs-root", `${sample}/sys`, "--libvirt-dir", `${sample}/libvirt`];
	const { child, log } = start(AGENT_MAIN, ...where, ...scan, "--debug", ...(form === "json" ? ["--use-json"] : []));
	await vi.waitFor(() => expect(log()).toMatch(/scan done/), 30_000);
	const [url = ""] = /http:\/\/127\.0\.0\.1:\d+/.exec(log()) ?? [];
	return { host, form, child, log, url };
}

const HEADERS: Readonly<Record<string, string>> = {
	"X-OpenStack-Request-ID": `req-${CANARY}own`,
	"X-OpenStack-Global-Request-ID": `req-${CANARY}global`,
	"X-Auth-Token": `${CANARY}token`,
	"X-Service-Token": `${CANARY}service`,
	Authorization: `Bearer ${CANARY}bearer`,
	Cookie: `session=${CANARY}cookie`,
	Referer: `http://127.0.0.1/${CANARY}referer`,
	"User-Agent": `${CANARY}browser`,
	"If-None-Match": `"${CANARY}etag"`,
	"X-Forwarded-For": `${CANARY}forwarded`,
};

/** Asks an agent for everything, with secrets in all that a client may send; then ends it in the middle of an answer. */
async function bother({ form, child, log, url }: Agent): Promise<void> {
	const paths = ["/", "/v1/snapshot", `/v1/instances/${ACCEPTED}/devices`, "/healthcheck", "/metrics", "/none"];
	for (const path of paths) {
		for (const query of ["", `?token=${CANARY}query`]) {
			const answer = await fetch(url + path + query, { headers: HEADERS });
			add("answers of the agents", JSON.stringify([...answer.headers]) + (await answer.text()));
		}
		const posted = await fetch(url + path, { method: "POST", headers: HEADERS, body: `${CANARY}body` });
		add("answers of the agents", await posted.text());
	}
	// An address with a password in it, and what is no HTTP.
	const lines = [
		"GET http://u:PW@h/v1/snapshot HTTP/1.1",
		"GET /v1/snapshot#PW HTTP/1.1",
		"PW",
		"GET / HTTP/1.1\r\nPW",
	];
	for (const line of lines)
		add("answers of the agents", await raw(url, `${line.replace("PW", `${CANARY}raw`)}\r\nHost: h\r\n\r\n`));
	child.kill("SIGUSR2");
	await vi.waitFor(() => expect(log()).toContain("state report: scans"), 30_000);
	add("list of processes", readFileSync(`/proc/${child.pid}/cmdline`, "utf8"));
	fetch(`${url}/v1/snapshot`, { headers: HEADERS }).catch(() => undefined);
	child.kill("SIGWINCH");
	await once(child, "exit");
	add(`log of the agent, ${form}`, log());
}

/** Sends a text to a port; what comes back. */
async function raw(url: string, text: string): Promise<string> {
	const socket = connect(Number(new URL(url).port), "127.0.0.1", () => socket.end(text));
	let answer = "";
	for await (const chunk of socket) answer += String(chunk);
	return answer;
}

const OVERRIDE = {
	author: "jane@example.org",
	reason: "a test",
	created: new Date(Date.now() - 60_000).toISOString(),
	expires: new Date(Date.now() + 3_600_000).toISOString(),
	scope: { target_host: "test_compute1" },
};
/** What a life of the service is like, what it has said before its end, and what ends it. */
const LIVES = {
	lines: { options: {}, says: /Nova accepted/, end: "SIGTERM" },
	json: { options: { use_json: true }, says: /Nova accepted/, end: "SIGABRT" },
	crash: { options: { policy_file: "policy.yaml" }, says: /override\.used/, end: "SIGWINCH" },
	limited: { options: { max_checks_per_second: 1 }, says: /checks were not made/, end: "SIGTERM" },
} as const;

/** One life of the service: every message, then an end in the middle of work. */
async function serve(life: keyof typeof LIVES, agents: Fields): Promise<void> {
	const { options, says, end } = LIVES[life];
	const folder = join(directory, life);
	mkdirSync(folder);
	const policy = join(folder, "policy.yaml");
	writeFileSync(policy, JSON.stringify({ overrides: [OVERRIDE] }));
	const url = broker.url.replace(/\/\/.*@/, `//novacompat:${CANARY}broker@`);
	const config = {
		transport_url: url,
		shadow: { cell1: { transport_url: url } },
		agents,
		stand_in_hosts: STAND_INS,
		versioned_notifications_topics: ["versioned_notifications"],
		journal: { directory: "journal" },
		recording: { file: "recording.jsonl" },
		http: { listen: "127.0.0.1:0", status_page: true },
		debug: true,
		...options,
	};
	const file = join(folder, "novacompat.yaml");
	writeFileSync(file, JSON.stringify(config));
	const { child, log } = start(MAIN, "serve", "--config-file", file);
	await vi.waitFor(() => expect(/(ready.*){2}/s.test(log())).toBe(true), 30_000);
	const ids = sendAll();
	await vi.waitFor(() => {
		const replies = outputs.get("replies") ?? "";
		expect(ids.filter((id) => !replies.includes(id))).toEqual([]);
	}, 30_000);
	// Of these nobody waits for an answer: some are half done when the process ends.
	sendAll();
	await vi.waitFor(() => expect(says.test(log())).toBe(true), 30_000);
	const [base = ""] = /http:\/\/127\.0\.0\.1:\d+/.exec(log()) ?? [];
	for (const path of ["/metrics", "/healthcheck", "/"]) add(`GET ${path}`, await (await fetch(base + path)).text());
	add("list of processes", readFileSync(`/proc/${child.pid}/cmdline`, "utf8"));
	child.kill("SIGUSR2");
	await vi.waitFor(() => expect(log()).toContain("state report: process"), 30_000);
	child.kill(end);
	await once(child, "exit");
	add(`log, ${life}`, log());
	for (const name of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
		const path = join(folder, name);
		const isOurs = [file, policy].includes(path);
		if (!isOurs && statSync(path).isFile()) add(`${name} (${life})`, readFileSync(path, "latin1"));
	}
}

/** Every message that was recorded of Nova, full of canaries, and odd ones; the ids of those that are answered. */
function sendAll(): readonly string[] {
	for (const body of UNREADABLE) nova.publish("nova", "migration_compat", Buffer.from(body), PROPERTIES);
	const isCheck = ({ message }: Recorded) => message["method"] === "check_can_live_migrate_destination";
	// What Nova asks last before she begins is what she accepted.
	const downs = RECORDED.filter(isCheck).map(({ message }) => ["compute.cmp-down", message] as const);
	const recorded = RECORDED.map(({ routing_key, message }) => [routing_key, message] as const);
	return [...downs, ...recorded, ...ODD].flatMap(([routingKey, fields]) => {
		const _msg_id = newId();
		const body = { ...stuffed(fields), _msg_id, _reply_q: REPLY_QUEUE, _unique_id: newId() };
		nova.publish("nova", routingKey, sealEnvelope(body), PROPERTIES);
		const isServed =
			routingKey === "migration_compat" || STAND_INS.includes(routingKey.replace(/^compute(-alt)?\./, ""));
		return isServed ? [_msg_id] : [];
	});
}

/** What an operator then makes of the files. */
function work(): void {
	const path = (name: string) => join(directory, "lines", name);
	const journal = ["--directory", path("journal")];
	const config = path("novacompat.yaml");
	const [older, newer] = [path("old.yaml"), path("new.yaml")];
	writeFileSync(older, "unknown: reject\n");
	writeFileSync(newer, "unknown: accept\n");
	const lines = readFileSync(path("journal/journal-000001.jsonl"), "utf8").split("\n");
	const rejection = lines.find((line) => line.includes(REJECTED) && line.includes('"verdict":"reject"')) ?? "";
	const [, entry = "none"] = /"id":"([0-9a-f]{12})"/.exec(rejection) ?? [];
	const url = broker.url.replace(/\/\/.*@/, `//novacompat:${CANARY}broker@`);
	const env = { NOVACOMPAT_TRANSPORT_URL: url };
	const dryRun = [ACCEPTED, "test_compute0", "test_compute1", "--timeout", "1"];
	const commands: Readonly<Record<string, readonly string[]>> = {
		"journal list": ["journal", "list", ...journal],
		"journal why": ["journal", "why", REJECTED, ...journal],
		"journal show": ["journal", "show", entry, ...journal],
		"journal show --format json": ["journal", "show", entry, ...journal, "--format", "json"],
		"journal report": ["journal", "report", ...journal],
		"explain --journal": [
			"explain",
			"--journal",
			entry,
			...journal,
			"--set",
			"target.devices[*].attributes.software_version=9.0.0",
		],
		"policy diff": ["policy", "diff", older, newer, "--journal", path("journal")],
		"config check": ["config", "check", config],
		"call, nobody answers": ["call", "check_live_migration", "request={}", "--timeout", "1"],
		"call, no such password": [
			"call",
			"x",
			"--timeout",
			"2",
			"--transport-url",
			`rabbit://u:${CANARY}other@127.0.0.1:1/`,
		],
		"call --config-file": ["call", "x", "--timeout", "1", "--config-file", config],
		precheck: ["precheck", ...dryRun],
		"where-can-it-go": ["where-can-it-go", ...dryRun],
		"replay --live": ["replay", path("recording.jsonl"), "--live", "--timeout", "1", "--concurrency", "50"],
		record: ["record", path("recording.jsonl"), "--journal", path("journal"), "--output", path("all.jsonl")],
		"record --share": ["record", path("all.jsonl"), "--share", "--output", path("shared.jsonl")],
		replay: ["replay", path("all.jsonl"), "--junit", path("junit.xml")],
		"replay of what is shared": ["replay", path("shared.jsonl"), "--junit", path("shared.xml")],
	};
	for (const [name, words] of Object.entries(commands)) {
		const { stdout, stderr } = novacompatWith({ env }, ...words);
		add(`novacompat ${name}`, stdout + stderr);
	}
	for (const name of ["all.jsonl", "shared.jsonl", "junit.xml", "shared.xml"])
		add(name, readFileSync(path(name), "latin1"));
}

describe("SEC-13: of a message that is full of secrets", () => {
	/** output, what shows that it is one at all */
	const WRITTEN: readonly (readonly [output: string, shows: RegExp])[] = [
		["log, lines", / DEBUG .* INFO .*: accept .*: reject .*: unknown \(refused/s],
		["log, lines", /shadow cell1: .*would accept, Nova accepted/],
		["log, json", new RegExp(`^\\{"message".*${REJECTED}`, "m")],
		["log, crash", / ERROR novacompat\.serve \[-\] crashed: Error: a bug\n.* ERROR novacompat\.serve {5}at /],
		["log, lines", /state report: process: .*state report: agents: /s],
		["list of processes", /serve.--config-file/],
		["log, crash", /override\.used/],
		["log, limited", /checks were not made within a second/],
		["log of the agent, lines", / DEBUG .* GET "\/v1\/snapshot" 200 in/],
		["log of the agent, lines", / POST "\/metrics" 405 in/],
		[
			"log of the agent, lines",
			/state report: process: .* ERROR .* crashed: Error: a bug\n.* ERROR novacompat\.agent {5}at /s,
		],
		["log of the agent, json", /^\{"message".*GET \\"\/v1\/snapshot\\"/m],
		[
			"log of the agent, json",
			/"message":"state report: process: .*"message":"crashed".*"error_summary":"Error: a bug"/s,
		],
		["answers of the agents", /"schema_version"/],
		["answers of the agents", /could not be parsed/],
		["journal/journal-000001.jsonl (limited)", new RegExp(ACCEPTED)],
		["recording.jsonl (limited)", new RegExp(ACCEPTED)],
		["journal/journal-000001.jsonl (lines)", new RegExp(ACCEPTED)],
		["journal/journal-000001.jsonl (json)", new RegExp(ACCEPTED)],
		["journal/journal-000001.jsonl (crash)", new RegExp(ACCEPTED)],
		["recording.jsonl (crash)", new RegExp(ACCEPTED)],
		["recording.jsonl (lines)", new RegExp(`"check_can_live_migrate_destination".*${REJECTED}`)],
		["recording.jsonl (json)", new RegExp(ACCEPTED)],
		["GET /metrics", /^novacompat_checks_total\{/m],
		["GET /healthcheck", /OK/],
		["GET /", new RegExp(REJECTED)],
		["replies", /MigrationPreCheckError/],
		["replies", /more than max_checks_per_second allows/],
		["replies", /UnsupportedVersion|NoSuchMethod/],
		["notifications", new RegExp(`migration_compat.check.end.*${ACCEPTED}`)],
		["notifications", /migration_compat.check.error/],
		["novacompat journal list", /test_compute0 +test_compute1 .*reject/],
		["novacompat journal why", /^REJECT {2}test_compute0 -> test_compute1/m],
		["novacompat journal show", /test_compute0/],
		["novacompat journal show --format json", /"verdict"/],
		["novacompat journal report", /would/],
		["novacompat explain --journal", /test_compute0/],
		["novacompat policy diff", /decisions?/],
		["novacompat config check", /stand_in_hosts is for harnesses/],
		["novacompat call, nobody answers", /no reply to check_live_migration/],
		["novacompat call, no such password", /--transport-url has a password/],
		["novacompat call --config-file", /no reply to x/],
		["novacompat precheck", /no reply to check_live_migration/],
		["novacompat where-can-it-go", /no reply to rank_destinations/],
		["novacompat replay --live", /MessagingTimeout/],
		["novacompat record", /^\n$/],
		["novacompat record --share", /^\n$/],
		["novacompat replay", /\d+ replayed: /],
		["novacompat replay of what is shared", /\d+ replayed: /],
		["all.jsonl", new RegExp(ACCEPTED)],
		["shared.jsonl", /"check_can_live_migrate_destination"/],
		["junit.xml", /<testcase /],
		["shared.xml", /<testcase /],
	];
	test.each(WRITTEN)("%s has something to tell (%s), and none of them", (name, shows) => {
		const text = outputs.get(name) ?? expect.fail(`no output ${name}, there are ${[...outputs.keys()].join(", ")}`);
		expect(shows.test(text)).toBe(true);
		expect(text.match(/.{0,80}canary-4c1d-[\w-]{0,40}/g) ?? []).toEqual([]);
	});

	test("nothing else came out", () => {
		expect([...outputs.keys()].sort()).toEqual([...new Set(WRITTEN.map(([name]) => name))].sort());
	});

	test("the messages were full of them", () => {
		const counts = RECORDED.map(({ message }) => JSON.stringify(stuffed(message)).split(CANARY).length - 1);
		expect(Math.min(...counts)).toBeGreaterThan(40);
	});
});

test.each(readdirSync(`${REPOSITORY}config`).filter((name) => name.endsWith(".service")))(
	"%s leaves no core",
	(unit) => {
		expect(readFileSync(`${REPOSITORY}config/${unit}`, "utf8")).toMatch(/^LimitCORE=0$/m);
	},
);
