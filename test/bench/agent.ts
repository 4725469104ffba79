import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { populateComputeNode } from "./compute-node.ts";
import { type OneScan, oneScan } from "./one-scan.ts";
import { median, quantile, table } from "./statistics.ts";

const ROUNDS = 5;
const POLLS = 2_000;
const IDLE_MS = 25_000;
const BOUNDS = { seconds: 1, scanMegabytes: 150, ofCat: 2, p99: 5, idleMegabytes: 60 };

const ROOT = join(import.meta.dirname, "../../..");
const SCAN_CHILD = join(ROOT, "dist/src/agent/scan-child.js");
const MAIN = join(ROOT, "dist/src/cli/main.js");
const AGENT_MAIN = join(ROOT, "dist/src/cli/agent-main.js");
const POLL = join(import.meta.dirname, "poll.js");
const BARE_SERVER = join(import.meta.dirname, "bare-server.js");
const SAMPLE = join(ROOT, "config/samples/hosts/test_compute0");

/** The files below the root that a scan reads, as the kernel sees it. */
function filesRead(sysfsRoot: string, directory: string): readonly string[] {
	const trace = join(directory, "trace");
	const snapshot = [MAIN, "snapshot", "--sysfs-root", sysfsRoot, "--libvirt-dir", "/nonexistent"];
	const strace = ["-f", "-e", "trace=openat", "-o", trace, process.execPath, ...snapshot];
	execFileSync("strace", strace, { stdio: "ignore" });
	const opened = readFileSync(trace, "utf8").matchAll(/openat\([^"]*"([^"]+)", (?!.*O_DIRECTORY).* = \d+$/gm);
	return [...new Set(Array.from(opened, ([, path = ""]) => path))].filter((path) => path.startsWith(sysfsRoot));
}

function seconds(command: string, options: readonly string[], input: string): number {
	const started = performance.now();
	const { status, error } = spawnSync(command, options, { input, stdio: ["pipe", "ignore", "inherit"] });
	if (status !== 0) throw error ?? new Error(`${command} ended with ${status}`);
	return (performance.now() - started) / 1000;
}

async function startAgent(sysfsRoot: string, libvirtDir: string, interval: number) {
	const options = ["--host", "bench", "--listen", "127.0.0.1:0", "--scan-interval", String(interval)];
	const child = spawn(
		process.execPath,
		[AGENT_MAIN, ...options, "--sysfs-root", sysfsRoot, "--libvirt-dir", libvirtDir],
		{
			stdio: ["ignore", "ignore", "pipe"],
		},
	);
	let log = "";
	child.stderr.on("data", (chunk: Buffer) => {
		log += chunk.toString();
	});
	while (!log.includes("scan done")) await sleep(20);
	const [url = ""] = /http:\/\/\S+/.exec(log) ?? [];
	const rss = () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, "utf8"))?.[1]) / 1024;
	const stop = async () => {
		child.kill();
		await once(child, "exit");
	};
	return { url, rss, stop };
}

/** The same bytes from a server that does nothing else: what of a time is Node's and the machine's. */
async function startBareServer(file: string) {
	const child = spawn(process.execPath, [BARE_SERVER, file], { stdio: ["ignore", "pipe", "inherit"] });
	const [url] = (await once(child.stdout, "data")) as [Buffer];
	const stop = async () => {
		child.kill();
		await once(child, "exit");
	};
	return { url: url.toString().trim(), stop };
}

function poll(url: string) {
	const polled = execFileSync(process.execPath, [POLL, url, String(POLLS)], { encoding: "utf8" });
	return JSON.parse(polled) as { readonly full: readonly number[]; readonly unchanged: readonly number[] };
}

const directory = mkdtempSync(join(tmpdir(), "novacompat-bench-"));
try {
	const sysfs = join(directory, "sys");
	populateComputeNode(sysfs, { vfs: 4096, mdevs: 512 });
	const files = filesRead(sysfs, directory);
	const list = join(directory, "list");
	writeFileSync(list, files.join("\n"));
	const reader = join(directory, "sequential-read");
	const cc = existsSync("/usr/bin/cc");
	if (cc) execFileSync("/usr/bin/cc", ["-O2", "-o", reader, join(ROOT, "test/bench/sequential-read.c")]);

	const scans: OneScan[] = [];
	const cats: number[] = [];
	const reads: number[] = [];
	oneScan(SCAN_CHILD, sysfs);
	for (let round = 0; round < ROUNDS; round++) {
		scans.push(oneScan(SCAN_CHILD, sysfs));
		cats.push(seconds("xargs", ["-a", list, "cat"], ""));
		if (cc) reads.push(seconds(reader, [], files.join("\n")));
	}
	const took = median(scans.map((one) => one.seconds));
	const megabytes = Math.max(...scans.map((one) => one.megabytes));

	const agent = await startAgent(sysfs, "/nonexistent", 1);
	const { full, unchanged } = poll(agent.url);
	const bytes = join(directory, "snapshot");
	writeFileSync(bytes, Buffer.from(await (await fetch(`${agent.url}/v1/snapshot`)).arrayBuffer()));
	const bare = await startBareServer(bytes);
	const floor = poll(bare.url);
	await bare.stop();
	await agent.stop();

	const idle = await startAgent(join(SAMPLE, "sys"), join(SAMPLE, "libvirt"), 10);
	await sleep(IDLE_MS);
	const idleMegabytes = idle.rss();
	await idle.stop();

	const ratio = (reference: number) => `${(took / reference).toFixed(2)}x`;
	process.stdout.write(
		table([
			["", "bound", "measured"],
			[`one scan of ${scans[0]?.devices} devices, process and all`, `< ${BOUNDS.seconds} s`, `${took.toFixed(2)} s`],
			["  its memory", `< ${BOUNDS.scanMegabytes} MB`, `${megabytes.toFixed(0)} MB`],
			[`  beside cat of the same ${files.length} files`, `< ${BOUNDS.ofCat}x`, ratio(median(cats))],
			...(cc ? [["  beside open, read, close of them in C", "-", ratio(median(reads))]] : []),
			["snapshot while scans run, p50", "-", `${median(full).toFixed(2)} ms`],
			["snapshot while scans run, p99", `< ${BOUNDS.p99} ms`, `${quantile(full, 0.99).toFixed(2)} ms`],
			["  of a bare node:http server, p99", "-", `${quantile(floor.full, 0.99).toFixed(2)} ms`],
			["not modified while scans run, p99", `< ${BOUNDS.p99} ms`, `${quantile(unchanged, 0.99).toFixed(2)} ms`],
			["  of a bare node:http server, p99", "-", `${quantile(floor.unchanged, 0.99).toFixed(2)} ms`],
			["idle agent", `< ${BOUNDS.idleMegabytes} MB`, `${idleMegabytes.toFixed(0)} MB`],
		]),
	);
	const missed = [
		took >= BOUNDS.seconds,
		megabytes >= BOUNDS.scanMegabytes,
		took >= BOUNDS.ofCat * median(cats),
		quantile(full, 0.99) >= BOUNDS.p99,
		quantile(unchanged, 0.99) >= BOUNDS.p99,
		idleMegabytes >= BOUNDS.idleMegabytes,
	];
	if (missed.includes(true)) process.exitCode = 1;
} finally {
	rmSync(directory, { recursive: true, force: true });
}
