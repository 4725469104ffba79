import type { ChildProcess } from "node:child_process";
import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { REPOSITORY } from "../support/cli.ts";
import { startRabbitMq, type TestBroker } from "../support/rabbitmq.ts";
import { temporaryDirectory } from "../support/temporary.ts";
import { CleanDebian } from "./clean-debian.ts";

const SAMPLES = "/usr/lib/novacompat/config/samples/hosts/test_compute0";

const directory = temporaryDirectory(afterAll);
let debian: CleanDebian;
let broker: TestBroker;
let packages: readonly string[];

function build(name: string): string {
	const output = join(directory, name);
	mkdirSync(output);
	return execFileSync("sh", ["config/packaging/debian/build.sh", output], { cwd: REPOSITORY, encoding: "utf8" }).trim();
}

beforeAll(async () => {
	packages = [build("first"), build("second")];
	debian = new CleanDebian();
	debian.take(packages[0] ?? "", "novacompat.deb");
	broker = await startRabbitMq();
});
afterAll(async () => {
	await broker?.stop();
	debian?.remove();
});

describe("the package", () => {
	test("built twice is the same, byte for byte", () => {
		const [first, second] = packages.map((file) => createHash("sha256").update(readFileSync(file)).digest("hex"));
		expect(first).toBe(second);
	});

	test("has nothing that lintian calls an error or a warning", () => {
		const words = ["--allow-root", "--tag-display-limit", "0", "--fail-on", "error,warning", packages[0] ?? ""];
		const { status, stdout } = spawnSync("lintian", words, { encoding: "utf8" });
		expect({ status, stdout }).toEqual({ status: 0, stdout: "" });
	});

	test("wants a Node.js that is new enough, as package.json does", () => {
		const depends = execFileSync("dpkg-deb", ["--field", packages[0] ?? "", "Depends"], { encoding: "utf8" });
		const { engines } = JSON.parse(readFileSync(`${REPOSITORY}package.json`, "utf8"));
		expect(depends.trim()).toBe(`adduser, nodejs (${engines.node.replace(">=", ">= ")})`);
	});

	test("says which commit it is of", () => {
		const words = ["--fsys-tarfile", packages[0] ?? ""];
		const tree = execFileSync("dpkg-deb", words, { maxBuffer: 1 << 28 });
		const unpack = ["--extract", "--to-stdout", "./usr/lib/novacompat/package.json"];
		const { gitHead } = JSON.parse(execFileSync("tar", unpack, { input: tree, encoding: "utf8" }));
		expect(gitHead).toMatch(/^[0-9a-f]{40}(-dirty)?$/);
		const commit = execFileSync("git", ["rev-parse", "HEAD"], { cwd: REPOSITORY, encoding: "utf8" }).trim();
		expect(gitHead.replace("-dirty", "")).toBe(commit);
	});

	test("has a unit for every service of config", () => {
		const files = execFileSync("dpkg-deb", ["--contents", packages[0] ?? ""], { encoding: "utf8" });
		const units = readdirSync(`${REPOSITORY}config`).filter((name) => name.endsWith(".service"));
		for (const unit of units) expect(files).toContain(` ./lib/systemd/system/${unit}\n`);
	});
});

