import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { scanNow } from "../../src/agent/scan-result.ts";
import { type AgentServer, startAgentServer } from "../../src/agent/server.ts";
import { createService } from "../../src/cli/serve/service.ts";
import { DEFAULT_POLICY } from "../../src/compat/policy.ts";
import { Config } from "../../src/config.ts";
import { RabbitOptions } from "../../src/messaging/rabbit/options.ts";
import { RabbitTransport } from "../../src/messaging/rabbit/rabbit.ts";
import { parseTransportUrl } from "../../src/messaging/rabbit/transport-url.ts";
import { RpcServer } from "../../src/messaging/server.ts";
import { MAIN } from "../support/cli.ts";
import { recordingLog } from "../support/log.ts";
import { startRabbitMq, type TestBroker } from "../support/rabbitmq.ts";
import { temporaryDirectory } from "../support/temporary.ts";

const SAMPLES = `${import.meta.dirname}/../../config/samples/hosts`;
const HOSTS = ["test_compute0", "test_compute1", "cmp-01", "cmp-02"];
const ACCEPTED = "0002587c-b09d-468a-9995-53d16eeb8a15";
const WARNED = "e9df6467-af80-4eaf-944b-f131fdcd18ae";
const REFUSED = "1d778c01-9557-4d25-9de2-46fa7dd38ba8";

const { log } = recordingLog();
let broker: TestBroker;
let transport: RabbitTransport;
let agents: readonly AgentServer[];

/** The real service on a real bus, with real agents on sample hosts. */
beforeAll(async () => {
	broker = await startRabbitMq();
	agents = await Promise.all(
		HOSTS.map((host) => {
			const scan = { host, sysfsRoot: `${SAMPLES}/${host}/sys`, libvirtDir: `${SAMPLES}/${host}/libvirt` };
			return startAgentServer({ listen: { address: "127.0.0.1", port: 0 }, latest: () => scanNow(scan), log });
		}),
	);
	const urls = Object.fromEntries(HOSTS.map((host, index) => [host, agents[index]?.url]));
	const config = Config.parse({ transport_url: broker.url, host: "novacompat-1", agents: urls });
	transport = open();
	await createService({ config, policy: () => DEFAULT_POLICY, transport, log }).start();
}, 60_000);
afterAll(async () => {
	await transport?.close();
	await Promise.all(agents?.map((agent) => agent.close()) ?? []);
	await broker?.stop();
});

function open(url = broker.url): RabbitTransport {
	const options = RabbitOptions.parse({});
	return new RabbitTransport({ url: parseTransportUrl(url), options, connectionName: "novacompat-test", log });
}

