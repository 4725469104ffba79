import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { REPOSITORY } from "../support/cli.ts";
import { startRabbitMq, type TestBroker } from "../support/rabbitmq.ts";
import { temporaryDirectory } from "../support/temporary.ts";
import { makeDebian } from "./clean-debian.ts";

const CONTAINERFILE = `${REPOSITORY}config/packaging/Containerfile`;
const PATIENCE = { timeout: 20_000, interval: 200 };
/** crun knows no mixture of cgroups of both versions, which is what some machines have: here it sees version 2 alone. */
const MOUNTS = "mount -t cgroup2 cgroup2 /sys/fs/cgroup && echo mounted && exec sleep infinity";

/** No higher than those of any machine, for which podman's own may be too high. */
const LIMITS = ["--cgroups=disabled", "--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024"];

const directory = temporaryDirectory(afterAll);
let broker: TestBroker;
let mounts: ReturnType<typeof spawn>;

/** With images and containers of its own. Throws when it fails. */
function podman(...words: readonly string[]): string {
	const storage = ["--root", join(directory, "storage"), "--runroot", join(directory, "run"), "--storage-driver=vfs"];
	const command = [`--target=${mounts.pid}`, "--mount", "podman", ...storage, "--cgroup-manager=cgroupfs", ...words];
	const { status, stdout, stderr } = spawnSync("nsenter", command, { encoding: "utf8" });
	if (status !== 0) throw new Error(`podman ${words.join(" ")}: ${status}\n${stdout}${stderr}`);
	return stdout + stderr;
}

/** What the first line names comes from a registry as a rule; here it is made, under that name. */
beforeAll(async () => {
	broker = await startRabbitMq();
	const words = ["--mount", "--propagation=private", "sh", "-c", MOUNTS];
	mounts = spawn("unshare", words, { stdio: ["ignore", "pipe", "inherit"] });
	if (mounts.stdout) await once(mounts.stdout, "data");
	const [, base = ""] = /^FROM (\S+)$/m.exec(readFileSync(CONTAINERFILE, "utf8")) ?? [];
	const tree = join(directory, "base.tar");
	makeDebian(tree);
	podman("import", "--quiet", tree, base);
	const context = join(directory, "context");
	mkdirSync(context);
	execFileSync("sh", ["config/packaging/debian/build.sh", context], { cwd: REPOSITORY });
	const build = ["--quiet", "--pull=never", "--network=host", "--isolation=chroot", "--format=docker"];
	podman("build", ...build, "--file", CONTAINERFILE, "--tag", "novacompat", context);
});
afterAll(async () => {
	podman("rm", "--all", "--force", "--time=0");
	mounts.kill();
	await broker?.stop();
});

test("the image runs the service as a user of its own, which says how it is and stops when it is told to", async () => {
	const configuration = join(directory, "novacompat");
	mkdirSync(configuration);
	const options = { transport_url: broker.url, host: "ctl-01", http: {}, journal: {} };
	writeFileSync(join(configuration, "novacompat.yaml"), JSON.stringify(options));
	const volume = `--volume=${configuration}:/etc/novacompat:ro`;
	podman("run", "--detach", "--name=serve", "--network=host", ...LIMITS, volume, "novacompat");
	await expect.poll(() => podman("logs", "serve"), PATIENCE).toContain("serving ready");
	expect(podman("exec", "serve", "id", "--user", "--name")).toBe("novacompat\n");
	expect(podman("healthcheck", "run", "serve")).toBe("");
	await broker.kill();
	await expect.poll(() => podman("logs", "serve"), PATIENCE).toContain("ECONNREFUSED");
	expect(() => podman("healthcheck", "run", "serve")).toThrow(/: 1\n/);
	podman("stop", "--time=15", "serve");
	expect(podman("inspect", "--format={{.State.ExitCode}}", "serve")).toBe("0\n");
});

test("it has the agent and the command line, too", () => {
	const run = ["run", "--rm", "--network=host", "--no-healthcheck", ...LIMITS];
	expect(podman(...run, "novacompat", "novacompat-agent", "--help")).toContain("--scan-interval");
});

test("the agent in it can ask devlink and vdpa about what they know", () => {
	const run = ["run", "--rm", "--network=host", "--no-healthcheck", ...LIMITS];
	for (const program of ["/usr/sbin/devlink", "/usr/sbin/vdpa"])
		expect(podman(...run, "novacompat", program, "-V")).toContain("iproute2");
});