/** In the order of an administrator's day. */
describe("in a Debian that has nothing else", () => {
	test("is installed, with a user, and files that only root and he may read", () => {
		debian.sh("dpkg --install /tmp/novacompat.deb");
		expect(debian.sh("id novacompat")).toMatch(/^uid=(\d+)\(novacompat\) gid=\d+\(novacompat\)/);
		expect(debian.sh("stat -c '%A %U:%G %n' /etc/novacompat /etc/novacompat/* /var/lib/novacompat")).toBe(
			`drwxr-x--- root:novacompat /etc/novacompat
-rw-r----- root:novacompat /etc/novacompat/agent.yaml
-rw-r----- root:novacompat /etc/novacompat/novacompat.yaml
drwxr-xr-x root:root /etc/novacompat/overlay.d
drwxr-x--- novacompat:novacompat /var/lib/novacompat
`,
		);
		expect(debian.sh("dpkg --verify novacompat")).toBe("");
	});

	test("has commands and man pages that know them", () => {
		expect(debian.sh("novacompat --help")).toContain("Usage: novacompat [options] [command]");
		expect(debian.sh("novacompat-agent --help")).toContain("--scan-interval <seconds>");
		const page = debian.sh("zcat /usr/share/man/man1/novacompat.1.gz");
		for (const section of ["SERVE", "CONFIG", "CONFIG CHECK", "REPLAY"]) expect(page).toContain(`.SH ${section}\n`);
		expect(debian.sh("cd / && novacompat demo")).toMatch(/^ACCEPT .*^REJECT .*^UNKNOWN /ms);
	});

	test("says what its configuration lacks, before anything is opened", () => {
		const { status, stdout, stderr } = debian.run(
			"novacompat",
			"serve",
			"--config-file",
			"/etc/novacompat/novacompat.yaml",
		);
		expect({ status, stdout }).toEqual({ status: 78, stdout: "" });
		expect(stderr).toMatch(/^novacompat: \/etc\/novacompat\/novacompat\.yaml:\d+:\d+: transport_url: expected rabbit:/);
	});

	test("runs as that user: agent, service, and a check of one by the other", async () => {
		configure("agent.yaml", {
			host: "test_compute0",
			listen: "127.0.0.1:0",
			sysfs_root: `${SAMPLES}/sys`,
			libvirt_dir: `${SAMPLES}/libvirt`,
		});
		const agent = debian.startAsUser(commandOf("novacompat-agent.service"));
		const [, url] = await said(agent, /(http:\/\/127\.0\.0\.1:\d+).*scan done/s);
		configure("novacompat.yaml", {
			transport_url: broker.url,
			host: "ctl-01",
			agents: { test_compute0: url, test_compute1: url },
			journal: {},
		});
		expect(debian.sh("novacompat config check /etc/novacompat/novacompat.yaml || true")).toContain("is the agent of");
		const serve = debian.startAsUser(commandOf("novacompat-serve.service"));
		await said(serve, /serving ready/);
		const words = ["0002587c-b09d-468a-9995-53d16eeb8a15", "test_compute0", "test_compute1"];
		const asked = debian.run("novacompat", "precheck", ...words, "--config-file", "/etc/novacompat/novacompat.yaml");
		expect(asked).toMatchObject({ status: 3, stdout: expect.stringContaining("agent.identity"), stderr: "" });
		expect(debian.sh("novacompat journal list")).toContain(words[0]);
		for (const child of [serve, agent]) {
			child.kill("SIGTERM");
			expect(await once(child, "exit")).toEqual([0, null]);
		}
	});

	test("is installed again, and what the administrator wrote stays", () => {
		debian.sh("chmod 0600 /etc/novacompat/agent.yaml && dpkg --install /tmp/novacompat.deb");
		expect(debian.sh("cat /etc/novacompat/agent.yaml")).toContain("test_compute0");
		expect(debian.sh("stat -c '%a %U:%G' /etc/novacompat/agent.yaml")).toBe("600 root:novacompat\n");
	});

	test("is removed, all but its configuration and its journal", () => {
		debian.sh("dpkg --remove novacompat");
		expect(debian.sh("find / -xdev -path '*novacompat*' ! -path '/var/lib/dpkg/*' ! -path '/tmp/*' | sort")).toBe(
			`/etc/novacompat
/etc/novacompat/agent.yaml
/etc/novacompat/novacompat.yaml
/var/lib/novacompat
/var/lib/novacompat/journal
/var/lib/novacompat/journal/journal-000001.jsonl
`,
		);
	});

	test("is installed again where its directory has been removed, which he may read then, too", () => {
		debian.sh("rm -r /etc/novacompat && dpkg --install /tmp/novacompat.deb");
		const now = debian.sh("stat -c '%A %U:%G' /etc/novacompat");
		debian.sh("dpkg --remove novacompat");
		expect(now).toBe("drwxr-x--- root:novacompat\n");
	});

	test("is purged, all of it", () => {
		debian.sh("dpkg --purge novacompat");
		expect(debian.sh("find / -xdev -path '*novacompat*' ! -path '/tmp/*'")).toBe("");
	});

	test("is installed where its user has been made before, without a group of that name", () => {
		debian.sh("userdel novacompat && adduser --system --quiet --no-create-home novacompat");
		const { status, stderr } = debian.run("dpkg", "--install", "/tmp/novacompat.deb");
		expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
		expect(debian.sh("stat -c '%U:%G' /var/lib/novacompat")).toBe("novacompat:novacompat\n");
	});

	test("has a configuration that was lost and is fetched again, which he may read", () => {
		debian.sh("dpkg --purge novacompat && dpkg --install /tmp/novacompat.deb");
		debian.sh("rm /etc/novacompat/agent.yaml && dpkg --force-confmiss --install /tmp/novacompat.deb");
		expect(debian.sh("stat -c '%a %U:%G' /etc/novacompat/agent.yaml")).toBe("640 root:novacompat\n");
	});

	test("is purged where its journal has a file system of its own, which is empty then", () => {
		debian.sh("dpkg --install /tmp/novacompat.deb");
		const place = join(debian.root, "var/lib/novacompat");
		execFileSync("mount", ["-t", "tmpfs", "tmpfs", place]);
		onTestFinished(() => void execFileSync("umount", [place]));
		writeFileSync(join(place, "entry"), "");
		const { status, stderr } = debian.run("dpkg", "--purge", "novacompat");
		expect({ status, left: readdirSync(place) }).toEqual({ status: 0, left: [] });
		expect(stderr).not.toContain("error processing");
	});
});

function configure(name: string, options: Readonly<Record<string, unknown>>): void {
	writeFileSync(join(debian.root, "etc/novacompat", name), JSON.stringify(options));
}

/** What systemd would start. */
function commandOf(unit: string): readonly string[] {
	const text = readFileSync(join(debian.root, "lib/systemd/system", unit), "utf8");
	const [, command = ""] = /^ExecStart=(.*)$/m.exec(text) ?? [];
	return command.split(" ");
}

/** What its log says, as soon as it does; maybe in several lines. */
async function said({ stderr }: Pick<ChildProcess, "stderr">, says: RegExp): Promise<RegExpExecArray> {
	let log = "";
	if (!stderr) throw new Error("no stderr");
	for await (const text of createInterface(stderr)) {
		log += `${text}\n`;
		const found = says.exec(log);
		if (found) return found;
	}
	throw new Error(`it ended, and said:\n${log}`);
}