/** Runs the built command line beside the service; what it prints and how it ends. */
async function run(...args: readonly string[]) {
	const env = { ...process.env, FORCE_COLOR: undefined, NOVACOMPAT_TRANSPORT_URL: broker.url };
	const child = spawn(process.execPath, [MAIN, ...args], { env, stdio: ["ignore", "pipe", "pipe"] });
	const [stdout, stderr, [status]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
	return { status, stdout, stderr };
}

const ID = /\[\w{12}\]/g;

describe("precheck", () => {
	/** instance, destination, further options, exit code, what it prints */
	const ANSWERS: readonly (readonly [string, string, readonly string[], number, string])[] = [
		[
			ACCEPTED,
			"test_compute1",
			[],
			0,
			`ACCEPT  test_compute0 -> test_compute1, instance ${ACCEPTED}  [id]
  0000:3b:10.0 -> 0000:3b:10.0
`,
		],
		[
			REFUSED,
			"test_compute1",
			[],
			2,
			`REJECT  test_compute0 -> test_compute1, instance ${REFUSED}  [id]
  error  version.minor_downgrade  software_version 1.3.0 needs at least 1.3; test_compute1 0000:3b:10.0 has 1.2.4
  error  version.not_in_range     interface_version 2.0.1 is not accepted by test_compute1 0000:3b:10.0 (accepts 2.0.2-2.0.4,2.1.0-)
`,
		],
		[
			REFUSED,
			"cmp-99",
			[],
			3,
			`UNKNOWN (refused by policy)  test_compute0 -> cmp-99, instance ${REFUSED}  [id]
  error  agent.unconfigured  no agent is configured for host "cmp-99"
`,
		],
		[
			REFUSED,
			"test_compute1",
			["--device", "0000:3b:10.0"],
			0,
			`ACCEPT  test_compute0 -> test_compute1, instance ${REFUSED}  [id]
  0000:3b:10.0 -> 0000:3b:10.0
`,
		],
	];
	test.each(ANSWERS)("%s to %s, %j: %d", async (instance, dest, options, status, stdout) => {
		const answer = await run("precheck", instance, "test_compute0", dest, ...options);
		expect({ ...answer, stdout: answer.stdout.replace(ID, "[id]") }).toEqual({ status, stdout, stderr: "" });
	});

	test("with warnings, and its ports", async () => {
		const { status, stdout } = await run("precheck", WARNED, "test_compute0", "test_compute1");
		expect(status).toBe(1);
		expect(stdout).toMatch(/^ACCEPT .*\n {2}0000:3b:10\.4 -> 0000:3b:10\.0\n( {2}warning {2}.*\n){3}$/);
		expect(stdout).toContain("port.replugged            0000:83:06.1 is the device of a port");
	});

	test("for a program: what the service says", async () => {
		const { status, stdout } = await run("precheck", REFUSED, "test_compute0", "test_compute1", "--format", "json");
		expect(status).toBe(2);
		expect(JSON.parse(stdout)).toMatchObject({
			verdict: "reject",
			reasons: [
				{ code: "version.minor_downgrade", source: "1.3.0", target: "1.2.4" },
				{ code: "version.not_in_range" },
			],
		});
	});
});

describe("where-can-it-go", () => {
	test("the best host first, then every reason of every host", async () => {
		const hosts = ["cmp-02", "cmp-99", "test_compute1"];
		const { status, stdout, stderr } = await run("where-can-it-go", ACCEPTED, "test_compute0", ...hosts);
		expect([status, stderr]).toEqual([0, ""]);
		const lines = stdout.split("\n");
		expect(lines.slice(0, 4)).toEqual([
			expect.stringMatching(/^ +HOST +VERDICT +BUGFIX +FREE +REASON$/),
			expect.stringMatching(/^1 {2}test_compute1 {2}accept /),
			expect.stringMatching(/^2 {2}cmp-99 {9}unknown /),
			expect.stringMatching(/^3 {2}cmp-02 {9}reject .*more\)$/),
		]);
		expect(stdout).toContain("UNKNOWN (refused by policy)  test_compute0 -> cmp-99  [");
		expect(stdout).toMatch(/REJECT {2}test_compute0 -> cmp-02 {2}\[\w+\]\n( {2}error .*\n){2,}/);
		expect(stdout).not.toContain("ACCEPT");
	});

	test("nowhere: the exit code of the best one", async () => {
		expect(await run("where-can-it-go", ACCEPTED, "test_compute0", "cmp-02", "cmp-99")).toMatchObject({ status: 3 });
		expect(await run("where-can-it-go", ACCEPTED, "test_compute0", "cmp-02")).toMatchObject({ status: 2 });
	});

	test("not to where it is: whoever names all hosts means the others", async () => {
		const named = ["test_compute0", "test_compute1"];
		const { stdout } = await run("where-can-it-go", ACCEPTED, "test_compute0", ...named, "--format", "json");
		expect(JSON.parse(stdout)).toMatchObject({ hosts: [{ host: "test_compute1" }], verdicts: { accept: 1 } });
		expect(JSON.parse(stdout).hosts).toHaveLength(1);
	});

	test("nowhere but where it is: there is nobody to ask about", async () => {
		expect(await run("where-can-it-go", ACCEPTED, "test_compute0", "test_compute0")).toEqual({
			status: 64,
			stdout: "",
			stderr: "novacompat: the instance leaves test_compute0, expected another host too\n",
		});
	});

	test("for a program: what the service says", async () => {
		const { stdout } = await run("where-can-it-go", ACCEPTED, "test_compute0", "test_compute1", "--format", "json");
		expect(JSON.parse(stdout)).toMatchObject({ hosts: [{ host: "test_compute1", verdict: "accept" }] });
	});
});

describe("no verdict", () => {
	test("what is no uuid", async () => {
		expect(await run("precheck", "my-vm", "a", "b")).toEqual({
			status: 64,
			stdout: "",
			stderr: 'novacompat: the instance is "my-vm", expected its uuid\n',
		});
	});

	test("what is no id of a device", async () => {
		expect(await run("precheck", ACCEPTED, "a", "b", "--device", "0000:3b:10.0", "--device", "../../etc")).toEqual({
			status: 64,
			stdout: "",
			stderr:
				'novacompat: --device is "../../etc", expected a PCI address (0000:3b:10.2), the uuid of an mdev, ' +
				"the name of a vdpa device or <parent>/<mdev type>\n",
		});
	});

	test("a request that the service refuses is not a reject", async () => {
		const { status, stderr } = await run("precheck", ACCEPTED, "a", "x".repeat(256));
		expect([status, stderr]).toEqual([3, expect.stringContaining("ValueError (builtins): request.dest_host is")]);
	});

	test("nothing listens", async () => {
		const { status, stderr } = await run("precheck", ACCEPTED, "a", "b", "--exchange", "other");
		expect([status, stderr]).toEqual([69, expect.stringContaining("nothing listens on other/migration_compat")]);
	});

	test("the answer of something else is not taken for one", { timeout: 120_000 }, async () => {
		await broker.ctl("add_vhost", "strange");
		await broker.ctl("set_permissions", "-p", "strange", "guest", ".*", ".*", ".*");
		const url = `${broker.url}strange`;
		const other = open(url);
		const method = { required: ["request"], optional: [], handler: async () => ({ verdict: "yes" }) };
		const methods = new Map([["check_live_migration", method]]);
		const server = new RpcServer({
			transport: other,
			targets: [{ exchange: "nova", topic: "migration_compat", server: "s" }],
			endpoints: [{ namespace: null, version: "1.0", methods }],
			deserializeContext: () => null,
			log,
			maxInFlight: 1,
			maxCallTime: 5,
		});
		await server.start();
		const file = join(temporaryDirectory(), "strange.yaml");
		writeFileSync(file, `transport_url: ${url}\n`);
		const { status, stdout, stderr } = await run("precheck", ACCEPTED, "a", "b", "--config-file", file);
		expect([status, stdout]).toEqual([3, ""]);
		expect(stderr).toContain("the answer is no decision: is this service of another version?");
		expect(stderr).not.toContain("\\u000a");
		await server.stop();
		await other.close();
	});
});
